"""Paused processes that continue after another process has taken over: they write neither state nor older files."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from consumers.database import sessions
from consumers.materialize.facts_store import FactsStore
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline, row_of
from tests.support.waiting import until

ENDED = {"IdleInTransactionSessionTimeout", "OperationalError", "AdminShutdown"}
"""Names of the errors that a process gets after the server has ended its session."""


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), a_person(2))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def a_person_event(name: str) -> bytes:
    return encode(
        Envelope(
            source=Source(schema="public", table="person", epoch=1),
            op="u",
            after={**row_of(a_person(1)), "given_name": name},
            transaction=Transaction("7:900", 1, 1, last=True),
        )
    )


@contextmanager
def zombie(pipeline: Pipeline, place: str, value: bytes = b"") -> Iterator[subprocess.Popen[str]]:
    """Run a process that pauses itself at *place*; the server ends its session after a second without a statement."""
    options = "-c idle_in_transaction_session_timeout=1s"
    dsn = make_conninfo(pipeline.settings.state(), options=options)
    pipeline.settings.feed_directory.chmod(0o750)  # compact refuses a directory that other users can read
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.zombie", place, dsn, str(pipeline.settings.feed_directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(value.decode())
        process.stdin.close()
        process.stdin = None
        until(lambda: stopped(process), what="the process pauses at the place")
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> bool:
    number, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
    assert not number or os.WIFSTOPPED(status), "the process has ended instead of pausing"
    return bool(number)


def woken(process: subprocess.Popen[str]) -> str:
    """Let the process continue, and return the name of the error that ends it."""
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    return output


def given_name(pipeline: Pipeline) -> str:
    (row,) = pipeline.connection.execute("select given_name from imsfeed.person where id = 1").fetchall()
    return str(row[0])


def take_over(pipeline: Pipeline, name: str) -> None:
    """Apply the same message in the session of another materialize, to which Kafka has assigned the partition."""
    with sessions.connect(pipeline.settings.state(), "other", applying=True) as connection:
        store = FactsStore(connection, "test", 1)
        pipeline.progress = store.progress(0) or pipeline.progress
        pipeline.store = store
        pipeline.deliver(a_person_event(name))


@pytest.mark.parametrize(
    ("place", "errors"), [("inside apply", ENDED), ("before apply", {"FencedError"})], ids=["inside", "between"]
)
def test_a_paused_materialize_writes_nothing_when_it_wakes(pipeline: Pipeline, place: str, errors: set[str]) -> None:
    with zombie(pipeline, place, a_person_event("Zombie")) as process:
        take_over(pipeline, "Other")
        assert woken(process) in errors
    assert given_name(pipeline) == "Other"


def test_a_paused_publication_gives_no_number_twice(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(1, person=1, group=1))
    with zombie(pipeline, "inside publication") as process:
        until(lambda: published(pipeline) == 1, what="another process has published the delta")
        assert woken(process) in ENDED
    pipeline.compact(minutes=1)
    assert published(pipeline) == 1
    assert pipeline.verification().problems == []


def published(pipeline: Pipeline) -> int:
    """Run compact, and return the number of the newest delta in the manifest."""
    pipeline.compact(seconds=1)
    return pipeline.manifest().head_seq


def test_a_paused_process_replaces_no_newer_manifest(pipeline: Pipeline) -> None:
    with zombie(pipeline, "inside manifest") as process:
        pipeline.commit(an_enrolment(1, person=1, group=1))
        until(lambda: published(pipeline) == 1, what="another process has published the change")
        newer = (pipeline.folder() / "manifest.json").read_bytes()
        assert woken(process) in ENDED
    assert (pipeline.folder() / "manifest.json").read_bytes() == newer


def test_a_process_paused_before_the_rename_corrects_its_older_manifest(pipeline: Pipeline) -> None:
    with zombie(pipeline, "before rename") as process:
        pipeline.commit(an_enrolment(1, person=1, group=1))
        until(lambda: published(pipeline) == 1, what="another process has published the change")
        newer = pipeline.manifest()
        process.send_signal(signal.SIGCONT)
        until(lambda: pipeline.manifest() != newer, what="the process writes its manifest")
        until(lambda: pipeline.manifest().head_seq == 1, what="the newest state is in the manifest again")
    assert pipeline.verification().problems == []


def test_the_dsns_own_options_take_precedence(pipeline: Pipeline) -> None:
    dsn = make_conninfo(pipeline.settings.state(), options="-c lock_timeout=7s")
    with sessions.connect(dsn, "test", applying=True) as connection:
        shown = [
            connection.execute(f"show {name}".encode()).fetchone()
            for name in ("lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
        ]
    assert shown == [("7s",), ("10s",), ("UTC",)]


def test_the_server_probes_for_vanished_peers(pipeline: Pipeline) -> None:
    sources = pipeline.connection.execute(
        "select name, source from pg_settings where name like 'tcp%' or name = 'client_connection_check_interval'"
    ).fetchall()
    assert {source for _, source in sources} == {"client"}
