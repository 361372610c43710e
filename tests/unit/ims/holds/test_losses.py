"""What persons lose between the published and the current state."""

from typing import Any

from ims.holds.losses import Cause, Loss, count_teachers, digest, losses
from ims.records.model import RecordKey
from ims.rules.roster import Roster, roster_of
from ims.targets.target_settings import TargetSettings
from ims.xml.writer import fragment
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_group,
    a_person,
    a_target,
    an_employee,
    an_enrolment,
    facts_of,
)


def roster_from(*facts: Any, **settings: Any) -> Roster:
    found = facts_of(*facts)
    return roster_of(found, a_target(**settings), orgnr=ORGNR, today=TODAY, persons=found.persons, groups=found.groups)


def texts(roster: Roster, settings: TargetSettings | None = None) -> dict[RecordKey, str]:
    dialect = (settings or a_target()).dialect
    return {key: fragment(record, dialect=dialect) for key, record in roster.records.items()}


def lost(before: Roster, now: Roster, **settings: Any) -> dict[int, Loss]:
    return losses(texts(before, a_target(**settings)), before.person_ids, now)


TWO = (a_group(1), a_group(2), an_enrolment(1), an_enrolment(2, group=2))


def test_a_person_who_keeps_everything_loses_nothing() -> None:
    assert lost(roster_from(a_person(1), *TWO), roster_from(a_person(1, family_name="Ny"), *TWO)) == {}


def test_one_membership_of_two_is_not_the_last() -> None:
    assert lost(roster_from(a_person(1), *TWO), roster_from(a_person(1), *TWO[:3])) == {1: Loss(groups=("group-2",))}


def test_a_removed_person_loses_all_groups() -> None:
    now = roster_from(a_person(1), a_group(1), a_group(2))
    assert lost(roster_from(a_person(1), *TWO), now) == {1: Loss(gone=True, last=True, groups=("group-1", "group-2"))}


def test_a_changed_id_is_no_lost_membership() -> None:
    now = roster_from(a_person(1, national_id=a_person(2).national_id), *TWO)
    assert lost(roster_from(a_person(1), *TWO), now) == {1: Loss(id_changed=True)}


def test_a_teacher_is_known_by_the_published_text_in_either_dialect() -> None:
    facts = (a_person(1), a_person(2), a_group(1), an_employee(1), an_enrolment(1), an_enrolment(2, person=2))
    for dialect in ("ims", "pifu"):
        before = roster_from(*facts, dialect=dialect)
        found = lost(before, roster_from(dialect=dialect), dialect=dialect)
        assert {number: loss.teacher for number, loss in found.items()} == {1: True, 2: False}
        assert count_teachers(texts(before, a_target(dialect=dialect))) == 1


def test_an_id_that_moved_to_another_running_number_is_not_lost() -> None:
    before = roster_from(a_person(1), a_group(1), an_enrolment(1))
    now = roster_from(
        a_person(1, national_id=None),
        a_person(9, national_id=a_person(1).national_id),
        a_group(1),
        an_enrolment(1, person=9),
    )
    assert lost(before, now) == {}


def test_a_digest_depends_on_every_part_but_not_on_order() -> None:
    one, other = Loss(gone=True, last=True, groups=("a", "b")), Loss(id_changed=True)
    whole = digest(Cause.PERSONS, {1: one, 2: other}, ["g", "h"])
    assert digest(Cause.PERSONS, {2: other, 1: Loss(gone=True, last=True, groups=("b", "a"))}, ["h", "g"]) == whole
    others = {
        digest(Cause.TEACHERS, {1: one, 2: other}, ["g", "h"]),
        digest(Cause.PERSONS, {1: one}, ["g", "h"]),
        digest(Cause.PERSONS, {1: other, 2: one}, ["g", "h"]),
        digest(Cause.PERSONS, {1: one, 2: other}, ["g"]),
        digest(Cause.PERSONS, {1: Loss(gone=True, groups=("a",)), 2: other}, ["g", "h"]),
        digest(Cause.PERSONS, {1: Loss(groups=("a", "b")), 2: other}, ["g", "h"]),
        digest(Cause.PERSONS, {1: one, 2: Loss()}, ["g", "h"]),
    }
    assert whole not in others
    assert len(others) == 7
