"""The rounds of a publication: their number, terms and causes."""

from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from consumers.database.targets_table import FeedPosition, Outstanding, OwnerState, TargetRow
from consumers.facts.pending_changes import Days, Pending, as_changed, settled
from consumers.publication.rounds import Round, rounds
from ims.holds.losses import Cause
from tests.support.builders import ORGNR, a_target

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
TODAY = date(2026, 10, 15)
NOTHING = settled((), 0, after=7)
PERSON = as_changed([1], [])


def a_row(dated_through: date = TODAY, **outstanding: Any) -> TargetRow:
    position = FeedPosition(
        epoch="e", orgnr=ORGNR, head_seq=3, dated_through=dated_through, published_settings=a_target()
    )
    return TargetRow(
        target_id=1,
        owner_id=1,
        settings=a_target(),
        position=position,
        owner=OwnerState(ORGNR),
        outstanding=Outstanding(**outstanding),
    )


def of(row: TargetRow, pending: Pending = NOTHING, explained: Pending = NOTHING, now: datetime = NOW) -> list[Round]:
    return rounds(row, pending, explained, now)


def test_nothing_is_published_when_nothing_has_changed() -> None:
    assert of(a_row()) == []


def test_a_settled_change_is_one_round_without_a_cause() -> None:
    (only,) = of(a_row(), PERSON)
    assert (only.cause, only.request.everybody, only.request.explained) == (None, False, None)


def test_a_review_is_a_round_without_changes() -> None:
    (only,) = of(a_row(review=True, held=True))
    assert only.request.review


def test_a_day_that_has_passed_is_a_round_about_its_dates() -> None:
    (only,) = of(a_row(dated_through=date(2026, 10, 13)))
    assert only.request.days == Days(date(2026, 10, 13), TODAY, 0, 0, 365)


def test_a_clock_that_was_set_back_passes_no_days() -> None:
    (only,) = of(a_row(dated_through=date(2026, 10, 20)), PERSON)
    assert (only.terms.today, only.request.days) == (date(2026, 10, 20), None)


def test_a_load_is_a_cause_and_events_explain_the_rest() -> None:
    (only,) = of(a_row(), replace(PERSON, everything=True), as_changed([1, 2], []))
    assert (only.cause, only.request.everybody) == (Cause.RESYNC, True)
    assert only.request.explained == as_changed([1, 2], [])


def test_a_repair_compares_everything_as_a_load_does() -> None:
    (only,) = of(a_row(repair=True))
    assert (only.cause, only.request.everybody, only.request.explained) == (Cause.RESYNC, True, NOTHING)


def test_changed_settings_are_a_second_round_of_their_own() -> None:
    row = replace(a_row(recompute=True), settings=a_target(scope="grunnskole"))
    first, second = of(row, replace(PERSON, through=9))
    assert (first.terms.settings.scope, first.cause, first.request.everybody) == ("all", None, True)
    assert (second.terms.settings.scope, second.cause, second.request.everybody) == ("grunnskole", Cause.SETTING, True)
    assert not second.request.changes
    assert second.request.changes.through == first.request.changes.through == 9


def test_settings_that_were_changed_back_are_one_round() -> None:
    (only,) = of(a_row(recompute=True))
    assert (only.cause, only.request.everybody) == (None, True)


def test_the_position_after_a_round_says_what_was_published() -> None:
    row = a_row()
    (only,) = of(row, replace(PERSON, through=9))
    after = only.position_after(row.position)
    assert (after.changes_through, after.dated_through, after.source) == (9, TODAY, f"imsfeed@{ORGNR}")
    assert after.published_settings == row.settings
