"""A source that shuts down cleanly while capture streams: capture does not delay it, and loses nothing."""

import os
import signal
from pathlib import Path

from deploy.local.postgres import running_postgres
from producers.source import sessions
from tests.support.capturing import Captured, Topic, add_persons, prepared, settings_of
from tests.support.fixtures.postgres import SOURCE_SCHEMA
from tests.support.waiting import until


def test_a_shutdown_of_the_source_does_not_hang(kafka: str, topic: str, tmp_path: Path) -> None:
    """A walsender ends only when everything is confirmed, and only an ordinary session can store what may be."""
    with running_postgres(tmp_path) as server:
        server.create_database("school")
        settings = settings_of(server.dsn("school"), kafka, topic).model_copy(update={"heartbeat_seconds": 1000})
        with sessions.connect(settings.source(), "test") as source:
            source.execute(SOURCE_SCHEMA.read_bytes())
            (data,) = source.execute("show data_directory").fetchone() or ("",)
        published = Topic(settings)
        postmaster = Path(data) / "postmaster.pid"
        with prepared(settings) as source:
            running = Captured(settings)
            until(running.is_ready, within=60, what="capture streams")
            add_persons(source, 1)
            until(lambda: published.rows() == [(1, "c", 1)], what="the person is published")
        os.kill(int(postmaster.read_text().split()[0]), signal.SIGINT)
        try:
            until(lambda: not postmaster.exists(), within=20, what="the server has shut down")
            assert running.error is None
        finally:
            running.end()
            published.close()
