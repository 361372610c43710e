"""Checks the source before streaming starts, and at every heartbeat: PostgreSQL itself would report too little.

If the publication is missing, for example, PostgreSQL 18 only logs a warning on the server and silently sends none of
the changes made meanwhile.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import msgspec

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import catalog, source_schema, table_kinds
from producers.source.captured_table import (
    CAPTURE,
    HEARTBEAT,
    OWNER_COLUMN,
    CapturedTable,
    TableName,
    constant_owners,
    owner_columns,
)
from producers.source.catalog import Connection, LoadState, SourceTable
from producers.source.replication import lsn_of, lsn_text

_SETUP: Final = "run `imsfeed setup source`"
RELOAD: Final = "run `imsfeed resync all`, and capture loads every table again"
_OPERATIONS: Final = ("insert", "update", "delete", "truncate")


class CheckedSource(msgspec.Struct, frozen=True):
    """A source that has passed the preflight, as the stream needs to know it.

    Attributes:
        database: name of the source database.
        epoch: epoch of the last initial load.
        needs_load: true if an initial load has to come first.
        tables: every published table, in the order of the initial load; the heartbeat is last.
    """

    database: str
    epoch: int
    needs_load: bool
    tables: dict[TableName, CapturedTable]


def check(connection: Connection, settings: Settings) -> CheckedSource:
    """Check everything that a stream without gaps depends on.

    Raises:
        InvalidSettingsError: something is missing or wrong; says what, and what to do about it.
    """
    require_logical_wal(connection)
    # The slot is read before its row in imsfeed.capture. Another capture may be confirming right now, and it stores the
    # position before it confirms it: in the other order, the slot would seem to be ahead of the stored position.
    slot = catalog.slot(connection, settings.source_slot)
    loaded = catalog.load_state(connection, settings.source_slot)
    if loaded is None:
        raise InvalidSettingsError(f"imsfeed.capture in the source has no row for {settings.source_slot!r}; {_SETUP}")
    capture_columns = catalog.tables(connection, [CAPTURE])[CAPTURE].columns
    if not catalog.exists(connection, "imsfeed.resync") or "partitions" not in capture_columns:
        raise InvalidSettingsError(f"the source was set up for an older version of imsfeed; {_SETUP}")
    database = catalog.database(connection)
    check_slot(slot, settings.source_slot, database, loaded)
    _require_same_partitions(settings, loaded)
    tables = _captured(connection, settings)
    return CheckedSource(database, loaded.epoch, loaded.loaded_at is None, tables)


def _require_same_partitions(settings: Settings, loaded: LoadState) -> None:
    """Check that every owner is in the partition that it was in when everything was loaded.

    Two partitions are read independently: an owner's older change in one could be applied after a newer one in another.
    """
    if loaded.loaded_at is not None and loaded.partitions not in {None, settings.kafka_partitions}:
        raise InvalidSettingsError(
            f"the source was loaded into {loaded.partitions} partitions and KAFKA_PARTITIONS is"
            f" {settings.kafka_partitions}, so that owners would move between partitions; {RELOAD}"
        )


def require_logical_wal(connection: Connection) -> None:
    """Check that the server writes what logical replication needs.

    Raises:
        InvalidSettingsError: ``wal_level`` is too low, or the database has no defined encoding.
    """
    level = catalog.current_setting(connection, "wal_level")
    if level != "logical":
        raise InvalidSettingsError(
            f"the source's wal_level is {level!r}; run `ALTER SYSTEM SET wal_level = 'logical'` and restart PostgreSQL"
        )
    if catalog.current_setting(connection, "server_encoding") == "SQL_ASCII":
        raise InvalidSettingsError("the source database's encoding is SQL_ASCII, so its texts cannot be read as UTF-8")


def check_slot(slot: dict[str, Any] | None, name: str, database: str, loaded: LoadState | None) -> None:
    """Check that the slot is capture's own and has kept every change since the initial load.

    Args:
        slot: the slot's row of ``pg_replication_slots``, or ``None`` if it does not exist.
        name: the slot's name.
        database: the database to which it must belong.
        loaded: the initial load whose changes the slot must have kept. Without a complete load nothing can be lost:
            capture recreates the slot anyway.

    Raises:
        InvalidSettingsError: the slot belongs to another program; or it is missing, invalid or ahead of the stored
            position, so that changes are lost.
    """
    depended_on = loaded is not None and loaded.loaded_at is not None
    if slot is None:
        if depended_on:
            raise InvalidSettingsError(f"replication slot {name!r} does not exist, changes are lost; {RELOAD}")
        return
    if (slot["plugin"], slot["database"]) != ("pgoutput", database):
        raise InvalidSettingsError(
            f"replication slot {name!r} is of plugin {slot['plugin']} in database {slot['database']},"
            f" not of pgoutput in {database}; give SOURCE_SLOT another name"
        )
    reason = slot.get("invalidation_reason") or (slot["wal_status"] == "lost" and "wal_status lost")
    if depended_on and reason:
        raise InvalidSettingsError(f"replication slot {name!r} is invalid ({reason}), changes are lost; {RELOAD}")
    known = loaded.confirmable_lsn if loaded is not None and depended_on else None
    confirmed = slot.get("confirmed_flush_lsn")
    if known is not None and confirmed is not None and lsn_of(confirmed) > known:
        raise InvalidSettingsError(
            f"replication slot {name!r} is at {confirmed}, and capture has read only up to {lsn_text(known)}: the slot"
            f" was recreated or advanced by another program, and the changes in between are lost; {RELOAD}"
        )


def identity_suffices(table: SourceTable, owner_column: str) -> bool:
    """Return True if the old row that a delete sends contains the owner and the primary key, in every partition.

    Args:
        table: the table.
        owner_column: its owner column; empty if every row is of one owner, which a delete need not name.
    """
    return own_identity_suffices(table, owner_column) and not weaker_partitions(table)


def own_identity_suffices(table: SourceTable, owner_column: str) -> bool:
    """Return True as :func:`identity_suffices`, by the table's own replica identity, whatever its partitions have."""
    needed = {*table.key_columns, *filter(None, (owner_column,))}
    return bool(table.identity_columns) and needed <= table.identity_columns


def weaker_partitions(table: SourceTable) -> list[str]:
    """Return the partitions that have another replica identity than their table, and not the whole row.

    What PostgreSQL writes of an old row is decided by the partition; a new partition does not inherit it.
    """
    return [name for name, identity in table.partitions.items() if identity not in {table.identity, "f"}]


def require_suitable_kinds(connection: Connection, settings: Settings, found: Iterable[SourceTable]) -> None:
    """Check that no table is of a kind of which capture would miss rows or values.

    Raises:
        InvalidSettingsError: one is; names the table, or role or column, and what to do.
    """
    wanted, version = source_schema.wanted_columns(settings), connection.info.server_version
    wrong = [
        str(problem) for table in found for problem in table_kinds.problems(table, wanted.get(table.name, ()), version)
    ]
    if wrong:
        raise InvalidSettingsError("; ".join(wrong))


def _require_columns(
    settings: Settings, found: dict[TableName, SourceTable], published: dict[TableName, tuple[str, ...]]
) -> None:
    wrong = [
        problem
        for name, columns in source_schema.wanted_columns(settings).items()
        if name in found and name in published
        for problem in source_schema.problems(
            name, columns, {one: found[name].types.get(one) for one in published[name]}
        )
    ]
    if wrong:
        raise InvalidSettingsError(f"{'; '.join(wrong)}; {source_schema.REMEDY}")


def _captured(connection: Connection, settings: Settings) -> dict[TableName, CapturedTable]:
    owners = owner_columns(settings)
    published = catalog.published(connection, settings.source_publication)
    found = catalog.tables(connection, {*owners, *published})
    require_suitable_kinds(connection, settings, (table for name, table in found.items() if name in owners))
    _require_columns(settings, found, published)
    # The two were read one after the other: in between, a table may have been dropped or a column renamed.
    existing = found.keys() & published.keys()
    problems = [
        f"table {name} is not in it" if name in found else f"table {name} does not exist"
        for name in owners
        if name not in existing
    ]
    publication = catalog.publication(connection, settings.source_publication)
    if publication is None:
        problems = ["it does not exist"]
    else:
        problems += [f"it does not publish {word}" for word in _OPERATIONS if not publication[f"pub{word}"]]
    problems += _identity_problems({name: found[name] for name in existing}, owners, published)
    if problems:
        raise InvalidSettingsError(f"publication {settings.source_publication!r}: {'; '.join(problems)}; {_SETUP}")
    constants = constant_owners(settings)
    order = [name for name in (*owners, *sorted(existing - owners.keys())) if name != HEARTBEAT]
    wanted = source_schema.wanted_columns(settings)
    return {
        name: _captured_table(
            found[name], owners.get(name, OWNER_COLUMN), published[name], wanted.get(name), constants.get(name)
        )
        for name in (*order, HEARTBEAT)
    }


def _captured_table(
    table: SourceTable,
    owner_column: str,
    published: tuple[str, ...],
    wanted: Collection[str] | None,
    owner: int | None,
) -> CapturedTable:
    """Return the table with the columns that are sent: the mapped ones, the key and the owner; all without a mapping.

    Other columns may be large, or private.

    Args:
        owner: the owner of every row, if the mapping has a constant for it.
    """
    sent = published if wanted is None else {*wanted, *table.key_columns, owner_column}
    return CapturedTable(
        table.name,
        owner_column,
        table.key_columns,
        tuple(name for name in published if name in sent),
        tuple(name for name in published if name not in sent),
        owner,
    )


def _identity_problems(
    tables: dict[TableName, SourceTable], owners: dict[TableName, str], published: dict[TableName, tuple[str, ...]]
) -> Iterator[str]:
    for name, table in tables.items():
        if name in owners and not identity_suffices(table, owners[name]):
            yield f"the replica identity of {name} lacks {owners[name]} or the primary key"
        if unpublished := table.identity_columns - set(published[name]):
            # PostgreSQL accepts such a publication, and then refuses the application's own statements.
            yield (
                f"its column list for {name} lacks {', '.join(sorted(unpublished))} of the replica identity:"
                " the application's own updates and deletes fail"
            )
