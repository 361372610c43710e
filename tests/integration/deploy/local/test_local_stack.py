import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from psycopg.conninfo import conninfo_to_dict

from deploy.demo.roster import load, synthetic_owner
from deploy.local.broker import running_broker
from deploy.local.postgres import LocalPostgres, running_postgres
from deploy.local.process import LocalStackError, running_process
from ims.source.facts import Enrolment
from tests.support.waiting import until


def _create_topic(servers: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        admin.create_topics([NewTopic(name=topic, num_partitions=2, replication_factor=1)])
    finally:
        admin.close()


def _send(servers: str, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=servers)
    try:
        producer.send(topic, value, partition=1).get(timeout=30)
    finally:
        producer.close()


def _values(servers: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    try:
        consumer.assign([TopicPartition(topic, 1)])
        polled = until(lambda: consumer.poll(timeout_ms=200), what="the message arrives")
        return [record.value for records in polled.values() for record in records]
    finally:
        consumer.close()


def test_a_message_sent_to_the_tests_kafka_is_received(kafka: str, topic: str) -> None:
    _create_topic(kafka, topic)
    _send(kafka, topic, b"hello")
    assert _values(kafka, topic) == [b"hello"]


def test_a_message_sent_to_the_embedded_broker_is_received(tmp_path: Path) -> None:
    with running_broker(tmp_path / "broker.log") as servers:
        _create_topic(servers, "changes")
        _send(servers, "changes", b"hello")
        assert _values(servers, "changes") == [b"hello"]


def test_a_broker_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "broker"
    program.write_text("#!/bin/sh\necho the disk is full\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(program))
    with (
        pytest.raises(LocalStackError, match=r"ended immediately(?s:.*)the disk is full"),
        running_broker(tmp_path / "broker.log"),
    ):
        pass


def test_a_program_is_stopped_when_the_block_fails(tmp_path: Path) -> None:
    def use_and_fail() -> None:
        with running_process(["sleep", "600"], tmp_path / "log") as process:
            started.append(process)
            raise ValueError

    started: list[subprocess.Popen[bytes]] = []
    with pytest.raises(ValueError):  # noqa: PT011 - the one raised above
        use_and_fail()
    assert started[0].returncode == -signal.SIGTERM


def test_a_program_is_not_reached_by_ctrl_c(tmp_path: Path) -> None:
    with running_process(["sleep", "600"], tmp_path / "log") as process:
        assert os.getpgid(process.pid) != os.getpgid(0)


def test_the_source_streams_its_changes(source_dsn: str) -> None:
    with psycopg.connect(source_dsn, autocommit=True) as connection:
        connection.execute("select pg_create_logical_replication_slot('a_slot', 'pgoutput')")
        assert connection.execute("show wal_level").fetchone() == ("logical",)
        assert connection.execute("select count(*) from enrolment").fetchone() == (0,)


@pytest.mark.parametrize("order", ["first", "second"])
def test_each_test_has_its_own_databases(order: str, source_dsn: str, state_dsn: str) -> None:
    with psycopg.connect(source_dsn) as source, psycopg.connect(state_dsn) as state:
        source.execute("insert into owner values (1, null, %s)", [order])
        state.execute("insert into imsfeed.owner values (1, null, %s, 0)", [order])
        assert source.execute("select name from owner").fetchall() == [(order,)]
        assert state.execute("select name from imsfeed.owner").fetchall() == [(order,)]


@contextmanager
def _reading_a_slot(dsn: str) -> Iterator[psycopg.Connection]:
    with (
        psycopg.connect(dsn, autocommit=True) as plain,
        closing(psycopg.connect(dsn, autocommit=True, replication="database")) as reader,
    ):
        plain.execute("create publication everything for all tables")
        plain.execute("select pg_create_logical_replication_slot('in_use', 'pgoutput')")
        reader.pgconn.exec_(
            b"START_REPLICATION SLOT in_use LOGICAL 0/0 (proto_version '1', publication_names 'everything')"
        )
        assert plain.execute("select active from pg_replication_slots where slot_name = 'in_use'").fetchone() == (True,)
        yield plain


def test_a_database_is_dropped_even_while_its_slot_is_read(source_server: LocalPostgres) -> None:
    dsn = source_server.create_database("imsfeed_test_in_use")
    with _reading_a_slot(dsn):
        source_server.drop_database("imsfeed_test_in_use")
    with psycopg.connect(source_server.any_dsn) as connection:
        left = "select datname from pg_database where datname = 'imsfeed_test_in_use'"
        assert connection.execute(left).fetchall() == []
        assert connection.execute("select from pg_replication_slots where slot_name = 'in_use'").fetchall() == []


@pytest.fixture
def deep_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)  # unlike tmp_path, which root would not use
        yield Path(parent).joinpath(*["a-checkout-far-down"] * 6)


def test_a_deep_directory_does_not_break_the_socket_path(deep_directory: Path) -> None:
    with running_postgres(deep_directory) as server, psycopg.connect(server.any_dsn) as connection:
        assert list(deep_directory.glob("postgres-*/data/PG_VERSION"))
        assert connection.execute("show max_replication_slots").fetchone() == ("20",)
        assert connection.execute("show fsync").fetchone() == ("on",)


def test_a_closed_directory_is_left_closed(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    with running_postgres(closed / "data") as server, psycopg.connect(server.any_dsn):
        assert closed.stat().st_mode & 0o777 == 0o700


STOPPED_FROM_OUTSIDE = """
import pathlib, sys
from deploy.local.postgres import running_postgres
with running_postgres(pathlib.Path(sys.argv[1])) as server:
    print(server.any_dsn, flush=True)
    sys.stdin.read()
"""


def test_ctrl_c_stops_the_server_and_removes_its_data(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED_FROM_OUTSIDE, str(tmp_path)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        dsn = process.stdout.readline().strip()
        connection = psycopg.connect(dsn)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    with pytest.raises(psycopg.OperationalError, match="administrator command"), connection:
        connection.execute("select 1")
    assert not Path(str(conninfo_to_dict(dsn)["host"])).exists()


def test_the_demos_rows_are_loaded_as_they_are(source_dsn: str) -> None:
    roster = synthetic_owner(date(2026, 10, 14))
    with psycopg.connect(source_dsn) as connection:
        load(connection, roster)
        people = connection.execute(
            "select national_id, given_name, family_name, birth_date, protected from person order by id"
        ).fetchall()
        enrolments = connection.execute("select * from enrolment order by id").fetchall()
    assert people == [
        (
            person.national_id.reveal() if person.national_id else None,
            person.given_name,
            person.family_name,
            person.birth_date,
            person.protected,
        )
        for person in roster.persons
    ]
    assert [Enrolment(*row) for row in enrolments] == list(roster.enrolments)
