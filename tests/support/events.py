"""Scenarios as lines of an events file, and their replay.

>>> scenario = Scenario()
>>> scenario.commit(0, builders.an_owner())
>>> [line.at == START for line in scenario.lines()]
[True]
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from consumers.feed.feed_directory import verify_folder
from consumers.replay import events_file
from consumers.replay.events_file import Line
from consumers.replay.replay import Replay, Result
from ims.feed.manifest import Manifest, decode
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import Fact, Owner
from ims.targets.target_settings import TargetSettings
from ims.xml.reader import ReadRecord, read
from tests.support import builders
from tests.support.pipeline import row_of, table_of

START = datetime(2026, 10, 15, 10, tzinfo=UTC)
"""Noon in Oslo, the time from which seconds are counted."""


class Scenario:
    """Commits, settings and ticks in order, each some seconds after START, as lines of an events file."""

    def __init__(self) -> None:
        self.text: list[bytes] = []
        self._lsn = 100

    def commit(
        self, seconds: float, *facts: Fact, op: str = "c", whole: bool = True, partition: int = 0, epoch: int = 1
    ) -> None:
        """Add one transaction of the source: the rows are written (``c``), loaded (``r``) or deleted (``d``)."""
        self._lsn += 1
        at = START + timedelta(seconds=seconds)
        for number, fact in enumerate(facts, 1):
            last = whole and number == len(facts)
            row = row_of(fact)
            key = {name: row[name] for name in (("owner_id",) if isinstance(fact, Owner) else ("owner_id", "id"))}
            envelope = Envelope(
                source=Source(schema="public", table=table_of(fact), ts_ms=int(at.timestamp() * 1000), epoch=epoch),
                op=op,
                before=key if op == "d" else None,
                after=None if op == "d" else row,
                transaction=Transaction(f"7:{self._lsn}", number, 1, last=last or None),
            )
            self.text.append(events_file.message_line(at, encode(envelope), partition))

    def written(self, seconds: float, fact: Fact, *, op: str = "u", **columns: Any) -> None:
        """Add a transaction that writes one row, with some columns as the source may have them, of any JSON type."""
        self._lsn += 1
        at = START + timedelta(seconds=seconds)
        row = {**row_of(fact), **columns}
        envelope = Envelope(
            source=Source(schema="public", table=table_of(fact), ts_ms=int(at.timestamp() * 1000), epoch=1),
            op=op,
            before=row if op == "d" else None,
            after=None if op == "d" else row,
            transaction=Transaction(f"7:{self._lsn}", 1, 1, last=True),
        )
        self.text.append(events_file.message_line(at, encode(envelope)))

    def raw(self, seconds: float, text: str) -> None:
        """Add a message that is not JSON."""
        self.text.append(events_file.raw_line(START + timedelta(seconds=seconds), text))

    def settings(self, seconds: float, target: str, **changes: Any) -> None:
        """Add a change of settings."""
        self.text.append(events_file.settings_line(START + timedelta(seconds=seconds), target, changes))

    def tick(self, seconds: float) -> None:
        """Add a tick: only time passes."""
        self.text.append(events_file.tick_line(START + timedelta(seconds=seconds)))

    def lines(self) -> Iterator[Line]:
        """Yield the lines as they are read from the file."""
        return events_file.read(self.text, "events.jsonl")


class Replayer:
    """Replays scenarios into a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def replay(
        self, scenario: Scenario, *targets: TargetSettings, until: float | None = None, holds: bool = False
    ) -> Result:
        """Replay a scenario for these targets, or for the usual one."""
        end = None if until is None else START + timedelta(seconds=until)
        replay = Replay(targets or [builders.a_target()], self.root, "events.jsonl", holds=holds)
        return replay.run(scenario.lines(), end)

    def folder(self, name: str = "lms") -> Path:
        """Return a target's folder."""
        return self.root / builders.ORGNR / name

    def manifest(self, name: str = "lms") -> Manifest:
        """Verify a target's feed, and return its manifest."""
        folder = self.folder(name)
        verification = verify_folder(folder)
        assert verification.problems == []
        return decode((folder / "manifest.json").read_bytes())

    def delta(self, seq: int, name: str = "lms") -> list[ReadRecord]:
        """Return the records of a delta."""
        return [item for item in read(self.folder(name) / f"deltas/{seq}.xml") if isinstance(item, ReadRecord)]

    def files(self) -> dict[str, bytes]:
        """Return every file of the feeds."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }
