"""What a publication gathers: a scope grows until nothing new belongs to it."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from consumers.facts.pending_changes import Days, as_changed, settled
from consumers.publication.everything import Everything
from consumers.publication.first_publication import first_position
from consumers.publication.gathering import Gatherer, Request, gather_urgent
from consumers.replay.memory_target import MemoryTarget
from consumers.replay.memory_view import MemoryView
from ims.holds.decision import Waiting
from ims.holds.losses import Cause, HoldEntry, Loss
from ims.publication.gathered import Gathered, Scope, Terms
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.source.facts import Facts
from tests.support.builders import (
    ORGNR,
    a_birth_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
    facts_of,
)

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
SCHOOL = (an_owner(), a_school(1), a_group(1), a_group(2))


def published(facts: Facts, **settings: Any) -> MemoryTarget:
    """Return a target to which these facts were published."""
    target = MemoryTarget(1, a_target(**settings), "epoch")
    terms = Terms(target.settings, ORGNR, NOW.date())
    parts = Everything(MemoryView(facts, target), terms).parts()
    target.store_first(parts, first_position(target.position, terms, 0, NOW))
    return target


def gathered(
    facts: Facts, target: MemoryTarget, persons: Iterable[int] = (), groups: Iterable[int] = (), **request: Any
) -> Gathered:
    """Return what is gathered when these persons and groups have changed."""
    gatherer = Gatherer(MemoryView(facts, target), Terms(target.settings, ORGNR, NOW.date()))
    return gatherer.gather(Request(changes=as_changed(persons, groups), now=NOW, **request))


def some_persons(*numbers: int) -> list[Any]:
    return [fact for n in numbers for fact in (a_person(n), an_enrolment(n, person=n, group=1 + n % 2))]


def test_an_unrelated_change_is_gathered_alone() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    found = gathered(facts, published(facts), persons=[2])
    assert found.scope.persons == [2]
    assert found.holds is None


def test_persons_with_one_national_id_are_gathered_together() -> None:
    same = a_birth_number(1)
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3), a_person(9, national_id=f"{same[:6]} {same[6:]}"))
    assert gathered(facts, published(facts), persons=[9]).scope.persons == [1, 9]


def test_a_group_comes_with_its_members_now_and_as_published() -> None:
    before = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    now = msgspec.structs.replace(before, enrolments={9: an_enrolment(9, person=2, group=2)})
    assert gathered(now, published(before), groups=[2]).scope.persons == [1, 2, 3]


def test_a_group_that_is_not_published_comes_with_its_first_member() -> None:
    before = facts_of(*SCHOOL, *some_persons(1, 2))
    now = facts_of(
        *SCHOOL, *some_persons(1, 2), a_group(3), an_enrolment(8, person=1, group=3), an_enrolment(9, person=2, group=3)
    )
    found = gathered(now, published(before), persons=[1])
    assert found.scope.groups == [3]
    assert found.scope.persons == [1, 2]


def test_an_id_that_moves_is_gathered_with_the_person_who_had_it() -> None:
    before = facts_of(*SCHOOL, *some_persons(1, 2))
    moved = {1: a_person(1, national_id=None), 2: a_person(2, national_id=a_birth_number(1))}
    now = msgspec.structs.replace(before, persons=moved)
    assert gathered(now, published(before), persons=[2]).scope.persons == [1, 2]
    assert gathered(now, published(before), persons=[1]).scope.persons == [1, 2]


def test_an_old_id_is_gathered_with_the_person_who_has_it_now() -> None:
    before = facts_of(*SCHOOL, *some_persons(1, 2))
    target = published(before, dialect="pifu")
    for key, text in target.published.items():
        if key.id == a_birth_number(2):
            target.published[key] = f'<sourcedid sourcedidtype="Old"><id>{a_birth_number(3)}</id></sourcedid>{text}'
    now = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    assert gathered(now, target, persons=[3]).scope.persons == [2, 3]


def waiting(*persons: int, groups: Iterable[str] = ()) -> Waiting:
    waits = HoldEntry(Cause.PERSONS, Loss(gone=True, last=True))
    return Waiting(dict.fromkeys(persons, waits), {id_: HoldEntry(Cause.SETTING) for id_ in groups})


def test_all_waiting_persons_are_gathered_when_one_has_changed() -> None:
    target = published(facts_of(*SCHOOL, *some_persons(1, 2, 3, 4)))
    target.waiting = waiting(1, 2)
    now = facts_of(*SCHOOL, a_person(1), a_person(2), *some_persons(3, 4))
    found = gathered(now, target, persons=[1], held=True)
    assert found.scope.persons == [1, 2]
    assert found.holds is not None
    assert found.holds.waiting.persons.keys() == {1, 2}


def test_waiting_persons_are_left_alone_when_none_has_changed() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3, 4))
    target = published(facts)
    target.waiting = waiting(1, 2, groups=["group-9"])
    found = gathered(facts, target, persons=[3], held=True)
    assert found.scope.persons == [3]
    assert found.left_alone == {"group-9"}
    assert found.holds is None


def test_all_waiting_persons_are_gathered_when_a_waiting_groups_member_changes() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3, 4))
    target = published(facts)
    target.waiting = waiting(1, groups=["group-2"])
    found = gathered(facts, target, persons=[3], held=True)
    assert found.scope.persons == [1, 3]
    assert found.scope.groups == [2]


def test_all_waiting_persons_are_gathered_when_another_takes_an_id() -> None:
    before = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    target = published(before)
    target.waiting = waiting(1, 2)
    now = msgspec.structs.replace(
        before, persons={2: a_person(2, national_id=None), 3: a_person(3, national_id=a_birth_number(2))}
    )
    assert gathered(now, target, persons=[3], held=True).scope.persons == [1, 2, 3]


def test_all_waiting_persons_are_gathered_when_a_waiting_group_returns() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    target = published(facts)
    target.waiting = waiting(1, groups=["org-100000008"])
    target.settings = a_target(org_groups=True)
    assert gathered(facts, target, persons=[3], held=True).scope.persons == [1, 3]


def test_all_waiting_persons_are_gathered_for_a_review() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2, 3))
    target = published(facts)
    target.waiting = waiting(1, 2)
    found = gathered(facts, target, held=True, review=True)
    assert found.scope.persons == [1, 2]


def test_a_waiting_group_without_members_is_gathered_with_everything() -> None:
    facts = facts_of(*SCHOOL)
    target = published(facts, org_groups=True)
    target.waiting = waiting(groups=["school-NO1"])
    gone = msgspec.structs.replace(facts, schools={})
    found = gathered(gone, target, held=True, everybody=True)
    assert found.left_alone == frozenset()
    assert found.holds is not None
    assert found.holds.waiting.groups.keys() == {"school-NO1"}


def test_a_wanted_login_brings_in_the_person_who_has_it() -> None:
    people = [a_person(n, feide_name=f"a{n}@fjordvik.example") for n in (1, 2, 3)]
    before = facts_of(*SCHOOL, *people, *(an_enrolment(n, person=n) for n in (1, 2, 3)))
    renamed = a_person(1, feide_name="A2@fjordvik.example")
    now = msgspec.structs.replace(before, persons=before.persons | {1: renamed})
    assert gathered(now, published(before), persons=[1]).scope.persons == [1, 2]
    gatherer = Gatherer(MemoryView(now, published(before)), Terms(a_target(), ORGNR, NOW.date()))
    part = gatherer.compare(Scope([1], []), closed=False)
    assert part.holders.elsewhere == {"a2@fjordvik.example": 2}


def test_a_login_that_is_free_brings_in_those_who_want_it() -> None:
    people = [a_person(n, feide_name="ada@fjordvik.example") for n in (1, 2, 3)]
    before = facts_of(*SCHOOL, *people, *(an_enrolment(n, person=n) for n in (1, 2, 3)))
    target = published(before)
    assert gathered(before, target, persons=[1]).scope.persons == [1]
    now = msgspec.structs.replace(before, persons=before.persons | {1: a_person(1, feide_name="ny@fjordvik.example")})
    assert gathered(now, target, persons=[1]).scope.persons == [1, 2, 3]


def test_groups_with_one_code_are_gathered_together() -> None:
    school = (an_owner(), a_school(1), a_group(1, code="8A"), a_group(3, code="8C"))
    target = published(facts_of(*school, a_group(2, code="8B")), group_id="{code}")
    found = gathered(facts_of(*school, a_group(2, code="8A")), target, groups=[2])
    assert sorted(found.scope.groups) == [1, 2]
    assert found.roster.excluded.keys() == {(RecordKind.GROUP, 2)}


def test_passing_days_bring_in_persons_and_groups_by_date() -> None:
    facts = facts_of(
        *SCHOOL, *some_persons(1, 2), a_person(3), an_enrolment(3, person=3, group=1, starts_on=date(2026, 10, 15))
    )
    days = Days(date(2026, 10, 14), NOW.date(), 0, 0)
    assert gathered(facts, published(facts), days=days).scope.persons == [3]


def test_no_person_is_counted_for_a_single_leaver() -> None:
    before = facts_of(*SCHOOL, *some_persons(*range(1, 6)))
    now = msgspec.structs.replace(before, enrolments={})
    found = gathered(now, published(before), persons=[1])
    assert found.holds is not None
    assert (found.holds.counts.persons, found.holds.counts.teachers) == (0, 0)


def test_persons_are_counted_as_far_as_the_limits_need() -> None:
    before = facts_of(*SCHOOL, *some_persons(*range(1, 6)))
    now = msgspec.structs.replace(before, enrolments={})
    limits = {f"hold_{window}_persons": 1 for window in ("hour", "day")}
    percents = {f"hold_{window}_persons_percent": 50 for window in ("hour", "day")}
    found = gathered(now, published(before, **limits, **percents), persons=[1, 2])
    assert found.holds is not None
    assert found.holds.counts.persons == 4


def test_urgent_persons_are_gathered_with_their_same_id_persons() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2), a_person(9, national_id=a_birth_number(2)))
    target = published(facts_of(*SCHOOL, *some_persons(1, 2)))
    view = MemoryView(msgspec.structs.replace(facts, suppressed=frozenset({9})), target)
    view.urgent = lambda: frozenset({9})  # type: ignore[method-assign]
    found = gather_urgent(view)
    assert found is not None
    assert sorted(found.scope.persons) == [2, 9]
    assert set(found.roster.excluded.values()) == {Reason.PERSON_SUPPRESSED}


def test_schools_bring_in_their_groups_and_employees() -> None:
    facts = facts_of(*SCHOOL, *some_persons(1, 2), a_person(5), an_employee(1, person=5, school=1))
    gatherer = Gatherer(MemoryView(facts, published(facts)), Terms(a_target(), ORGNR, NOW.date()))
    nothing = settled((), 0, after=0)
    scope = gatherer.affected(msgspec.structs.replace(nothing, schools=frozenset({1})), None)
    assert (scope.persons, scope.groups) == ([1, 2, 5], [1, 2])
