"""Writes the conformance kit: events, targets, the feeds that a replay writes from them, and a page about them."""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from consumers.replay import events_file
from consumers.replay.replay import Replay
from deploy.kit.scenario import END, ROSTER, START, TARGETS, Case, cases
from ims.feed.manifest import MANIFEST, DeltaEntry, decode
from ims.identifiers.national_id import NationalId
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import FACT_TYPES, Fact, Owner
from ims.targets.written_settings import to_toml

EVENTS: Final = "events.jsonl"
TARGETS_FILE: Final = "targets.toml"
FEED: Final = "feed"
PAGE: Final = "README.md"
_OSLO: Final = ZoneInfo("Europe/Oslo")
_A_MOMENT: Final = timedelta(seconds=0.1)


def write(folder: Path) -> None:
    """Write the kit into *folder*, and remove the feeds of an older kit first."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / FEED, ignore_errors=True)
    lines = list(_lines())
    (folder / EVENTS).write_bytes(b"".join(lines))
    (folder / TARGETS_FILE).write_text(to_toml(TARGETS), encoding="utf-8")
    Replay(TARGETS, folder / FEED, EVENTS, holds=False).run(events_file.read(lines, EVENTS), END)
    (folder / PAGE).write_text(_page(folder / FEED), encoding="utf-8")


class _Change(NamedTuple):
    """A row that is created or changed (``c``), loaded (``r``) or deleted (``d``)."""

    op: str
    fact: Fact


def _lines() -> Iterator[bytes]:
    numbers = count(1_000)
    yield from _transaction(START, [_Change("r", fact) for fact in ROSTER], next(numbers))
    for case in cases():
        at = _time(case)
        changes = [[_Change("c", fact) for fact in facts] for facts in case.transactions] or [[]]
        changes[0] = [*(_Change("d", fact) for fact in case.deleted), *changes[0]]
        for number, transaction in enumerate(changes):
            yield from _transaction(at + number * _A_MOMENT, transaction, next(numbers), whole=case.whole)
        for target, settings in case.settings.items():
            yield events_file.settings_line(at, target, settings)
        if case.raw is not None:
            yield events_file.raw_line(at, case.raw)


def _transaction(at: datetime, changes: Sequence[_Change], number: int, *, whole: bool = True) -> Iterator[bytes]:
    """Yield the events of one transaction.

    Each owner has a partition of its own, and the last event of each partition is marked, unless the transaction is not
    *whole*.
    """
    last = {change.fact.owner_id: ordinal for ordinal, change in enumerate(changes, 1)}
    for ordinal, (op, fact) in enumerate(changes, 1):
        row = _row(fact)
        envelope = Envelope(
            before=_key(fact, row) if op == "d" else None,
            after=None if op == "d" else row,
            source=Source(schema="public", table=_table(fact), ts_ms=int(at.timestamp() * 1000), epoch=1),
            op=op,
            transaction=Transaction(
                f"{number}:{number * 100}", ordinal, 1, last=(whole and last[fact.owner_id] == ordinal) or None
            ),
        )
        yield events_file.message_line(at, encode(envelope), partition=fact.owner_id)


def _row(fact: Fact) -> dict[str, Any]:
    return {name: _json(value) for name, value in msgspec.structs.asdict(fact).items()}


def _json(value: object) -> object:
    if isinstance(value, NationalId):
        return value.reveal()
    return value.isoformat() if isinstance(value, date) else value


def _key(fact: Fact, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (("owner_id",) if isinstance(fact, Owner) else ("owner_id", "id"))}


def _table(fact: Fact) -> str:
    return next(table.value for table, kind in FACT_TYPES.items() if isinstance(fact, kind))


def _time(case: Case) -> datetime:
    return START + timedelta(hours=case.hours)


_HEAD: Final = """# Conformance kit

A synthetic school owner with every kind of change that an importer must handle, as change events and as the feeds that
result from them. None of the persons exists. `make kit` writes all of it again, this page too, always with the same
bytes.

- `events.jsonl`: the changes, in the [format of a replay](../../events-file.md)
- `targets.toml`: the targets, as `imsfeed targets apply` reads them
- `feed/`: the output of `imsfeed replay events.jsonl --targets targets.toml --out feed --until {end} --no-holds`;
  in production some of it would [wait for an approval](../../holds.md)

An importer conforms if, for each target, all of these are true:

1. After the first snapshot and then every delta in order, it has exactly what the last snapshot contains.
   `imsfeed verify feed` checks that the feed itself has this property.
2. Applying a delta a second time changes nothing more.
3. The last snapshot alone leads to the same result.
4. A file that is not as the manifest says is not applied, and the position stays where it was. The importer does not
   take an older snapshot instead, however often it tries.

`moodle` is a feed for an importer that ignores what it knows and cannot undo a group's removal: new persons and groups
come as 1 and 2, and closed groups without a record ([the contract](../contract.md#files)).
`imsfeed verify feed/310000000/moodle --as-importer moodle` plays that importer.

## Faults to try

Copy a feed, make the fault, and let an importer read it that has followed the deltas up to 10.

| fault | what conforms |
|---|---|
| a byte of `deltas/12.xml` is another | the position is 11, exit code 5, also at the next rounds; no person returns |
| … and is right again | it goes on with 12 |
| … and stays wrong, and the manifest's snapshot has a `seq` of 12 or more | that snapshot, then what is after it |
| … and stays wrong, and the manifest's snapshot is older | nothing: it would bring leavers back |
| `deltas/12.xml` is missing | as a byte that is another |
| `prev_sha256` of delta 12 is another | as a byte that is another |
| the manifest is an older one, with `head_seq` 5 | nothing is applied; an operator is alerted, exit code 5 |
| `epoch` is another | the snapshot |
| `expires` has passed | an operator is alerted, exit code 4; no person is removed |
| delta 11 comes a second time | nothing changes |
| a field that is not known | ignored |
| `format` is 2 | nothing is read; a newer reader is asked for |

## The changes

Times are in Oslo. The cells give the numbers of the deltas; a dash means that nothing is published to that target.

"""


def _page(feed: Path) -> str:
    published = _published(feed)
    rows = [(START, "The roster is loaded: the first snapshots"), *((_time(case), case.title) for case in cases())]
    known = {at for at, _ in rows}
    days = sorted({at for deltas in published.values() for at in deltas} - known)
    rows = sorted([*rows, *((at, "A new day: enrolments and groups begin or have ended") for at in days)])
    head = ["time", "change", *(f"`{name}`" for name in published)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for at, title in rows:
        cells = [", ".join(map(str, deltas.get(at, []))) or "-" for deltas in published.values()]
        lines.append(f"| {at.astimezone(_OSLO):%d %b %H:%M} | {title} | {' | '.join(cells)} |")
    return _HEAD.format(end=f"{END:%Y-%m-%dT%H:%M:%SZ}") + "\n".join(lines) + "\n"


def _published(feed: Path) -> Mapping[str, Mapping[datetime, list[int]]]:
    """Return the numbers of each feed's deltas, by the time of the case or the midnight that led to them."""
    starts = [_time(case) for case in cases()]
    published: dict[str, dict[datetime, list[int]]] = {}
    for path in sorted(feed.rglob(MANIFEST)):
        deltas = published[path.parent.relative_to(feed).as_posix()] = defaultdict(list)
        for entry in decode(path.read_bytes()).deltas:
            deltas[_cause(entry, starts)].append(entry.seq)
    return published


def _cause(entry: DeltaEntry, starts: Sequence[datetime]) -> datetime:
    return next((at for at in starts if at <= entry.created < at + timedelta(seconds=1)), entry.created)
