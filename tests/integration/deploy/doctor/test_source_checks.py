"""The checks of the source, each with a fault planted in a healthy installation."""

import psycopg
import pytest

from deploy.doctor.reconciliation_source_checks import check_reconciliation_source
from deploy.doctor.source_checks import check_source
from deploy.local.postgres import LocalPostgres
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines
from tests.support.installation import Installation
from tests.support.waiting import until


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
            "lacks the columns mobile",
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

    # Capture would stop too, or undo the change.
    healthy.stop("capture")
    try:
        execute(change)
        status, found = lines(check_source(settings))[check]
    finally:
        execute(back)
        healthy.start("capture")
    assert (status, text in found) == ("error", True), found


def test_a_missing_slot_or_publication_is_an_error(settings: Settings) -> None:
    other = settings.model_copy(update={"source_slot": "another", "source_publication": "another"})
    found = lines(check_source(other))
    assert found["publication"] == ("error", "'another' does not exist")
    assert found["slot"] == ("error", "'another' does not exist")
    assert found["initial load"][0] == "error"


def test_a_dropped_slot_is_an_error_after_the_load(healthy: Installation, settings: Settings) -> None:
    healthy.source.execute("insert into imsfeed.capture values ('lost', 1, now(), '0/1')")
    try:
        status, text = lines(check_source(settings.model_copy(update={"source_slot": "lost"})))["slot"]
    finally:
        healthy.source.execute("delete from imsfeed.capture where slot_name = 'lost'")
    assert (status, "changes are lost" in text) == ("error", True)


def test_an_inactive_slot_and_unlimited_wal_are_warnings(healthy: Installation, settings: Settings) -> None:
    until(lambda: lines(check_source(settings))["slot"] == ("ok", "active"), what="capture reads its slot")
    assert lines(check_source(settings))["retained WAL"][0] == "warning"
    healthy.stop("capture")
    assert until(lambda: lines(check_source(settings))["slot"][0] == "warning", what="the slot is free")
    healthy.start("capture")


def test_retained_wal_is_compared_with_the_servers_limit(settings: Settings, source_server: LocalPostgres) -> None:
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


def test_a_role_without_privileges_is_reported(healthy: Installation, settings: Settings) -> None:
    healthy.source.execute("create role weak login password 'weak'")
    try:
        healthy.source.execute("grant usage on schema public, imsfeed to weak; grant select on imsfeed.capture to weak")
        dsn = psycopg.conninfo.make_conninfo(settings.source(), user="weak", password="weak")
        weak = Settings.model_validate(settings.model_dump() | {"source_dsn": dsn, "reconcile_source_dsn": dsn})
        found = lines(check_source(weak))
        assert found["REPLICATION"] == ("error", "the role lacks it")
        assert found["table public.person"] == ("error", "may not be read")
        assert found["heartbeat"] == ("error", "permission denied for table heartbeat")
        assert lines(check_reconciliation_source(weak))["select"][0] == "error"
        healthy.source.execute("grant select on all tables in schema public to weak")
        assert lines(check_reconciliation_source(weak)) == {
            "select": ("ok", "every table may be read"),
            "privileges": ("ok", "may only read"),
        }
        strong = weak.model_copy(update={"reconcile_source_dsn": settings.source_dsn})
        assert lines(check_reconciliation_source(strong))["privileges"][0] == "warning"
    finally:
        healthy.source.execute("drop owned by weak; drop role weak")
