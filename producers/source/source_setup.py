"""Creates everything that capture needs in the source (``imsfeed setup source``); may be run again at any time.

The statements are worked out first, from what exists. A dry run therefore shows exactly the statements that would be
run, and there are none when everything is in place.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import catalog, source_schema
from producers.source.captured_table import CAPTURE, HEARTBEAT, OWN_SCHEMA, TableName, owner_columns
from producers.source.catalog import Connection, LoadState, SourceTable
from producers.source.open_transactions import OpenTransaction, waits_reported
from producers.source.preflight import (
    check_slot,
    own_identity_suffices,
    require_logical_wal,
    require_suitable_kinds,
)
from producers.source.table_kinds import PARTITIONED, STORED
from producers.source.table_rows import require_same_forms

_CREATE_HEARTBEAT = "create table imsfeed.heartbeat (owner_id integer primary key, beat_at timestamptz not null)"
_CREATE_CAPTURE = (
    "create table imsfeed.capture"
    " (slot_name text primary key, epoch bigint not null, loaded_at timestamptz, loaded_lsn pg_lsn,"
    " loaded_rows bigint not null default 0, confirmable_lsn pg_lsn, partitions integer)"
)
_EXTEND_CAPTURE = (
    "alter table imsfeed.capture add column loaded_rows bigint not null default 0, add column confirmable_lsn pg_lsn"
)
_ADD_PARTITIONS = "alter table imsfeed.capture add column partitions integer"
_CREATE_RESYNC = (
    "create table imsfeed.resync (resync_id bigint generated always as identity primary key, slot_name text,"
    " owner_id bigint not null, requested_at timestamptz not null default now(),"
    " requested_by text not null default session_user,"
    " began_at timestamptz, rows_sent bigint not null default 0, done_at timestamptz)"
)
_OWN_TABLES = ("heartbeat", "capture", "resync")
_PUBLISHED = "insert, update, delete, truncate"


class SourceState(msgspec.Struct, frozen=True):
    """What exists in the source now.

    Attributes:
        has_schema: true if the schema ``imsfeed`` exists.
        own_tables: the tables of the schema ``imsfeed`` that exist.
        capture_columns: the columns of ``imsfeed.capture``; none if the table does not exist.
        beating: the partitions that have a heartbeat row.
        loaded: the slot's row in ``imsfeed.capture``.
        tables: the tables to be captured that exist.
        published: the tables that the publication sends by their own names, with the columns; ``None`` without one.
        members: the tables that the publication names.
        options: options of the publication that are to be set, with their values; none without a publication.
        has_slot: true if the slot exists.
    """

    has_schema: bool
    own_tables: frozenset[str]
    capture_columns: frozenset[str]
    beating: frozenset[int]
    loaded: LoadState | None
    tables: dict[TableName, SourceTable]
    published: dict[TableName, tuple[str, ...]] | None
    members: frozenset[TableName]
    options: dict[str, str]
    has_slot: bool


def plan(connection: Connection, settings: Settings, *, reload: bool = False) -> list[str]:
    """Return the statements that are needed, in order, without running them.

    Args:
        connection: to the source database.
        settings: what to set up.
        reload: make capture load all tables again, under a new slot, as soon as it can.

    Raises:
        InvalidSettingsError: the server's ``wal_level`` is wrong, a table is missing, or the slot has lost changes
            (which *reload* resolves).
    """
    require_logical_wal(connection)
    # Before the row of imsfeed.capture, for the reason given in preflight.check.
    slot = catalog.slot(connection, settings.source_slot)
    state = read_state(connection, settings)
    require_suitable_kinds(connection, settings, state.tables.values())
    wanted = source_schema.wanted_columns(settings)
    check_slot(slot, settings.source_slot, catalog.database(connection), None if reload else state.loaded)
    needed = list(statements(state, settings, reload=reload))
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # capture checks it too, and has to read them
        require_same_forms(connection, wanted.items())
    return needed


def apply(
    connection: Connection,
    settings: Settings,
    *,
    reload: bool = False,
    report: Callable[[list[OpenTransaction]], None] = lambda _: None,
) -> list[str]:
    """Run the statements of :func:`plan` and return them.

    Args:
        connection: in autocommit mode, because a slot cannot be created in a transaction that has written.
        settings: what to set up.
        reload: as for :func:`plan`.
        report: called with the open transactions of the source for which a new slot waits.

    Raises:
        InvalidSettingsError: as for :func:`plan`; or a privilege is missing. The statements that were run before it
            stay, and the next call runs the rest.
    """
    needed = plan(connection, settings, reload=reload)
    for statement in needed:
        try:
            with waits_reported(settings.source(), report):
                connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise InvalidSettingsError(
                f"not allowed: {statement} ({error.diag.message_primary});"
                " run it as the tables' owner, with the attribute REPLICATION and the privilege CREATE on the database"
            ) from None
    return needed


def read_state(connection: Connection, settings: Settings) -> SourceState:
    """Read from the catalog what exists now."""
    own = frozenset(name for name in _OWN_TABLES if catalog.exists(connection, f"{OWN_SCHEMA}.{name}"))
    beating = connection.execute("select owner_id from imsfeed.heartbeat") if "heartbeat" in own else ()
    publication = catalog.publication(connection, settings.source_publication)
    tables = catalog.tables(connection, owner_columns(settings))
    return SourceState(
        has_schema=connection.execute("select to_regnamespace('imsfeed') is not null").fetchone() == (True,),
        own_tables=own,
        capture_columns=_columns(connection, CAPTURE),
        beating=frozenset(partition for (partition,) in beating),
        loaded=catalog.load_state(connection, settings.source_slot),
        tables=tables,
        published=None if publication is None else catalog.published(connection, settings.source_publication),
        members=catalog.members(connection, settings.source_publication),
        options=_options(publication or {}, settings, tables),
        has_slot=catalog.slot(connection, settings.source_slot) is not None,
    )


def _options(publication: dict[str, Any], settings: Settings, tables: dict[TableName, SourceTable]) -> dict[str, str]:
    """Return the options that *publication*, a row of ``pg_publication`` or empty, lacks."""
    wanted = source_schema.wanted_columns(settings)
    options = {}
    if not all(publication.get(f"pub{word}") for word in ("insert", "update", "delete", "truncate")):
        options["publish"] = f"'{_PUBLISHED}'"
    partitioned = any(table.kind == PARTITIONED for table in tables.values())
    if partitioned and not publication.get("pubviaroot"):
        options["publish_via_partition_root"] = "true"
    generated = any(table.generated.keys() & wanted.get(name, {}).keys() for name, table in tables.items())
    if generated and publication.get("pubgencols") != STORED:
        options["publish_generated_columns"] = "stored"
    return options


def _columns(connection: Connection, table: TableName) -> frozenset[str]:
    found = catalog.tables(connection, [table])
    return frozenset(found[table].columns) if table in found else frozenset()


def statements(state: SourceState, settings: Settings, *, reload: bool) -> Iterator[str]:
    """Yield the statements that lead from *state* to what capture needs.

    When a table joins the publication of a source that has been loaded, everything is loaded again: the rows that the
    table has already would never reach the stream.

    Raises:
        InvalidSettingsError: a table is missing, or a mapped column of it is missing or of an unsuitable type.
    """
    owners = owner_columns(settings)
    _require_tables(state, settings, owners)
    yield from _own_tables(state, settings)
    yield from _identities(state, owners)
    yield from _publication(state, settings, owners)
    if not state.has_slot:
        yield _sql("select pg_create_logical_replication_slot({slot}, 'pgoutput')", slot=settings.source_slot)
    joining = state.published is None or not owners.keys() <= state.published.keys()
    if state.loaded is not None and state.loaded.loaded_at is not None and (reload or joining):
        yield _sql(
            "update imsfeed.capture set loaded_at = null, loaded_lsn = null where slot_name = {slot}",
            slot=settings.source_slot,
        )


def _require_tables(state: SourceState, settings: Settings, owners: dict[TableName, str]) -> None:
    missing = [str(name) for name in owners if name not in state.tables and name != HEARTBEAT]
    if missing:
        raise InvalidSettingsError(
            f"the source has no table {', '.join(missing)}; set SOURCE_SCHEMA (now {settings.source_schema!r}),"
            " or name the tables in MAPPING_FILE"
        )
    wanted = source_schema.wanted_columns(settings)
    wrong = [
        problem
        for name, table in state.tables.items()
        if name in wanted
        for problem in source_schema.problems(name, wanted[name], table.types)
    ]
    if wrong:
        raise InvalidSettingsError(f"{'; '.join(wrong)}; map the columns in MAPPING_FILE")


def _own_tables(state: SourceState, settings: Settings) -> Iterator[str]:
    if not state.has_schema:
        yield "create schema imsfeed"
    if "heartbeat" not in state.own_tables:
        yield _CREATE_HEARTBEAT
    partitions = settings.kafka_partitions
    if not state.beating >= set(range(partitions)):
        yield _sql(
            "insert into imsfeed.heartbeat"
            " select number, now() from generate_series(0, {last}) as number on conflict do nothing",
            last=partitions - 1,
        )
    if state.beating - set(range(partitions)):
        yield _sql("delete from imsfeed.heartbeat where owner_id >= {partitions}", partitions=partitions)
    if "capture" not in state.own_tables:
        yield _CREATE_CAPTURE
    else:
        if "confirmable_lsn" not in state.capture_columns:
            yield _EXTEND_CAPTURE
        if "partitions" not in state.capture_columns:
            yield _ADD_PARTITIONS
    if state.loaded is None:
        yield _sql("insert into imsfeed.capture (slot_name, epoch) values ({slot}, 0)", slot=settings.source_slot)
    if "resync" not in state.own_tables:
        yield _CREATE_RESYNC


def _identities(state: SourceState, owners: dict[TableName, str]) -> Iterator[str]:
    for name, table in state.tables.items():
        # Without an owner column every row is of one owner, which a delete need not name.
        owner = {owners[name]} - {""}
        identity = "default" if table.key_columns and owner <= set(table.key_columns) else "full"
        if own_identity_suffices(table, owners[name]):
            identity = "default" if table.identity == "d" else "full"
        else:
            yield f"alter table {_table(name)} replica identity {identity}"
        for partition, known in table.partitions.items():
            if known not in {identity[0], "f"}:
                yield f"alter table {partition} replica identity {identity}"


def _publication(state: SourceState, settings: Settings, owners: dict[TableName, str]) -> Iterator[str]:
    publication = sql.Identifier(settings.source_publication).as_string()
    missing = [name for name in owners if name not in state.members and name not in (state.published or ())]
    options = ", ".join(f"{name} = {value}" for name, value in state.options.items())
    tables = ", ".join(_table(name) for name in missing)
    if state.published is None:
        yield f"create publication {publication} for table {tables} with ({options})"
        return
    if missing:
        yield f"alter publication {publication} add table {tables}"
    if options:
        yield f"alter publication {publication} set ({options})"


def _table(name: TableName) -> str:
    return sql.Identifier(name.schema, name.table).as_string()


def _sql(text: LiteralString, **values: str | int) -> str:
    return sql.SQL(text).format(**values).as_string()
