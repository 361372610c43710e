"""The decision of a publication from gathered facts and published records."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from ims.holds.decision import Waiting
from ims.holds.limits import PublishedCounts
from ims.holds.losses import Cause, HoldEntry, gone_groups, losses
from ims.publication.decision import decide, decide_urgent
from ims.publication.gathered import (
    Format,
    Gathered,
    HoldState,
    LeaveOrders,
    Published,
    SchoolNumbers,
    Scope,
    Terms,
)
from ims.publication.login_holders import LoginHolders
from ims.records.logins import published_login
from ims.records.model import PersonRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Facts
from ims.xml.reader import read_fragment
from ims.xml.writer import fragment
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
BEFORE = Format(f"imsfeed@{ORGNR}", "ims")
SAME_LOGIN = {"feide_name": "ada@fjordvik.example"}


def terms(**settings: Any) -> Terms:
    return Terms(a_target(**settings), ORGNR, NOW.date())


def roster(facts: Facts, on: Terms) -> Roster:
    return roster_of(facts, on.settings, orgnr=on.orgnr, today=on.today, persons=facts.persons, groups=facts.groups)


def gathered(before: Facts, now: Facts, on: Terms, waiting: Waiting | None = None, **more: Any) -> Gathered:
    """Return what is gathered about all persons and groups after *before* was published."""
    was, current = roster(before, terms()), roster(now, on)
    published = Published({key: fragment(record) for key, record in was.records.items()}, was.subjects)
    scope = Scope(sorted({*before.persons, *now.persons}), sorted({*before.groups, *now.groups}))
    lost = losses(published.texts, published.person_ids, current)
    gone = gone_groups(published.texts, current)
    explained = (frozenset[int](), frozenset[int]())
    holds = HoldState(lost, gone, waiting or Waiting(), [], PublishedCounts(), explained, NOW)
    return Gathered(scope, current, published, holds=holds, **more)


def school(*persons: Any, enrolled: tuple[int, ...]) -> Facts:
    return facts_of(an_owner(), a_school(1), a_group(1), *persons, *(an_enrolment(n, person=n) for n in enrolled))


def person(number: int) -> RecordKey:
    return RecordKey(RecordKind.PERSON, a_birth_number(number))


def removed(decision: Any) -> set[RecordKey]:
    return {change.key for change in decision.delta.changes if change.recstatus is RecStatus.GONE}


def test_a_leaver_is_removed_with_the_membership() -> None:
    people = [a_person(1), a_person(2)]
    before, now = school(*people, enrolled=(1, 2)), school(*people, enrolled=(2,))
    decision = decide(gathered(before, now, terms()), terms(), BEFORE)
    membership = RecordKey(RecordKind.MEMBERSHIP, "group-1", a_birth_number(1))
    assert removed(decision) == {person(1), membership}
    assert [departure.person for departure in decision.holds.departures] == [1] if decision.holds else False


def test_a_leaver_is_removed_without_a_waiting_persons_login() -> None:
    people = [a_person(1, **SAME_LOGIN), a_person(2, **SAME_LOGIN)]
    before, now = school(*people, enrolled=(1, 2)), school(*people, enrolled=())
    waiting = Waiting({2: HoldEntry(Cause.SETTING, _losses(before, now)[2])})
    decision = decide(gathered(before, now, terms(), waiting), terms(), BEFORE)
    (change,) = (one for one in decision.delta.changes if one.key == person(1))
    assert isinstance(change.record, PersonRecord)
    assert change.record.login is None
    assert person(2) not in removed(decision)


def test_a_leaver_is_removed_without_the_login_of_a_person_out_of_scope() -> None:
    before, now = school(a_person(1, **SAME_LOGIN), enrolled=(1,)), school(a_person(1, **SAME_LOGIN), enrolled=())
    for elsewhere, login in (({"ada@fjordvik.example": 2}, None), ({}, "ada@fjordvik.example")):
        decision = decide(gathered(before, now, terms(), holders=LoginHolders(elsewhere)), terms(), BEFORE)
        (change,) = (one for one in decision.delta.changes if one.key == person(1))
        assert isinstance(change.record, PersonRecord)
        assert change.record.login == login


def test_waiting_persons_are_published_under_a_new_source() -> None:
    people = [a_person(1), a_person(2)]
    before, now = school(*people, enrolled=(1, 2)), school(*people, enrolled=(2,))
    waiting = Waiting({1: HoldEntry(Cause.SETTING, _losses(before, now)[1])})
    on = terms(source="fjordvik")
    decision = decide(gathered(before, now, on, waiting), on, BEFORE)
    text = decision.delta.upserts[person(1)]
    assert read_fragment(person(1), text).source == "fjordvik"
    assert removed(decision) == set()


def test_a_record_that_moves_to_another_running_number_is_noted() -> None:
    same = {"feide_name": None, "email": None}
    before = school(a_person(1, **same), enrolled=(1,))
    now = school(
        a_person(1, national_id=None, **same), a_person(2, national_id=a_birth_number(1), **same), enrolled=(2,)
    )
    decision = decide(gathered(before, now, terms()), terms(), BEFORE)
    assert removed(decision) == set()
    assert decision.moved[person(1)] == (2, None)


def test_groups_left_alone_are_not_compared() -> None:
    before, now = school(enrolled=()), facts_of(an_owner(), a_school(1))
    assert removed(decide(gathered(before, now, terms()), terms(), BEFORE)) == {RecordKey(RecordKind.GROUP, "group-1")}
    alone = gathered(before, now, terms(), left_alone=frozenset({"group-1"}))
    alone = Gathered(alone.scope, alone.roster, alone.published, alone.left_alone)
    assert removed(decide(alone, terms(), BEFORE)) == set()


def test_an_order_to_leave_ends_when_every_target_agrees() -> None:
    facts = facts_of(
        an_owner(), a_school(1), a_group(1, ends_on=NOW.date() - timedelta(days=1)), a_person(1), an_enrolment(1)
    )
    for grace, left in ((0, [1]), (3, [])):
        views = [a_target(), a_target(grace_days=grace)]
        orders = LeaveOrders({1: True}, facts, views, NOW)
        found = gathered(facts, facts, terms(), orders=orders)
        assert decide(found, terms(), BEFORE).left == left


def test_teachers_of_a_school_without_a_number_wait() -> None:
    teacher = (an_owner(), a_person(1), an_employee(1, person=1, school=1))
    before, now = facts_of(*teacher, a_school(1)), facts_of(*teacher, a_school(1, school_no=None))
    for numbers, waits in ((SchoolNumbers(), {}), (SchoolNumbers(missing=True, teachers=frozenset({1})), {1})):
        decision = decide(gathered(before, now, terms(), numbers=numbers), terms(), BEFORE)
        assert decision.holds is not None
        assert set(decision.holds.after.persons) == set(waits)


def test_a_group_waits_when_its_school_loses_the_number() -> None:
    before = school(a_person(1), a_person(2), enrolled=(1,))
    now = facts_of(an_owner(), a_school(1, school_no=None), a_group(1), a_person(1), an_enrolment(1))
    decision = decide(gathered(before, now, terms()), terms(), BEFORE)
    assert decision.holds is not None
    assert decision.holds.after.groups.keys() == {"group-1"}
    assert decision.holds.after.persons.keys() == {1}
    assert removed(decision) == set()


def test_a_school_group_waits_when_a_school_has_no_number() -> None:
    on = terms(org_groups=True)
    before, now = facts_of(an_owner(), a_school(1)), facts_of(an_owner(), a_school(1, school_no=None))
    was = roster(before, on)
    published = Published({key: fragment(record) for key, record in was.records.items()}, was.subjects)
    current = roster(now, on)
    for missing, waits in ((True, {"school-NO1"}), (False, set())):
        holds = HoldState(
            {}, gone_groups(published.texts, current), Waiting(), [], PublishedCounts(), (frozenset(), frozenset()), NOW
        )
        found = Gathered(Scope([], []), current, published, numbers=SchoolNumbers(missing=missing), holds=holds)
        decision = decide(found, on, BEFORE)
        assert decision.holds is not None
        assert decision.holds.after.groups.keys() == waits


def test_losses_by_a_load_wait_and_losses_by_events_do_not() -> None:
    people = [a_person(1), a_person(2)]
    before = facts_of(
        an_owner(), a_school(1), a_group(1), a_group(2), *people, an_enrolment(1), an_enrolment(2, person=2)
    )
    now = facts_of(an_owner(), a_school(1), *people)
    found = gathered(before, now, terms())
    assert found.holds is not None
    explained = replace(found, holds=replace(found.holds, explained=(frozenset({1}), frozenset({2}))))
    decision = decide(explained, terms(), BEFORE, Cause.RESYNC)
    assert decision.holds is not None
    assert decision.holds.after.persons.keys() == {2}
    assert decision.holds.after.groups.keys() == {"group-1"}
    assert {key.kind for key in removed(decision)} == {RecordKind.PERSON, RecordKind.MEMBERSHIP, RecordKind.GROUP}


def test_another_dialect_deletes_the_former_ones_tombstones() -> None:
    facts = school(a_person(1), enrolled=(1,))
    assert decide(gathered(facts, facts, terms()), terms(dialect="pifu"), BEFORE).another_dialect
    assert not decide(gathered(facts, facts, terms()), terms(), BEFORE).another_dialect


def test_urgent_persons_are_removed_and_their_groups_stay() -> None:
    before = school(a_person(1, **SAME_LOGIN), enrolled=(1,))
    found = gathered(before, before, terms())
    decision = decide_urgent(found, BEFORE)
    assert {key.kind for key in removed(decision)} == {RecordKind.PERSON, RecordKind.MEMBERSHIP}
    assert decision.holds is None


def test_a_published_login_is_read_as_compared() -> None:
    record = PersonRecord("imsfeed", "1", "Æda&Co", "Ada", "Li", None, ())
    assert published_login(fragment(record)) == "æda&co"
    assert published_login("<person></person>") is None


def _losses(before: Facts, now: Facts) -> dict[int, Any]:
    was = roster(before, terms())
    texts = {key: fragment(record) for key, record in was.records.items()}
    return losses(texts, was.person_ids, roster(now, terms()))
