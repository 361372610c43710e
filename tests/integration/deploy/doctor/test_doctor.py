"""The doctor finds nothing wrong in a healthy installation, and each fault that is put into one."""

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from deploy.doctor.examination import examine
from deploy.doctor.feed_checks import check_feed
from deploy.doctor.finding import Area, Finding, Findings
from deploy.doctor.kafka_checks import check_group, check_kafka, check_topic
from deploy.doctor.machine_checks import check_mail, check_metrics, check_zone
from deploy.doctor.source_checks import check_proof_source, check_source
from deploy.doctor.state_checks import check_state
from deploy.doctor.target_checks import check_targets
from deploy.local.postgres import LocalPostgres
from deploy.local.process import free_port
from ims.feed.manifest import encode
from ims.runtime import kafka_internals
from ims.runtime.settings import Settings
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.fixtures.postgres import temporary_database
from tests.support.installation import Installation, installed
from tests.support.servers.mail_server import PASSWORD, USER, running_mail_server
from tests.support.waiting import until

Lines = dict[str, tuple[str, str]]


def lines(findings: list[Finding] | Findings) -> Lines:
    """Status and text by check."""
    return {finding.check: (finding.status, finding.text) for finding in findings}


def settings_of(installation: Installation, **changes: Any) -> Settings:
    names = {name.upper() for name in Settings.model_fields}
    given = {name.lower(): value for name, value in installation.environment.items() if name in names}
    return Settings.model_validate(given | changes)


@pytest.fixture(scope="module")
def healthy(
    source_server: LocalPostgres,
    source_template: str,
    state_server: LocalPostgres,
    state_template: str,
    kafka: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Everything runs, and something is published; shared, so a test puts back what it changes."""
    with (
        temporary_database(source_server, source_template) as source,
        temporary_database(state_server, state_template) as state,
        installed(
            source_server.dsn(source),
            state_server.dsn(state),
            kafka,
            "test-doctor",
            tmp_path_factory.mktemp("doctor"),
        ) as installation,
    ):
        installation.write(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
        installation.set_up()
        installation.start()
        installation.first_manifest()
        status = until(lambda: all_heard(installation), what="a heartbeat has come through each partition")
        assert status
        yield installation


def all_heard(installation: Installation) -> bool:
    partitions = installation.status()["partitions"]
    return len(partitions) == 2 and all(partition["heartbeat_at"] for partition in partitions)


@pytest.fixture
def settings(healthy: Installation) -> Settings:
    return settings_of(healthy)


@pytest.fixture
def state(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.state(), autocommit=True) as connection:
        yield connection


def test_a_healthy_installation_has_no_wrong_line(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(healthy.environment, "PROOF_SOURCE_DSN", healthy.environment["SOURCE_DSN"])
    monkeypatch.setitem(healthy.environment, "METRICS_PORT", str(healthy.ports["compact"]))
    said = healthy.imsfeed("doctor", "--json")
    found = msgspec.json.decode(said[said.index("[") : said.rindex("]") + 1], type=list[Finding])
    assert [line for line in found if line.status == "wrong"] == []
    assert {line.area for line in found} >= {"machine", "source", "kafka", "state", "targets", "feed", "metrics"}
    assert not [line for line in found if line.status in {"warning", "wrong"} and not line.fix]
    assert f"imsfeed answers at {healthy.ports['compact']}" in said


def test_a_container_is_not_told_of_what_it_does_not_need() -> None:
    settings = Settings()
    assert lines(check_source(settings)) == {"reachable": ("not looked at", "SOURCE_DSN: not configured here")}
    for checks in (check_proof_source, check_state, check_targets, check_mail):
        ((status, text),) = lines(checks(settings)).values()
        assert (status, "not configured here" in text) == ("not looked at", True)


def test_a_wrong_line_names_the_fix_and_exits_with_1(healthy: Installation) -> None:
    healthy.source.execute("alter table person replica identity nothing")
    try:
        said = healthy.imsfeed("doctor", code=1)
    finally:
        healthy.source.execute("alter table person replica identity default")
    assert "source: table public.person: its replica identity lacks owner_id or the primary key" in said
    assert "run `imsfeed setup source`" in said


def test_servers_that_are_away_are_a_line_each_and_what_is_behind_them_is_not_looked_at() -> None:
    nowhere = f"postgresql://imsfeed:secret@127.0.0.1:{free_port()}/none"
    settings = Settings.model_validate({
        "source_dsn": nowhere,
        "state_dsn": nowhere,
        "proof_source_dsn": nowhere,
        "kafka_bootstrap_servers": f"127.0.0.1:{free_port()}",
    })
    for checks, wrong in ((check_source, "reachable"), (check_state, "reachable"), (check_kafka, "reachable")):
        found = lines(checks(settings))
        assert found[wrong][0] == "wrong"
        assert "not looked at" in {status for status, _ in found.values()}
    assert lines(check_proof_source(settings))["select"][0] == "wrong"
    assert "secret" not in str([*check_source(settings), *check_state(settings), *check_proof_source(settings)])


@pytest.mark.parametrize(
    ("change", "back", "check", "text"),
    [
        (
            "alter publication {p} set (publish = 'insert')",
            "alter publication {p} set (publish = 'insert, update, delete, truncate')",
            "publication",
            "does not publish update, delete, truncate",
        ),
        (
            "alter publication {p} drop table enrolment",
            "alter publication {p} add table enrolment",
            "table public.enrolment",
            "is not in the publication",
        ),
        (
            "alter table school rename to skole",
            "alter table skole rename to school",
            "table public.school",
            "does not exist",
        ),
        (
            "alter table person rename mobile to phone",
            "alter table person rename phone to mobile",
            "table public.person",
            "without the columns mobile",
        ),
        (
            "delete from imsfeed.heartbeat where owner_id = 1",
            "insert into imsfeed.heartbeat values (1, now())",
            "heartbeat rows",
            "1, and KAFKA_PARTITIONS is 2",
        ),
    ],
)
def test_a_fault_of_the_source_is_found(
    healthy: Installation, settings: Settings, change: str, back: str, check: str, text: str
) -> None:
    def execute(query: str) -> None:
        healthy.source.execute(query.format(p=settings.source_publication).encode())

    # Capture would refuse too, or make the change good again.
    healthy.stop("capture")
    try:
        execute(change)
        status, said = lines(check_source(settings))[check]
    finally:
        execute(back)
        healthy.start("capture")
    assert (status, text in said) == ("wrong", True), said


def test_a_slot_or_publication_that_is_not_there_is_wrong(settings: Settings) -> None:
    other = settings.model_copy(update={"source_slot": "another", "source_publication": "another"})
    found = lines(check_source(other))
    assert found["publication"] == ("wrong", "'another' does not exist")
    assert found["slot"] == ("wrong", "'another' does not exist")
    assert found["initial load"][0] == "wrong"


def test_a_slot_that_is_gone_although_changes_depend_on_it_is_wrong(healthy: Installation, settings: Settings) -> None:
    healthy.source.execute("insert into imsfeed.capture values ('lost', 1, now(), '0/1')")
    try:
        status, text = lines(check_source(settings.model_copy(update={"source_slot": "lost"})))["slot"]
    finally:
        healthy.source.execute("delete from imsfeed.capture where slot_name = 'lost'")
    assert (status, "is gone" in text) == ("wrong", True)


def test_a_slot_that_nobody_reads_and_wal_without_limit_are_warnings(healthy: Installation, settings: Settings) -> None:
    until(lambda: lines(check_source(settings))["slot"] == ("ok", "is read"), what="capture reads its slot")
    assert lines(check_source(settings))["retained WAL"][0] == "warning"
    healthy.stop("capture")
    assert until(lambda: lines(check_source(settings))["slot"][0] == "warning", what="the slot is free")
    healthy.start("capture")


def test_retained_wal_is_held_against_the_servers_limit(settings: Settings, source_server: LocalPostgres) -> None:
    with psycopg.connect(source_server.any_dsn, autocommit=True) as admin:
        try:
            admin.execute("alter system set max_slot_wal_keep_size = '1GB'")
            admin.execute("alter system set wal_sender_timeout = '1s'")
            admin.execute("select pg_reload_conf()")
            until(lambda: lines(check_source(settings))["retained WAL"][0] == "ok", what="it is reloaded")
            found = lines(check_source(settings))
        finally:
            admin.execute("alter system reset max_slot_wal_keep_size")
            admin.execute("alter system reset wal_sender_timeout")
            admin.execute("select pg_reload_conf()")
    assert found["retained WAL"][1].endswith(" of 1,024 MiB")
    assert found["wal_sender_timeout"] == ("warning", "1 s")


def test_a_role_without_rights_is_told_what_it_lacks(healthy: Installation, settings: Settings) -> None:
    healthy.source.execute("create role weak login password 'weak'")
    try:
        healthy.source.execute("grant usage on schema public, imsfeed to weak; grant select on imsfeed.capture to weak")
        dsn = psycopg.conninfo.make_conninfo(settings.source(), user="weak", password="weak")
        weak = Settings.model_validate(settings.model_dump() | {"source_dsn": dsn, "proof_source_dsn": dsn})
        found = lines(check_source(weak))
        assert found["REPLICATION"] == ("wrong", "the role lacks it")
        assert found["table public.person"] == ("wrong", "may not be read")
        assert found["heartbeat"] == ("wrong", "permission denied for table heartbeat")
        assert lines(check_proof_source(weak))["select"][0] == "wrong"
        healthy.source.execute("grant select on all tables in schema public to weak")
        assert lines(check_proof_source(weak)) == {
            "select": ("ok", "every table may be read"),
            "rights": ("ok", "may only read"),
        }
        strong = weak.model_copy(update={"proof_source_dsn": settings.source_dsn})
        assert lines(check_proof_source(strong))["rights"][0] == "warning"
    finally:
        healthy.source.execute("drop owned by weak; drop role weak")


def test_a_fault_of_the_topic_is_found(settings: Settings) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    right = {"cleanup.policy": "delete", "retention.ms": str(14 * 86_400_000), "max.message.bytes": str(1 << 24)}
    wrong = {"cleanup.policy": "compact", "retention.ms": "3600000", "max.message.bytes": "1000"}
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.kafka_topic)
    try:
        resource.configs = wrong
        admin.alter_configs([resource])
        found = lines(check_kafka(settings))
        assert {check: found[check][0] for check in wrong} == {
            "cleanup.policy": "wrong",
            "retention.ms": "wrong",
            "max.message.bytes": "warning",
        }
    finally:
        resource.configs = right
        admin.alter_configs([resource])
        admin.close()
    assert {lines(check_kafka(settings))[check][0] for check in right} == {"ok"}
    assert lines(check_kafka(settings.model_copy(update={"kafka_partitions": 3})))["partitions"][0] == "wrong"
    assert lines(check_kafka(settings.model_copy(update={"kafka_topic": "none"})))["topic"][0] == "warning"


def test_the_members_of_the_consumer_group_and_their_partitions_are_named(settings: Settings) -> None:
    assert lines(check_kafka(settings))["consumer group"] == (
        "ok",
        f"{settings.kafka_group}: 1 members: 127.0.0.1 has 0, 1",
    )


def test_a_consumer_group_without_members_is_found(settings: Settings) -> None:
    nobodys = settings.model_copy(update={"kafka_group": "nobodys"})
    assert lines(check_kafka(nobodys))["consumer group"][0] == "warning"


def test_a_consumer_group_that_may_not_be_described_is_no_fault(settings: Settings) -> None:
    found = check_group({"error": "[Error 30] GroupAuthorizationFailedError", "members": []}, settings)
    assert found.status == "not looked at"


def test_too_few_replicas_on_several_brokers_are_found(settings: Settings) -> None:
    topic = {"partitions": [{"replica_nodes": [1]}, {"replica_nodes": [2]}]}
    found = lines(check_topic(topic, {"min.insync.replicas": "2"}, settings, brokers=3))
    assert found["replicas"][0] == "warning"
    assert found["min.insync.replicas"][0] == "wrong"  # nothing could ever be acknowledged
    topic = {"partitions": [{"replica_nodes": [1, 2, 3]}, {"replica_nodes": [3, 2, 1]}]}
    found = lines(check_topic(topic, {"min.insync.replicas": "1", "retention.bytes": "5"}, settings, brokers=3))
    assert (found["replicas"][0], found["min.insync.replicas"][0]) == ("ok", "warning")
    assert found["retention.bytes"][0] == "warning"


def test_a_missing_checksum_library_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_internals, "checksum_is_compiled", lambda _record_util: False)
    assert lines(check_kafka(settings))["crc32c"][0] == "wrong"


def test_a_state_database_of_another_version_is_found(settings: Settings, state: psycopg.Connection[Any]) -> None:
    row = state.execute(
        "delete from imsfeed.schema_migration where name like '0011%' returning name, sha256, applied_at"
    ).fetchone()
    assert row is not None
    try:
        assert lines(check_state(settings))["migrations"] == ("wrong", f"lacking: {row[0]}")
    finally:
        state.execute("insert into imsfeed.schema_migration values (%s, %s, %s)", row)
    state.execute("insert into imsfeed.schema_migration values ('9999_later.sql', '', now())")
    try:
        assert "newer version" in lines(check_state(settings))["migrations"][1]
    finally:
        state.execute("delete from imsfeed.schema_migration where name = '9999_later.sql'")


def test_a_path_that_stands_still_is_found(
    healthy: Installation, settings: Settings, state: psycopg.Connection[Any]
) -> None:
    healthy.stop("materialize", "compact")
    try:
        state.execute(
            "update imsfeed.topic_partition set heartbeat_at = now() - partition * interval '1 h',"
            " updated_at = now() - interval '1 h', open_owners = case partition when 1 then array[1] else '{}' end"
        )
        state.execute(
            "insert into imsfeed.mark (owner_id, kind, id, marked_at) values (1, 'person', 1, now() - interval '1 h')"
        )
        state.execute(
            "insert into imsfeed.quarantine (topic, partition, message_offset, reason, detail)"
            " values ('t', 0, 1, '', '')"
        )
        found = lines(check_state(settings))
        assert found["heartbeats"] == ("warning", "late in partitions 1")
        assert found["open transactions"] == ("wrong", "owners 1 have waited long")
        assert found["quarantine"] == ("warning", "1 messages")
        assert found["marks"][0] == "wrong"
        other = settings.model_copy(update={"kafka_partitions": 3})
        assert lines(check_state(other))["partitions"] == ("warning", "not begun: 2")
    finally:
        state.execute("delete from imsfeed.quarantine")
        state.execute("update imsfeed.topic_partition set open_owners = '{}'")
        healthy.start("materialize", "compact")
    until(lambda: lines(check_state(settings))["marks"][0] == "ok", what="compact has told the mark")


def test_a_database_in_another_encoding_or_at_another_time_is_found(
    settings: Settings, state_server: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(state_server.any_dsn, autocommit=True) as admin:
        admin.execute("create database latin template template0 encoding 'LATIN1' locale 'C'")
        try:
            latin = Settings.model_validate(settings.model_dump() | {"state_dsn": state_server.dsn("latin")})
            assert lines(check_state(latin))["encoding"] == ("wrong", "LATIN1")
        finally:
            admin.execute("drop database latin with (force)")

    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(seconds=5))
    monkeypatch.setattr("deploy.doctor.databases.datetime", clock)
    assert lines(check_state(settings))["clock"][0] == "warning"
    assert lines(check_source(settings))["clock"][0] == "warning"


def test_targets_that_cannot_go_on_are_found(
    healthy: Installation, settings: Settings, state: psycopg.Connection[Any]
) -> None:
    healthy.stop("compact")
    try:
        state.execute("update imsfeed.target set snapshot_through = snapshot_through - 3, orgnr = '999999999'")
        state.execute(
            "insert into imsfeed.proof (target_id, proved_at, checked, outcome, differences, details)"
            " select target_id, now(), 'rules', 'differs', 1, '{person 7}' from imsfeed.target"
        )
        found = lines(check_targets(settings))
        assert found["1/lms"] == ("wrong", "stale")
        assert found["1/lms snapshot"][0] == "wrong"
        assert found["1/lms proof of rules"] == ("wrong", "differs: person 7")
        healthy.imsfeed("targets", "set", "lms", "importer_sync_time=02:30")
        assert lines(check_targets(settings))["1/lms hours"][0] == "warning"
        healthy.imsfeed("targets", "set", "lms", "enabled=false")
        assert lines(check_targets(settings))["targets"][0] == "warning"
    finally:
        healthy.imsfeed("targets", "apply", str(healthy.folder / "targets.toml"))
        state.execute("delete from imsfeed.proof")
        state.execute("update imsfeed.target set orgnr = (select orgnr from imsfeed.owner)")
        healthy.start("compact")


def a_feed(folder: Path) -> Settings:
    folder.mkdir(mode=0o750)
    return Settings.model_validate({"feed_directory": folder})


def test_a_feed_directory_that_cannot_be_used_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = a_feed(tmp_path / "feed")
    assert {status for status, _ in lines(check_feed(settings)).values()} == {"ok"}
    assert list((tmp_path / "feed").iterdir()) == []
    missing = Settings.model_validate({"feed_directory": tmp_path / "none"})
    assert lines(check_feed(missing))["directory"][0] == "warning"

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    assert lines(check_feed(settings))["hard links"] == ("wrong", "OSError: Operation not supported")
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert lines(check_feed(settings))["writable"][0] == "wrong"


def test_files_that_others_may_read_are_named(tmp_path: Path) -> None:
    settings = a_feed(tmp_path / "feed")
    (tmp_path / "feed" / "Eksport.xml").write_text("")
    (tmp_path / "feed" / "Eksport.xml").chmod(0o644)
    assert lines(check_feed(settings))["modes"] == ("wrong", "Eksport.xml 0644")


def test_a_disk_that_is_nearly_full_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = a_feed(tmp_path / "feed")
    full = os.statvfs_result((4096, 4096, 10**9, 10, 10, 10**6, 5, 5, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    found = lines(check_feed(settings))
    assert (found["free space"][0], found["free inodes"][0]) == ("wrong", "wrong")


def test_a_manifest_that_nobody_writes_any_more_is_found(healthy: Installation, tmp_path: Path) -> None:
    settings = a_feed(tmp_path / "feed")
    folder = tmp_path / "feed" / "100000008" / "lms"
    folder.mkdir(parents=True)
    manifest = healthy.manifest()
    assert manifest is not None
    old = datetime.now(UTC) - timedelta(hours=1)
    (folder / "manifest.json").write_bytes(encode(msgspec.structs.replace(manifest, checked=old, expires=old)))
    assert lines(check_feed(settings))["manifest 100000008/lms"][0] == "wrong"
    (folder / "manifest.json").write_bytes(b"{}")
    assert lines(check_feed(settings))["manifest 100000008/lms"][0] == "wrong"


def test_the_mail_server_is_greeted_and_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_mail_server(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        given = {
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_user": USER,
            "smtp_password": PASSWORD,
            "smtp_from": "imsfeed@fjordvik.example",
        }
        assert lines(check_mail(Settings.model_validate(given)))["server"] == (
            "ok",
            "answers over starttls, takes the login",
        )
        assert (server.arrived, server.logins) == ([], 1)
        server.password = "another"
        assert lines(check_mail(Settings.model_validate(given)))["server"][0] == "wrong"
        assert lines(check_mail(Settings.model_validate(given | {"smtp_from": None})))["settings"][0] == "wrong"


def test_a_port_that_another_program_has_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings.model_validate({"metrics_host": "127.0.0.1", "metrics_port": other.getsockname()[1]})
        assert lines(check_metrics(settings))["port"][0] == "wrong"
    assert lines(check_metrics(settings))["port"][0] == "ok"


def test_time_zones_that_are_not_installed_are_found() -> None:
    assert lines(check_zone("Europe/Oslo"))["time zones"][0] == "ok"
    assert lines(check_zone("Europe/Fjordvik"))["time zones"][0] == "wrong"


def test_no_area_stops_another_and_none_is_waited_for_without_end() -> None:
    area = Area("x")
    ended = socket.socketpair()

    def broken(_settings: Settings) -> Findings:
        yield area.ok("first", "before the defect")
        raise ValueError("01810012345")

    def silent(_settings: Settings) -> Findings:
        ended[0].recv(1)
        yield area.ok("never", "")

    areas = {"broken": broken, "silent": silent, "last": lambda _s: iter([area.ok("last", "")])}
    found = examine(Settings(), areas=areas, deadline_seconds=0.2)
    for one in ended:
        one.close()
    assert [(line.check, line.status) for line in found] == [
        ("first", "ok"),
        ("check", "wrong"),
        ("deadline", "wrong"),
        ("last", "ok"),
    ]
    assert "01810012345" not in str(found)
