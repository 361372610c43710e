"""A manifest in the feed may be replaced by one from the state database, or halts the target."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from ims.feed.conflicts import HaltReason, Recorded, contradiction, text_of
from ims.feed.manifest import Counts, DeltaEntry, Manifest, SnapshotEntry, Totals, delta_path, snapshot_path

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
DAY = date(2026, 10, 15)


def digest(text: str) -> str:
    return (text * 64)[:64]


def a_manifest(*deltas: int, snapshot: int = 0, **changes: Any) -> Manifest:
    """Return a manifest in which delta 1 has the digest 1111..., and the snapshot the digest eeee..."""
    entries = [
        DeltaEntry(
            seq=n,
            path=delta_path(n),
            sha256=digest(str(n)),
            prev_sha256=digest("0"),
            size=1,
            created=NOW,
            oldest_event_at=None,
            counts=Counts(),
        )
        for n in deltas
    ]
    manifest = Manifest(
        target="lms",
        epoch="now",
        head_seq=deltas[-1] if deltas else snapshot,
        oldest_delta_seq=deltas[0] if deltas else None,
        generated=NOW,
        checked=NOW,
        expires=NOW,
        state="ok",
        snapshot=SnapshotEntry(
            seq=snapshot,
            path=snapshot_path(DAY, snapshot),
            sha256=digest("e"),
            size=1,
            counts=Totals(),
            local_date=DAY,
        ),
        deltas=entries,
        next_snapshot=NOW,
    )
    return msgspec.structs.replace(manifest, **changes)


def recorded(**changes: Any) -> Recorded:
    """Return a record of a feed whose last delta is delta 3."""
    known = Recorded(
        epoch="now",
        former_epochs=frozenset({"once"}),
        head_seq=3,
        head_sha256=digest("3"),
        delta_sha256=None,
        snapshot_sha256=digest("e"),
    )
    return msgspec.structs.replace(known, **changes)


def test_a_manifest_that_agrees_with_the_record_may_be_replaced() -> None:
    assert contradiction(a_manifest(1, 2, 3), recorded()) is None


def test_an_older_manifest_may_be_replaced() -> None:
    assert contradiction(a_manifest(1, 2), recorded(delta_sha256=digest("2"))) is None


def test_an_older_manifest_without_a_recorded_delta_may_be_replaced() -> None:
    assert contradiction(a_manifest(1, 2), recorded()) is None


@pytest.mark.parametrize("head", [None, 0, 2])
def test_a_manifest_with_a_greater_number_is_ahead(head: int | None) -> None:
    assert contradiction(a_manifest(1, 2, 3), recorded(head_seq=head)) is HaltReason.AHEAD


def test_the_same_number_with_another_digest_is_ahead() -> None:
    assert contradiction(a_manifest(1, 2, 3), recorded(head_sha256=digest("4"))) is HaltReason.AHEAD


def test_an_older_number_with_another_digest_is_ahead() -> None:
    assert contradiction(a_manifest(1, 2), recorded(delta_sha256=digest("4"))) is HaltReason.AHEAD


@pytest.mark.parametrize("known", [None, digest("f")])
def test_a_first_snapshot_with_another_digest_is_ahead(known: str | None) -> None:
    found = contradiction(a_manifest(snapshot=3), recorded(snapshot_sha256=known))
    assert found is HaltReason.AHEAD


def test_another_epoch_is_unknown_unless_it_is_a_former_one() -> None:
    assert contradiction(a_manifest(1, epoch="other"), recorded()) is HaltReason.UNKNOWN_EPOCH
    assert contradiction(a_manifest(9, epoch="once"), recorded()) is None


@pytest.mark.parametrize("halt_reason", HaltReason)
def test_every_halt_reason_names_a_command_for_the_operator(halt_reason: HaltReason) -> None:
    named = "`imsfeed republish lms" in text_of(halt_reason, "lms")
    assert named is (halt_reason is not HaltReason.FOLDER_TAKEN), "no command takes another target's folder"
