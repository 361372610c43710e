"""Bugs that such a pipeline is known to have had, and conditions under which they show; each a patch of the real code.

They are planted in a process one at a time (:mod:`tests.chaos.launch`), and the tests must find each of them. A patch
whose place is gone fails, so that no bug is planted in vain.
"""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from consumers.database import sessions, targets_table
from consumers.feed import snapshots
from consumers.feed.feed_directory import FeedDirectory
from consumers.materialize import batch
from consumers.materialize.facts_store import FactsStore
from consumers.published import recorded_files
from ims.source.events import Change, Position
from producers.capture.heartbeat import Heartbeat
from producers.events import publisher
from producers.events.publisher import Publisher
from producers.loads.initial_load import InitialLoad
from producers.source import sessions as producer_sessions
from producers.source.replication import Walsender

_SILENT: Final = " -c idle_in_transaction_session_timeout=1s"


def _replace(owner: Any, name: str, new: Any) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, new)


def no_heartbeat() -> None:
    """Condition: nothing changes in the source but by the test, and how far the slot may be confirmed."""

    def run(self: Heartbeat) -> None:
        with producer_sessions.connect(self._dsn, "heartbeat") as connection:
            while not self._ended.wait(0.1):
                self.confirmation.store(connection)

    _replace(Heartbeat, "_run", run)


def kafka_takes_its_time() -> None:
    """Condition: what is sent reaches Kafka in a minute."""
    producer = publisher.__dict__["KafkaProducer"]
    _replace(publisher, "KafkaProducer", lambda **settings: producer(**settings | {"linger_ms": 60_000}))


def short_timeouts() -> None:
    """Condition: whoever is silent in a transaction for a second loses it."""
    _replace(sessions, "_OPTIONS", sessions._OPTIONS + _SILENT)
    _replace(sessions, "_APPLYING", sessions._APPLYING + _SILENT)


def acknowledged_before_durable() -> None:
    """What was handed to Kafka's client counts as what Kafka has."""

    def commit_point(self: Publisher, lsn: int) -> None:
        self._acknowledged = lsn

    _replace(Publisher, "commit_point", commit_point)


def confirmed_as_received() -> None:
    """The slot is told what was received, and not what Kafka has."""
    confirm = Walsender.confirm
    _replace(Walsender, "confirm", lambda self, lsn, now: confirm(self, max(lsn, self._received), now))


def everything_is_news() -> None:
    """What comes twice is applied twice."""
    _replace(batch, "is_news", lambda _last, _change: True)


def ordinal_forgotten() -> None:
    """Two changes of one transaction have one position."""

    def is_news(last: Position | None, change: Change) -> bool:
        return last is None or change.position[:2] > last[:2]

    _replace(batch, "is_news", is_news)


def offset_not_compared() -> None:
    """A partition is moved on from wherever it stands."""
    move = FactsStore._move

    def moved(self: FactsStore, cursor: Any, partition: int, _start: int, to: Any) -> None:
        cursor.execute("select next_offset from imsfeed.topic_partition where partition = %s for update", (partition,))
        move(self, cursor, partition, cursor.fetchone()[0], to)

    _replace(FactsStore, "_move", moved)


def epoch_not_raised() -> None:
    """A new load has the epoch of the one before."""
    begin = InitialLoad._begin

    def begun(self: InitialLoad, control: Any) -> int:
        before = control.execute("select epoch from imsfeed.capture").fetchone()[0]
        begin(self, control)
        control.execute("update imsfeed.capture set epoch = %s", [before])
        return int(before)

    _replace(InitialLoad, "_begin", begun)


def loaded_too_early() -> None:
    """A load counts as done when it begins."""
    begin = InitialLoad._begin

    def begun(self: InitialLoad, control: Any) -> int:
        epoch = begin(self, control)
        control.execute("update imsfeed.capture set loaded_at = now()")
        return epoch

    _replace(InitialLoad, "_begin", begun)


def half_a_transaction() -> None:
    """A cut does not ask whether more of a source transaction is to come."""
    row = targets_table._row
    _replace(targets_table, "_row", lambda **columns: row(**columns | {"open": False}))


def numbered_outside_the_transaction() -> None:
    """A delta's number is taken before, and apart from, the transaction that records it."""
    add = recorded_files.add_delta

    def added(connection: Any, target_id: int, entry: Any, xml: bytes) -> None:
        connection.execute("update imsfeed.target set head_seq = %s where target_id = %s", (entry.seq, target_id))
        connection.execute("commit")
        connection.execute("begin isolation level repeatable read")
        add(connection, target_id, entry, xml)

    _replace(recorded_files, "add_delta", added)


def renamed_instead_of_linked() -> None:
    """A file is put in place whatever stands there."""

    def link(self: FeedDirectory, temporary: IO[bytes], name: str, _sha256: str) -> None:
        temporary.flush()
        Path(temporary.name).rename(self.path / name)

    _replace(FeedDirectory, "_link", link)


def manifest_before_its_files() -> None:
    """The manifest names a delta that is linked only before the next one is written."""
    link, write = FeedDirectory.link, FeedDirectory.write_manifest
    late: list[tuple[str, bytes]] = []
    later: list[tuple[str, bytes]] = []

    def written(self: FeedDirectory, content: bytes, **more: Any) -> None:
        for one in late:
            link(self, *one)
        late[:] = later
        later.clear()
        write(self, content, **more)

    _replace(FeedDirectory, "link", lambda _self, name, content: later.append((name, content)))
    _replace(FeedDirectory, "write_manifest", written)


def manifest_not_fenced() -> None:
    """Whoever has lost its lock on the target while it was paused replaces the manifest all the same."""
    write = FeedDirectory.write_manifest
    _replace(FeedDirectory, "write_manifest", lambda self, content, **_: write(self, content))


def snapshot_in_two_views() -> None:
    """A snapshot's number and its records are read one after the other."""
    _replace(snapshots, "one_view", lambda connection: connection.transaction())


def no_timeouts() -> None:
    """Whoever is silent in a transaction keeps its locks."""
    _replace(sessions, "_OPTIONS", "-c timezone=UTC")
    _replace(sessions, "_APPLYING", "")


_CONDITIONS: Final[tuple[Callable[[], None], ...]] = (no_heartbeat, kafka_takes_its_time, short_timeouts)
_BUGS: Final[tuple[Callable[[], None], ...]] = (
    acknowledged_before_durable,
    confirmed_as_received,
    everything_is_news,
    ordinal_forgotten,
    offset_not_compared,
    epoch_not_raised,
    loaded_too_early,
    half_a_transaction,
    numbered_outside_the_transaction,
    renamed_instead_of_linked,
    manifest_before_its_files,
    manifest_not_fenced,
    snapshot_in_two_views,
    no_timeouts,
)
BUGS: Final = tuple(bug.__name__ for bug in _BUGS)


def plant(names: str) -> None:
    """Plant what *names*, separated by commas, says; nothing for an empty text."""
    known = {one.__name__: one for one in (*_CONDITIONS, *_BUGS)}
    for name in filter(None, names.split(",")):
        known[name]()
