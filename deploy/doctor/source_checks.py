"""Checks of the source: what capture needs there, and what could cost it the slot or fill the source's disk."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from deploy.doctor.databases import check_server, first_line, opened, permitted, value
from deploy.doctor.finding import NOT_CONFIGURED, SAME_AS_TEXT, Area, Findings
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.facts import Table
from producers.source import catalog
from producers.source.captured_table import HEARTBEAT, TableName, owner_columns
from producers.source.catalog import Connection
from producers.source.open_transactions import open_transactions
from producers.source.preflight import RELOAD, check_slot, identity_suffices, require_logical_wal
from producers.source.source_words import unknown_words
from producers.source.table_kinds import problems

_AREA: Final = Area("source")
_SETUP: Final = "run `imsfeed setup source`"
_LEAST_VERSION: Final = 15
"""The first version that reports a publication's columns (pg_publication_tables.attnames)."""
_OPERATIONS: Final = ("insert", "update", "delete", "truncate")
_HALF: Final = 0.5
_LATE_HEARTBEATS: Final = 6
_LEAST_IDLE_SECONDS: Final = 24 * 3600
_LEAST_SENDER_SECONDS: Final = 10
_LONG_TRANSACTION_SECONDS: Final = 60


def check_source(settings: Settings) -> Findings:
    """Check the source as capture's role sees it."""
    if settings.source_dsn is None:
        yield _AREA.skipped("reachable", f"SOURCE_DSN: {NOT_CONFIGURED}")
        return
    try:
        with opened(settings.source()) as connection:
            yield from check_server(_AREA, connection, _LEAST_VERSION)
            for check, findings in _PARTS.items():
                yield from permitted(_AREA, check, findings(connection, settings))
    except psycopg.OperationalError as error:
        yield _AREA.error("reachable", first_line(error), "check SOURCE_DSN, the network and the server")
        yield _AREA.skipped("everything else", "the source does not answer")


def _server(connection: Connection, settings: Settings) -> Findings:
    try:
        require_logical_wal(connection)
        yield _AREA.ok("wal_level", "logical")
    except InvalidSettingsError as error:
        yield _AREA.error("wal_level", str(error), SAME_AS_TEXT)
    has_slot = catalog.slot(connection, settings.source_slot) is not None
    for setting, used in (
        ("max_replication_slots", "select count(*) from pg_replication_slots"),
        ("max_wal_senders", "select count(*) from pg_stat_replication"),
    ):
        limit, taken = int(catalog.current_setting(connection, setting)), value(connection, used)
        free = limit - taken
        yield _AREA.judge(
            setting, has_slot or free > 0, f"{taken} of {limit} used", f"raise {setting} and restart PostgreSQL"
        )
    may = value(connection, "select rolreplication or rolsuper from pg_roles where rolname = current_user")
    text = "the role has it" if may else "the role lacks it"
    yield _AREA.judge("REPLICATION", bool(may), text, "run `alter role … replication`")
    sender = _seconds(connection, "wal_sender_timeout")
    yield _AREA.judge(
        "wal_sender_timeout",
        sender == 0 or sender >= _LEAST_SENDER_SECONDS,
        f"{sender:g} s",
        f"set it to {_LEAST_SENDER_SECONDS} s or more: the source closes capture's connection at every short pause",
        otherwise="warning",
    )
    yield from _idle_timeout(connection)


def _idle_timeout(connection: Connection) -> Findings:
    """Check the timeout after which PostgreSQL 18 invalidates a slot that no process reads."""
    idle = _seconds(connection, "idle_replication_slot_timeout")
    if idle is not None:
        yield _AREA.judge(
            "idle_replication_slot_timeout",
            idle == 0 or idle >= _LEAST_IDLE_SECONDS,
            f"{idle:g} s",
            "set it to 0 or at least a day: a capture that is stopped for longer loses its slot",
            otherwise="warning",
        )


def _publication(connection: Connection, settings: Settings) -> Findings:
    name = settings.source_publication
    found = catalog.publication(connection, name)
    if found is None:
        yield _AREA.error("publication", f"{name!r} does not exist", _SETUP)
        return
    lacking = [word for word in _OPERATIONS if not found[f"pub{word}"]]
    text = f"{name!r} does not publish {', '.join(lacking)}" if lacking else f"{name!r} publishes every change"
    yield _AREA.judge("publication", not lacking, text, _SETUP)


def _tables(connection: Connection, settings: Settings) -> Findings:
    owners, mapping = owner_columns(settings), read_mapping(settings)
    wanted = {TableName(settings.source_schema, mapping.source_table(table)): mapping.columns(table) for table in Table}
    found = catalog.tables(connection, owners)
    published = catalog.published(connection, settings.source_publication)
    for name, owner in owners.items():
        fix = _SETUP if name == HEARTBEAT else "correct MAPPING_FILE, SOURCE_SCHEMA or the source"
        if name not in found:
            yield _AREA.error(f"table {name}", "does not exist", fix)
            continue
        wrong = list(problems(found[name], wanted.get(name, {}).values(), connection.info.server_version))
        if wrong:
            yield from (_AREA.error(f"table {name}", problem.text, problem.remedy) for problem in wrong)
            continue
        if name not in published:
            yield _AREA.error(f"table {name}", "is not in the publication", _SETUP)
            continue
        lacking = set(wanted.get(name, {}).values()) - set(published[name])
        if lacking:
            text = f"the publication lacks the columns {', '.join(sorted(lacking))}"
            yield _AREA.error(f"table {name}", text, fix)
        elif not identity_suffices(found[name], owner):
            lacks = f"{owner} or the primary key" if owner else "the primary key"
            yield _AREA.error(f"table {name}", f"its replica identity lacks {lacks}", _SETUP)
        elif not value(connection, "select has_table_privilege(%s, 'select')", [_quoted(connection, name)]):
            yield _AREA.error(f"table {name}", "may not be read", f"grant select on {name} to capture's role")
        else:
            yield _AREA.ok(f"table {name}", "captured, with all its columns")


def _words(connection: Connection, settings: Settings) -> Findings:
    try:
        unknown = unknown_words(connection, settings)
    except psycopg.errors.QueryCanceled:
        yield _AREA.skipped("words", "reading them takes longer than a check may: run `imsfeed mapping check`")
        return
    except psycopg.ProgrammingError as error:
        yield _AREA.skipped("words", first_line(error))
        return
    text = "; ".join(map(str, unknown)) or "the mapping knows every status, role, kind and programme"
    fix = "map them in MAPPING_FILE under values (docs/mapping.md): their rows are quarantined"
    yield _AREA.judge("words", not unknown, text, fix)


def _slot(connection: Connection, settings: Settings) -> Findings:
    name = settings.source_slot
    slot = catalog.slot(connection, name)
    try:
        check_slot(slot, name, catalog.database(connection), catalog.load_state(connection, name))
    except InvalidSettingsError as error:
        yield _AREA.error("slot", str(error), RELOAD)
        return
    if slot is None:
        yield _AREA.error("slot", f"{name!r} does not exist", _SETUP)
        return
    yield _AREA.judge(
        "slot",
        bool(slot["active"]),
        "active" if slot["active"] else "no process reads it",
        "start capture: until then the source keeps its write-ahead log",
        otherwise="warning",
    )
    yield from _retained(connection, slot)


def _retained(connection: Connection, slot: dict[str, Any]) -> Findings:
    retained = int(
        value(connection, "select pg_wal_lsn_diff(pg_current_wal_lsn(), %s::pg_lsn)", [slot["restart_lsn"]]) or 0
    )
    kept = int(value(connection, "select setting::bigint from pg_settings where name = 'max_slot_wal_keep_size'"))
    if kept < 0:
        yield _AREA.warning(
            "retained WAL",
            f"{_megabytes(retained)}, and max_slot_wal_keep_size has no limit",
            "set max_slot_wal_keep_size: a capture that is stopped for long then costs the slot, not the source's disk",
        )
        return
    limit = kept * 1024 * 1024
    text = f"{_megabytes(retained)} of {_megabytes(limit)}"
    if retained > limit * _HALF:
        yield _AREA.error("retained WAL", text, "find out what stops capture, or raise max_slot_wal_keep_size")
    else:
        yield _AREA.ok("retained WAL", text)


def _open_transactions(connection: Connection, _settings: Settings) -> Findings:
    found = open_transactions(connection, _LONG_TRANSACTION_SECONDS)
    text = "; ".join(map(str, found)) if found else "none is old"
    end = found[0].pid if found else None
    yield _AREA.judge(
        "open transactions",
        not found,
        text,
        "a new slot, a load and a resync wait for them; end them"
        + ("" if end is None else f", such as with `select pg_terminate_backend({end})`"),
        otherwise="warning",
    )


def _load(connection: Connection, settings: Settings) -> Findings:
    loaded = catalog.load_state(connection, settings.source_slot)
    waits_for = open_transactions(connection)
    if loaded is None:
        yield _AREA.error("initial load", "imsfeed.capture has no row for the slot", _SETUP)
    elif loaded.loaded_at is None and waits_for:
        yield _AREA.warning("initial load", f"waits for an open transaction: {waits_for[0]}", "end the transaction")
    else:
        done = loaded.loaded_at is not None
        yield _AREA.judge(
            "initial load",
            done,
            "complete" if done else "not complete",
            "start capture, and let it finish",
            otherwise="warning",
        )


def _heartbeat(connection: Connection, settings: Settings) -> Findings:
    if not catalog.exists(connection, str(HEARTBEAT)):
        yield _AREA.error("heartbeat", "imsfeed.heartbeat does not exist", _SETUP)
        return
    oldest = value(connection, "select min(beat_at) from imsfeed.heartbeat")
    rows = value(connection, "select count(*) from imsfeed.heartbeat")
    yield _AREA.judge(
        "heartbeat rows",
        rows == settings.kafka_partitions,
        f"{rows}, and KAFKA_PARTITIONS is {settings.kafka_partitions}",
        _SETUP,
    )
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else float("inf")
    yield _AREA.judge(
        "heartbeat",
        age <= _LATE_HEARTBEATS * settings.heartbeat_seconds,
        f"written {age:.0f} s ago",
        "start capture; if it is running, read its log",
        otherwise="warning",
    )


def _quoted(connection: Connection, name: TableName) -> str:
    return str(value(connection, "select format('%%I.%%I', %s::text, %s::text)", [name.schema, name.table]))


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:,.0f} MiB"


def _seconds(connection: Connection, name: str) -> Any:  # noqa: ANN401 - None where this version lacks the setting
    return value(
        connection,
        "select extract(epoch from (setting || coalesce(unit, 's'))::interval)::float8 from pg_settings"
        " where name = %s",
        [name],
    )


_PARTS: Final[dict[str, Callable[[Connection, Settings], Findings]]] = {
    "server": _server,
    "publication": _publication,
    "tables": _tables,
    "open transactions": _open_transactions,
    "words": _words,
    "slot": _slot,
    "initial load": _load,
    "heartbeat": _heartbeat,
}
