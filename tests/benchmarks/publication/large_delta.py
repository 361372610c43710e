"""The publication of very many changes beside lxml, which only writes the elements of the same deltas."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.facts.pending_changes import as_changed
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import feed_directory
from consumers.publication.delta import publish_delta
from consumers.publication.gathering import Gatherer
from consumers.publication.postgres_view import PostgresView
from consumers.publication.rounds import Round, rounds
from consumers.publication.view import View
from ims.feed.delta import Delta
from ims.feed.delta_files import Head, next_deltas, split
from ims.publication.decision import numbers_of
from ims.publication.gathered import Gathered
from ims.xml.writer import Properties
from tests.benchmarks.figure import Figure
from tests.benchmarks.publication import lxml_writer
from tests.benchmarks.publication.large_state import MEMBERS, NOW, Published, change
from tests.benchmarks.publication.small_delta import records_of

_ROUNDS: Final = 3
_RECORDS_PER_PERSON: Final = 3.4
_LIMITS: Final = ("hour_persons", "hour_teachers", "day_persons", "day_teachers")


class _Recorded:
    """A view that reads once, and then gives the same answers in the same order, from memory."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._answers: list[Any] = []
        self._again: Iterator[Any] | None = None

    def again(self) -> View:
        """Begin to answer from memory."""
        self._again = iter(self._answers)
        return cast("View", self)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: object) -> object:
            if self._again is not None:
                return next(self._again)
            self._answers.append(getattr(self._view, name)(*arguments))
            return self._answers[-1]

        return ask


class _Read(NamedTuple):
    """What a publication reads from the state database, and what it does with it."""

    target: TargetRow
    round: Round
    view: _Recorded
    gathered: Gathered


def large_delta(published: Published, changes: int) -> Figure:
    """Return the rate of a publication as at the beginning of a term, from facts in memory to synced files, and lxml's.

    Two persons in five are new, two are removed, and one has another name. Each new or removed person has four records;
    of a renamed person three unchanged memberships have to be compared as well.
    """
    connection = published.connection
    persons = _new_term(connection, published.persons, changes)
    read = _read(connection, persons)
    root = published.root / "measured"
    took, lxml, delta = [], [], Delta(())
    for number in range(_ROUNDS):
        began = time.perf_counter()
        delta = _publish(read, root / str(number))
        took.append(time.perf_counter() - began)
        lxml.append(_lxml(read, delta, root / f"lxml-{number}"))
    first = feed_directory(root / "0", read.target).path / "deltas" / f"{(read.target.position.head_seq or 0) + 1}.xml"
    assert lxml_writer.canonical(first) == lxml_writer.canonical(root / "lxml-0" / "0.xml")
    began = time.perf_counter()
    change(connection, "person", persons)
    publication = publish_delta(connection, read.target.target_id, NOW, 0)
    assert publication is not None
    assert records_of(publication.entries) == len(delta.changes)
    assert write_manifest(connection, published.root, read.target.target_id, NOW)
    whole = time.perf_counter() - began
    ours, reference = (len(delta.changes) / statistics.median(one) for one in (took, lxml))
    note = f"{len(delta.changes):,} records in {len(publication.entries)} deltas; {whole:.1f} s with the database"
    return Figure("delta_100k_vs_lxml", ours, reference, "records/s", note)


def _new_term(connection: Connection, published: int, changes: int) -> list[int]:
    """Change the facts of as many persons as have *changes* records, and return these persons."""
    learners = published // MEMBERS * (MEMBERS - 1)
    size = min(int(changes / _RECORDS_PER_PERSON), learners)
    found = random.Random(2).sample(range(learners), size)
    persons = [n // (MEMBERS - 1) * MEMBERS + n % (MEMBERS - 1) + 1 for n in found]
    new, gone, renamed = persons[: size * 2 // 5], persons[size * 2 // 5 : size * 4 // 5], persons[size * 4 // 5 :]
    with connection.transaction():
        connection.execute("delete from imsfeed.published where person_id = any (%s)", (new,))
        connection.execute("update imsfeed.enrolment set status = 'withdrawn' where person_id = any (%s)", (gone,))
        connection.execute("update imsfeed.person set given_name = 'Åse' where id = any (%s)", (renamed,))
        # So many persons are removed that they would wait for an approval.
        limits = {f"hold_{limit}": 1_000_000_000 for limit in _LIMITS}
        connection.execute(
            "update imsfeed.target set settings = settings || %(limits)s, published_settings = settings || %(limits)s",
            {"limits": msgspec.json.encode(limits).decode()},
        )
    return persons


def _read(connection: Connection, persons: Sequence[int]) -> _Read:
    row = all_targets(connection)[0]
    target = replace(row, position=replace(row.position, announced=False))
    changes = as_changed(persons, ())
    (only,) = rounds(target, changes, changes, NOW)
    view = _Recorded(PostgresView(connection, target))
    gathered = Gatherer(cast("View", view), only.terms).gather(only.request)
    return _Read(target, only, view, gathered)


def _publish(read: _Read, root: Path) -> Delta:
    """What :func:`consumers.publication.delta.publish_delta` does between reading the database and writing to it."""
    position = read.target.position
    decision = read.round.evaluate(read.view.again(), position)
    directory = feed_directory(root, read.target)
    head = Head(position.head_seq, position.head_sha256)
    for entry, xml in next_deltas(head, read.round.writing(), decision.delta, decision.person_numbers):
        directory.link(entry.path, xml)
    return decision.delta


def _lxml(read: _Read, delta: Delta, folder: Path) -> float:
    """The seconds that lxml needs for the elements of the same deltas."""
    ids = read.gathered.published.person_ids | read.gathered.roster.person_ids
    parts = [[(change.record, change.recstatus) for change in part.changes] for part in split(delta, numbers_of(ids))]
    properties = Properties(read.round.terms.source, read.target.settings.name, "delta", NOW)
    folder.mkdir()
    began = time.perf_counter()
    for number, part in enumerate(parts):
        lxml_writer.write_tree(folder / f"{number}.xml", properties, part)
    return time.perf_counter() - began
