"""A process that pauses itself at a given place, like a process on a paused machine, and goes on when it is woken.

Run as a script with the place, the state database's DSN and the feed directory. If it fails then, it prints the name of
the error.
"""

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from consumers.compact import process as compact
from consumers.compact.process import EXCLUDED_SERIES
from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.manifests import write_manifest
from consumers.materialize import facts_store
from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message
from consumers.materialize.facts_store import FactsStore
from consumers.publication.delta import publish_delta
from consumers.published import recorded_files
from ims.runtime.lifecycle import stop_on_signals
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.source.mapping import REFERENCE_MAPPING
from tests.support.pipeline import NOON


def stopping(function: Callable[..., Any], *, first: bool = False) -> Callable[..., Any]:
    """Return *function* with a pause of the process before its first call, or after that call if *first* is set."""
    stops = [signal.SIGSTOP]

    def stopped(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named) if first else None
        if stops:
            # Sent to this thread: the kernel may give a process's signal to another thread, and this one would go on.
            signal.pthread_kill(threading.get_ident(), stops.pop())
        return result if first else function(*arguments, **named)

    return stopped


def materialize(dsn: str, value: bytes) -> None:
    """Apply one message to partition 0 of the topic "test"."""
    with sessions.connect(dsn, "zombie", applying=True) as connection:
        store = FactsStore(connection, "test", 1)
        progress = store.progress(0)
        assert progress is not None
        materialize_once(store, 0, [Message(progress.next_offset, None, value)], progress, REFERENCE_MAPPING, 0)


def on_target(work: Callable[..., Any], dsn: str, *arguments: Any) -> None:
    """Call *work* with the target called lms, in a session like compact's."""
    with sessions.connect(dsn, "zombie") as connection:
        work(connection, *arguments[:-1], find_target(connection, "lms").target_id, *arguments[-1])


def compact_until_stopped(dsn: str, folder: Path) -> None:
    """Run compact as the process does."""
    metrics = CompactMetrics(CollectorRegistry(), EXCLUDED_SERIES)
    settings = Settings.model_validate({"state_dsn": dsn, "feed_directory": folder})
    with stop_on_signals() as stop:
        compact.run(settings, stop, metrics, lambda _ready: None)


def main(place: str, dsn: str, folder: Path) -> None:
    value = sys.stdin.buffer.read()
    if place == "inside apply":
        facts_store._insert_changes = stopping(facts_store._insert_changes)
        materialize(dsn, value)
    elif place == "before apply":
        FactsStore.apply = stopping(FactsStore.apply)  # type: ignore[method-assign]
        materialize(dsn, value)
    elif place == "inside publication":
        recorded_files.add_delta = stopping(recorded_files.add_delta)
        on_target(publish_delta, dsn, (NOON, 0))
    elif place == "inside manifest":
        FeedDirectory.write_manifest = stopping(FeedDirectory.write_manifest)  # type: ignore[method-assign]
        on_target(write_manifest, dsn, folder, (datetime.now(UTC),))
    elif place == "before rename":
        sessions.ping = stopping(sessions.ping, first=True)
        compact_until_stopped(dsn, folder)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    except Exception as error:  # noqa: BLE001 - the test asks for its name
        sys.stdout.write(type(error).__name__)
