"""The limits of logins, memberships and groups, and what ends by its date."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ims.holds.decision import Compared, Decision, Origin, Waiting, decide
from ims.holds.limits import Changed, Departure, Limits, PublishedCounts
from ims.holds.losses import Cause, HoldEntry, Loss, gone_groups, losses
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster, roster_of
from ims.xml.writer import fragment
from tests.support.builders import ORGNR, TODAY, a_group, a_person, a_target, an_employee, an_enrolment, facts_of

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
PERSONS, GROUPS = range(1, 51), range(1, 31)


def school(
    groups: Collection[int] = GROUPS, ended: Collection[tuple[int, int]] = (), login: Any = None, teacher: int = 0
) -> Roster:
    """Return the roster of fifty persons, each in the two groups that follow the person's number."""
    emails = {number: login(number) if login else f"person{number}@fjordvik.example" for number in PERSONS}
    memberships = [(n, 1 + (n + more) % 30) for n in PERSONS for more in range(4)]
    rows: list[Any] = [a_person(n, email=emails[n], feide_name=None) for n in PERSONS]
    rows += [a_group(number) for number in groups]
    rows += [
        an_enrolment(1 + index, person=n, group=g, role="teacher" if n <= teacher else "learner")
        for index, (n, g) in enumerate(memberships)
        if (n, g) not in ended
    ]
    rows += [an_employee(n, person=n) for n in PERSONS if n <= teacher]
    found = facts_of(*rows)
    return roster_of(found, a_target(), orgnr=ORGNR, today=TODAY, persons=found.persons, groups=found.groups)


def decided(
    now: Roster,
    before: Roster | None = None,
    changed: Changed | None = None,
    waiting: Waiting | None = None,
    departures: Collection[Departure] = (),
    **settings: Any,
) -> Decision:
    before = before or school()
    published = {key: fragment(record) for key, record in before.records.items()}
    counts = PublishedCounts(50, 5, 200, 20, 30)
    limits = Limits(a_target(**settings), departures, counts, NOW, changed)
    lost = losses(published, before.person_ids, now)
    compared = Compared(published, before.person_ids, now)
    return decide(compared, lost, gone_groups(published, now), Origin(), waiting or Waiting(), limits)


def held(decision: Decision) -> set[Cause]:
    return {entry.cause for entry in decision.waiting.persons.values()} | {
        entry.cause for entry in decision.waiting.groups.values()
    }


def memberships_of(persons: Collection[int], each: int) -> set[tuple[int, int]]:
    return {(n, 1 + (n + more) % 30) for n in persons for more in range(each)}


def test_many_emptied_logins_wait() -> None:
    found = decided(school(login=lambda n: None if n <= 6 else f"person{n}@fjordvik.example"))
    assert held(found) == {Cause.LOGINS}
    assert set(found.waiting.persons) == {1, 2, 3, 4, 5, 6}


def test_many_changed_logins_wait_and_a_few_do_not() -> None:
    assert held(decided(school(login=lambda n: f"new{n}@fjordvik.example"))) == {Cause.LOGINS}
    few = decided(school(login=lambda n: f"{'new' if n <= 5 else 'person'}{n}@fjordvik.example"))
    assert held(few) == set()
    assert [one.person for one in few.departures if one.login] == [1, 2, 3, 4, 5]


def test_a_login_in_other_letters_is_the_same_login() -> None:
    assert decided(school(login=lambda n: f"Person{n}@Fjordvik.example")).departures == []


def test_first_logins_of_many_do_not_wait() -> None:
    before = school(login=lambda _: None)
    assert held(decided(school(), before)) == set()


def test_many_memberships_that_are_not_the_last_wait() -> None:
    found = decided(school(ended=memberships_of(range(1, 20), 3)))
    assert held(found) == {Cause.MEMBERSHIPS}
    assert set(found.waiting.persons) == set(range(1, 20))


def test_the_end_of_one_group_does_not_wait() -> None:
    assert held(decided(school(ended=memberships_of(range(1, 14), 3)))) == set()


def test_ended_memberships_of_the_last_hour_count() -> None:
    before = [Departure(40, NOW - timedelta(minutes=9), group=f"group-{number}") for number in range(1, 31)]
    assert held(decided(school(ended=memberships_of(range(1, 5), 3)), departures=before)) == {Cause.MEMBERSHIPS}


def test_teachers_memberships_have_a_limit_of_their_own() -> None:
    found = decided(school(ended=memberships_of(range(1, 5), 3), teacher=5), school(teacher=5))
    assert held(found) == {Cause.TEACHER_MEMBERSHIPS}


def test_many_removed_groups_wait_with_their_members() -> None:
    found = decided(school(groups=[30]))
    assert Cause.GROUPS in held(found)
    assert set(found.waiting.groups) == {f"group-{number}" for number in range(1, 30)}
    gone = RecordKey(RecordKind.GROUP, "group-1")
    assert gone not in found.published, "it is left out of the comparison, so that it stays published"


def test_a_few_removed_groups_do_not_wait() -> None:
    found = decided(school(groups=range(1, 29)))
    assert held(found) == set()
    assert {one.group for one in found.departures if not one.person} == {"group-29", "group-30"}


def test_groups_stay_on_hold_until_approved() -> None:
    first = decided(school(groups=[30]))
    later = decided(school(groups=[30]), waiting=first.waiting)
    assert later.waiting.groups.keys() == first.waiting.groups.keys()
    approved = Waiting(
        {n: HoldEntry(one.cause, one.loss, one.own, approved=True) for n, one in first.waiting.persons.items()},
        {n: HoldEntry(one.cause, one.loss, one.own, approved=True) for n, one in first.waiting.groups.items()},
    )
    assert not decided(school(groups=[30]), waiting=approved).waiting


def test_what_ends_by_its_date_counts_against_no_limit_of_memberships() -> None:
    closed = school(groups=range(20, 31), ended=memberships_of([40], 1))
    assert held(decided(closed, hold_day_persons=50, hold_hour_persons=50, hold_hour_teachers=9)) != set()
    by_date = Changed(frozenset({40}), frozenset())
    found = decided(closed, changed=by_date, hold_day_persons=50, hold_hour_persons=50)
    assert held(found) == set()


def test_memberships_that_end_by_their_date_do_not_wait() -> None:
    ended = school(ended=memberships_of(range(1, 20), 3))
    assert held(decided(ended, changed=Changed(frozenset({40}), frozenset({"group-30"})))) == set()
    assert held(decided(ended, changed=Changed(frozenset(range(1, 20)), frozenset()))) == {Cause.MEMBERSHIPS}


@pytest.mark.parametrize("loss", [Loss(login_changed=True), Loss(login_changed=True, teacher=True)])
def test_a_changed_login_alone_is_a_loss(loss: Loss) -> None:
    assert loss
    assert loss.only_login
    assert not loss.within(Loss())
