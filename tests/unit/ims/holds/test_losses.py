"""What persons lose between what was told and what is so now."""

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


def so(*facts: Any, **settings: Any) -> Roster:
    found = facts_of(*facts)
    return roster_of(found, a_target(**settings), orgnr=ORGNR, today=TODAY, persons=found.persons, groups=found.groups)


def texts(roster: Roster, settings: TargetSettings | None = None) -> dict[RecordKey, str]:
    dialect = (settings or a_target()).dialect
    return {key: fragment(record, dialect=dialect) for key, record in roster.records.items()}


def lost(before: Roster, now: Roster, **settings: Any) -> dict[int, Loss]:
    return losses(texts(before, a_target(**settings)), before.person_ids, now)


TWO = (a_group(1), a_group(2), an_enrolment(1), an_enrolment(2, group=2))


def test_who_keeps_everything_loses_nothing() -> None:
    assert lost(so(a_person(1), *TWO), so(a_person(1, family_name="Ny"), *TWO)) == {}


def test_one_membership_of_two_is_not_the_last() -> None:
    assert lost(so(a_person(1), *TWO), so(a_person(1), *TWO[:3])) == {1: Loss(groups=("group-2",))}


def test_who_is_gone_loses_the_last_membership_and_all_groups() -> None:
    now = so(a_person(1), a_group(1), a_group(2))
    assert lost(so(a_person(1), *TWO), now) == {1: Loss(gone=True, last=True, groups=("group-1", "group-2"))}


def test_a_changed_id_is_no_lost_membership() -> None:
    now = so(a_person(1, national_id=a_person(2).national_id), *TWO)
    assert lost(so(a_person(1), *TWO), now) == {1: Loss(id_changed=True)}


def test_a_teacher_is_known_by_what_was_told_in_either_dialect() -> None:
    facts = (a_person(1), a_person(2), a_group(1), an_employee(1), an_enrolment(1), an_enrolment(2, person=2))
    for dialect in ("ims", "pifu"):
        before = so(*facts, dialect=dialect)
        found = lost(before, so(dialect=dialect), dialect=dialect)
        assert {number: loss.teacher for number, loss in found.items()} == {1: True, 2: False}
        assert count_teachers(texts(before, a_target(dialect=dialect))) == 1


def test_an_id_that_another_running_number_has_now_is_not_gone() -> None:
    before = so(a_person(1), a_group(1), an_enrolment(1))
    now = so(
        a_person(1, national_id=None),
        a_person(9, national_id=a_person(1).national_id),
        a_group(1),
        an_enrolment(1, person=9),
    )
    assert lost(before, now) == {}


def test_a_digest_is_of_the_set_and_not_of_its_order_and_of_everything_in_it() -> None:
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
