from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from ims.errors import FeedError
from ims.feed.manifest import (
    Counts,
    DeltaEntry,
    KindCounts,
    Manifest,
    SnapshotEntry,
    SnapshotName,
    Totals,
    decode,
    delta_path,
    encode,
    parse_snapshot_name,
    snapshot_path,
)

AT = datetime(2026, 8, 17, 8, 0, 0, tzinfo=UTC)
MANIFEST = Manifest(
    target="lms",
    epoch="e7c1",
    head_seq=12,
    oldest_delta_seq=12,
    generated=AT,
    checked=AT,
    expires=AT.replace(day=18),
    state="ok",
    snapshot=SnapshotEntry(
        seq=11,
        path="snapshots/2026-08-17-11.xml",
        sha256="a" * 64,
        size=1000,
        counts=Totals(person=2, group=1, membership=2),
        local_date=date(2026, 8, 17),
    ),
    deltas=[
        DeltaEntry(
            oldest_event_at=None,
            seq=12,
            path="deltas/12.xml",
            sha256="b" * 64,
            prev_sha256="c" * 64,
            size=500,
            created=AT,
            counts=Counts(membership=KindCounts(gone=1)),
        )
    ],
    next_snapshot=AT.replace(day=18, hour=0),
)
TEXT = """\
{
  "format": 1,
  "target": "lms",
  "epoch": "e7c1",
  "epoch_seq": 0,
  "head_seq": 12,
  "oldest_delta_seq": 12,
  "generated": "2026-08-17T08:00:00Z",
  "checked": "2026-08-17T08:00:00Z",
  "expires": "2026-08-18T08:00:00Z",
  "state": "ok",
  "snapshot": {
    "seq": 11,
    "path": "snapshots/2026-08-17-11.xml",
    "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "size": 1000,
    "counts": {
      "person": 2,
      "group": 1,
      "membership": 2
    },
    "local_date": "2026-08-17"
  },
  "deltas": [
    {
      "seq": 12,
      "path": "deltas/12.xml",
      "sha256": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "prev_sha256": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
      "size": 500,
      "created": "2026-08-17T08:00:00Z",
      "oldest_event_at": null,
      "counts": {
        "person": {
          "new": 0,
          "changed": 0,
          "gone": 0
        },
        "group": {
          "new": 0,
          "changed": 0,
          "gone": 0
        },
        "membership": {
          "new": 0,
          "changed": 0,
          "gone": 1
        }
      }
    }
  ],
  "next_snapshot": "2026-08-18T00:00:00Z",
  "ready_by": null
}
"""


def with_(changes: dict[str, Any]) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(TEXT) | changes)


def test_a_manifest_is_readable_json() -> None:
    assert encode(MANIFEST).decode() == TEXT


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert decode(encode(MANIFEST)) == MANIFEST


def test_a_field_of_a_later_version_is_ignored() -> None:
    assert decode(with_({"signature": "x"})) == MANIFEST


def test_another_format_is_refused() -> None:
    with pytest.raises(FeedError, match="format 2"):
        decode(with_({"format": 2}))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"state": "fine"}, "state"),
        ({"head_seq": -1}, "head_seq"),
        ({"generated": "2026-08-17T08:00:00"}, "generated"),
        ({"epoch": None}, "epoch"),
        ({"snapshot": msgspec.json.decode(TEXT)["snapshot"] | {"sha256": "A" * 64}}, "sha256"),
        ({"deltas": [msgspec.json.decode(TEXT)["deltas"][0] | {"seq": 0}]}, "seq"),
        ({"deltas": [msgspec.json.decode(TEXT)["deltas"][0] | {"prev_sha256": ""}]}, "prev_sha256"),
    ],
)
def test_a_wrong_field_is_refused_and_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FeedError, match=field):
        decode(with_(changes))


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", TEXT.encode()[:-20]])
def test_bytes_that_are_not_a_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(FeedError, match=r"manifest\.json"):
        decode(data)


def test_a_path_contains_the_number_and_the_day() -> None:
    assert delta_path(7) == "deltas/7.xml"
    assert snapshot_path(date(2026, 8, 7), 0) == "snapshots/2026-08-07-0.xml"


def test_a_snapshots_name_is_parsed_into_number_and_day() -> None:
    name = SnapshotName(12, date(2026, 8, 7))
    assert parse_snapshot_name(name.path.removeprefix("snapshots/")) == name


@pytest.mark.parametrize(
    "name", ["2026-08-07-0.xml.tmp", ".2026-08-07-0.xml", "2026-13-07-0.xml", "2026-08-07.xml", "2026-08-07-٢.xml", "x"]
)
def test_another_name_is_not_a_snapshots(name: str) -> None:
    assert parse_snapshot_name(name) is None


def test_snapshots_are_sorted_by_number_then_day() -> None:
    days = [date(2026, 8, 7), date(2026, 8, 8)]
    names = [SnapshotName(10, days[1]), SnapshotName(2, days[1]), SnapshotName(0, days[1]), SnapshotName(0, days[0])]
    assert sorted(names) == names[::-1]
