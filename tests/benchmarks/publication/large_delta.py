"""The publication of very many changes beside lxml, which only writes the elements of the same deltas."""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets, source_of
from consumers.facts import facts_reader
from consumers.facts.facts_reader import Affected
from consumers.facts.pending_changes import looking_at
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import feed_directory
from consumers.publication.delta import difference, publish_delta, roster_today
from consumers.publication.delta_files import next_deltas, who
from consumers.published import published_store
from ims.feed.delta import Delta
from ims.feed.delta_split import split
from ims.holds.decision import Compared, Origin, Waiting, decide
from ims.holds.limits import Limits, PublishedCounts
from ims.holds.losses import gone_groups, losses
from ims.records.model import RecordKey
from ims.source.facts import Facts
from ims.xml.writer import Properties
from tests.benchmarks.figure import Figure
from tests.benchmarks.publication import lxml_writer
from tests.benchmarks.publication.large_state import MEMBERS, NOW, TODAY, Published, change
from tests.benchmarks.publication.small_delta import records_of

_ROUNDS: Final = 3
_RECORDS_PER_PERSON: Final = 3.4
_LIMITS: Final = ("hour_persons", "hour_teachers", "day_persons", "day_teachers")


class _Read(NamedTuple):
    """What a publication reads from the state database."""

    target: TargetRow
    affected: Affected
    facts: Facts
    published: dict[RecordKey, str]
    published_ids: dict[int, str]


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
    first = feed_directory(root / "0", read.target).path / "deltas" / f"{(read.target.head_seq or 0) + 1}.xml"
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
    target = msgspec.structs.replace(all_targets(connection)[0], announced=False)
    affected = facts_reader.affected(connection, target, looking_at(persons, ()), None)
    facts = facts_reader.read_facts(connection, target, affected.persons, affected.groups)
    about = published_store.published(connection, target.target_id, affected.persons, affected.groups)
    return _Read(target, affected, facts, about.texts, about.person_ids)


def _publish(read: _Read, root: Path) -> Delta:
    """Do what :func:`consumers.publication.delta.publish_delta` does between reading and writing the database."""
    target = read.target
    roster = roster_today(target, read.facts, read.affected, TODAY)
    lost, gone = losses(read.published, read.published_ids, roster), gone_groups(read.published, roster)
    limits = Limits(target.settings, [], PublishedCounts(_never_called, _never_called), NOW)
    compared = Compared(read.published, read.published_ids, roster)
    decision = decide(compared, lost, gone, Origin(), Waiting(), limits)
    delta = difference(target.settings, decision.published, read.published_ids, decision.roster)
    directory = feed_directory(root, target)
    for entry, xml in next_deltas(target, delta, who(read.published_ids) | who(roster.person_ids), NOW, None):
        directory.link(entry.path, xml)
    return delta


def _never_called(_: int) -> NoReturn:
    raise AssertionError("no publication of this size is held with these limits")


def _lxml(read: _Read, delta: Delta, folder: Path) -> float:
    """Return the seconds that lxml needs for the elements of the same deltas."""
    ids: Mapping[int, str] = read.published_ids | {
        number: person.national_id.reveal() for number, person in read.facts.persons.items() if person.national_id
    }
    parts = [[(change.record, change.recstatus) for change in part.changes] for part in split(delta, who(ids))]
    properties = Properties(source_of(read.target), read.target.settings.name, "delta", NOW)
    folder.mkdir()
    began = time.perf_counter()
    for number, part in enumerate(parts):
        lxml_writer.write_tree(folder / f"{number}.xml", properties, part)
    return time.perf_counter() - began
