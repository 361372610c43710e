"""A forgotten transaction of the source holds up a new slot; whose it is, is said where people look."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from deploy.doctor.source_checks import check_source
from ims.runtime.settings import Settings
from producers.loads import resync_requests
from producers.source import source_setup
from producers.source.catalog import Connection
from producers.source.open_transactions import OpenTransaction
from tests.support.capturing import Captured
from tests.support.waiting import until


@pytest.fixture
def forgotten(source_dsn: str) -> Iterator[Connection]:
    """Yield a session whose transaction has written and has not ended."""
    with psycopg.connect(source_dsn, application_name="kontor") as connection:
        connection.execute("insert into school (owner_id, id, name) values (1, 77, 'open')")
        yield connection
        connection.rollback()


def test_setup_names_the_transaction_for_which_it_waits(
    source: Connection, settings: Settings, forgotten: Connection
) -> None:
    again = settings.model_copy(update={"source_slot": f"{settings.source_slot}_2"})
    reported: list[OpenTransaction] = []
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(source_setup.apply, source, again, report=reported.extend)
        until(lambda: reported, what="the wait is reported")
        assert not done.done()
        forgotten.rollback()
        assert done.result(60)
    (found,) = [one for one in reported if one.pid == forgotten.info.backend_pid]
    assert (found.user, found.application) == (forgotten.info.user, "kontor")
    assert f"pid {found.pid}, user {found.user}, application kontor" in str(found)
    assert found.since is not None


def test_a_first_load_names_the_transaction_for_which_it_waits(
    settings: Settings, source: Connection, forgotten: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not source.closed
    printed: list[str] = []

    def lines() -> list[str]:
        printed.extend(capsys.readouterr().out.splitlines())
        return [line for line in printed if "initial load waits for open transactions" in line]

    running = Captured(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(running.end)
        until(lines, within=60, what="the wait is logged")
        assert f"pid {forgotten.info.backend_pid}" in lines()[0]
        texts = {one.check: one.text for one in check_source(settings) if one.status == "warning"}
        assert f"waits for an open transaction: pid {forgotten.info.backend_pid}" in texts["initial load"]
        forgotten.rollback()
        until(running.is_ready, within=60, what="capture streams")


def test_a_resync_names_the_transaction_for_which_it_waits(
    settings: Settings, source: Connection, source_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: list[str] = []

    def lines() -> list[str]:
        printed.extend(capsys.readouterr().out.splitlines())
        return [line for line in printed if "resync waits for open transactions" in line]

    running = Captured(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(running.end)
        until(running.is_ready, within=60, what="capture streams")
        with psycopg.connect(source_dsn, application_name="kontor") as forgotten:
            forgotten.execute("insert into school (owner_id, id, name) values (1, 77, 'open')")
            number = resync_requests.add(source, settings.source_slot, 1)
            until(lines, within=60, what="the wait is logged")
            assert f"pid {forgotten.info.backend_pid}" in lines()[0]
            forgotten.rollback()
        until(lambda: resync_requests.read_status(source, number).done_at, within=60, what="the resync is done")


def test_a_prepared_transaction_has_no_process() -> None:
    text = str(OpenTransaction(None, "visma", "the prepared transaction 'x'", "school", None))
    assert text == "user visma, application the prepared transaction 'x', database school, since an unknown time"
