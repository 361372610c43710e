"""Bugs that such pipelines have had, and conditions under which they show; each is a patch of the real code.

They are planted in a process one at a time (:mod:`tests.chaos.stack.launch`), and the tests must find each of them. A
patch fails if the code that it replaces is gone, so that a bug is always really planted.
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
    """Condition: only the test changes the source, except for how far the slot may be confirmed."""

    def run(self: Heartbeat) -> None:
        with producer_sessions.connect(self._dsn, "heartbeat") as connection:
            while not self._ended.wait(0.1):
                self.confirmation.store(connection)

    _replace(Heartbeat, "_run", run)


def kafka_takes_its_time() -> None:
    """Condition: messages reach Kafka a minute after they are sent."""
    producer = publisher.__dict__["KafkaProducer"]
    _replace(publisher, "KafkaProducer", lambda **settings: producer(**settings | {"linger_ms": 60_000}))


def short_timeouts() -> None:
    """Condition: a process that is idle in a transaction for a second loses it."""
    _replace(sessions, "_OPTIONS", sessions._OPTIONS + _SILENT)
    _replace(sessions, "_APPLYING", sessions._APPLYING + _SILENT)


def acknowledged_before_durable() -> None:
    """Count a message as acknowledged when Kafka's client has it."""

    def commit_point(self: Publisher, lsn: int) -> None:
        self._acknowledged = lsn

    _replace(Publisher, "commit_point", commit_point)


def confirmed_as_received() -> None:
    """Confirm the slot up to what was received, not up to what Kafka has."""
    confirm = Walsender.confirm
    _replace(Walsender, "confirm", lambda self, lsn, now: confirm(self, max(lsn, self._received), now))


def everything_is_news() -> None:
    """Apply a repeated change again."""
    _replace(batch, "is_news", lambda _last, _change: True)


def ordinal_forgotten() -> None:
    """Give two changes of one transaction the same position."""

    def is_news(last: Position | None, change: Change) -> bool:
        return last is None or change.position[:2] > last[:2]

    _replace(batch, "is_news", is_news)


def offset_not_compared() -> None:
    """Advance a partition's offset without comparing it first."""
    move = FactsStore._move

    def moved(self: FactsStore, cursor: Any, partition: int, _start: int, to: Any) -> None:
        cursor.execute("select next_offset from imsfeed.topic_partition where partition = %s for update", (partition,))
        move(self, cursor, partition, cursor.fetchone()[0], to)

    _replace(FactsStore, "_move", moved)


def epoch_not_raised() -> None:
    """Give a new load the previous load's epoch."""
    begin = InitialLoad._begin

    def begun(self: InitialLoad, control: Any) -> int:
        before = control.execute("select epoch from imsfeed.capture").fetchone()[0]
        begin(self, control)
        control.execute("update imsfeed.capture set epoch = %s", [before])
        return int(before)

    _replace(InitialLoad, "_begin", begun)


def loaded_too_early() -> None:
    """Count a load as done when it begins."""
    begin = InitialLoad._begin

    def begun(self: InitialLoad, control: Any) -> int:
        epoch = begin(self, control)
        control.execute("update imsfeed.capture set loaded_at = now()")
        return epoch

    _replace(InitialLoad, "_begin", begun)


def half_a_transaction() -> None:
    """Publish without checking whether more of a source transaction is to come."""
    row = targets_table._row
    _replace(targets_table, "_row", lambda **columns: row(**columns | {"open": False}))


def numbered_outside_the_transaction() -> None:
    """Take a delta's number before the transaction that records the delta, in another one."""
    add = recorded_files.add_delta

    def added(connection: Any, target_id: int, entry: Any, xml: bytes) -> None:
        connection.execute("update imsfeed.target set head_seq = %s where target_id = %s", (entry.seq, target_id))
        connection.execute("commit")
        connection.execute("begin isolation level repeatable read")
        add(connection, target_id, entry, xml)

    _replace(recorded_files, "add_delta", added)


def renamed_instead_of_linked() -> None:
    """Let a file replace another one of the same name."""

    def link(self: FeedDirectory, temporary: IO[bytes], name: str, _sha256: str) -> None:
        temporary.flush()
        Path(temporary.name).rename(self.path / name)

    _replace(FeedDirectory, "_link", link)


def manifest_before_its_files() -> None:
    """Link a delta that the manifest names only when the next one is written."""
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
    """Let a process replace the manifest though it has lost its lock on the target during a pause."""
    write = FeedDirectory.write_manifest
    _replace(FeedDirectory, "write_manifest", lambda self, content, **_: write(self, content))


def snapshot_in_two_views() -> None:
    """Read a snapshot's number and its records one after the other."""
    _replace(snapshots, "repeatable_read", lambda connection: connection.transaction())


def no_timeouts() -> None:
    """Let a process that is idle in a transaction keep its locks."""
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
    """Plant the conditions and bugs in *names*, separated by commas."""
    known = {one.__name__: one for one in (*_CONDITIONS, *_BUGS)}
    for name in filter(None, names.split(",")):
        known[name]()
