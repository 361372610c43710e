"""What must be so before streaming starts. PostgreSQL itself would say too little, or nothing at all.

PostgreSQL 18 only warns on the server when the publication is missing, and sends nothing of what was changed meanwhile.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import catalog, source_schema
from producers.source.captured_table import HEARTBEAT, OWNER_COLUMN, CapturedTable, TableName, owner_columns
from producers.source.catalog import Connection, Loaded, SourceTable
from producers.source.replication import lsn_of, lsn_text

_SETUP: Final = "run `imsfeed setup source`"
RELOAD: Final = "run `imsfeed resync all`, and capture loads every table again"
_OPERATIONS: Final = ("insert", "update", "delete", "truncate")


class Checked(msgspec.Struct, frozen=True):
    """What the stream must know of the source.

    Attributes:
        database: the source database's name.
        epoch: of the source's history.
        needs_load: whether an initial load has to come first.
        tables: every published table, in the order of the initial load; the heartbeat is last.
    """

    database: str
    epoch: int
    needs_load: bool
    tables: dict[TableName, CapturedTable]


def check(connection: Connection, settings: Settings) -> Checked:
    """Look at everything that a gapless stream depends on.

    Raises:
        InvalidSettingsError: something is missing or wrong; says what, and what to do about it.
    """
    require_logical_wal(connection)
    # Before the row in imsfeed.capture, which is written first: another capture may be confirming the slot just now.
    slot = catalog.slot(connection, settings.source_slot)
    loaded = catalog.loaded(connection, settings.source_slot)
    if loaded is None:
        raise InvalidSettingsError(f"imsfeed.capture of the source has no row for {settings.source_slot!r}; {_SETUP}")
    if not catalog.exists(connection, "imsfeed.resync"):
        raise InvalidSettingsError(f"the source was set up for an older version of imsfeed; {_SETUP}")
    database = catalog.database(connection)
    check_slot(slot, settings.source_slot, database, loaded)
    tables = _captured(connection, settings)
    return Checked(database, loaded.epoch, loaded.loaded_at is None, tables)


def require_logical_wal(connection: Connection) -> None:
    """Check that the server writes what logical replication needs.

    Raises:
        InvalidSettingsError: it does not, or its texts have no known encoding.
    """
    level = catalog.current_setting(connection, "wal_level")
    if level != "logical":
        raise InvalidSettingsError(
            f"the source's wal_level is {level!r}; run `ALTER SYSTEM SET wal_level = 'logical'` and restart PostgreSQL"
        )
    if catalog.current_setting(connection, "server_encoding") == "SQL_ASCII":
        raise InvalidSettingsError("the source database's encoding is SQL_ASCII, so its texts cannot be read as UTF-8")


def check_slot(slot: dict[str, Any] | None, name: str, database: str, loaded: Loaded | None) -> None:
    """Check that the slot is ours and has kept every change.

    Args:
        slot: its row of ``pg_replication_slots``.
        name: its name.
        database: where it must be.
        loaded: what is known of the initial load since which changes depend on it; without one, or while one is needed,
            capture makes the slot anew anyway.

    Raises:
        InvalidSettingsError: it is another one's, or it is gone, invalid or further than capture was, and changes are
            lost.
    """
    depended_on = loaded is not None and loaded.loaded_at is not None
    if slot is None:
        if depended_on:
            raise InvalidSettingsError(f"replication slot {name!r} is gone, and all changes since then; {RELOAD}")
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
            f"replication slot {name!r} stands at {confirmed}, and capture has read it up to {lsn_text(known)} only: it"
            f" was made anew or advanced by somebody else, and the changes between are lost; {RELOAD}"
        )


def identity_suffices(table: SourceTable, owner_column: str) -> bool:
    """Whether the old row of a delete tells whose row it was and which."""
    return {owner_column, *table.key_columns} <= table.identity_columns


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
    _require_columns(settings, found, published)
    # Read one after the other: a table may have gone, and a column have been renamed, in between.
    there = found.keys() & published.keys()
    problems = [
        f"table {name} is not in it" if name in found else f"table {name} does not exist"
        for name in owners
        if name not in there
    ]
    publication = catalog.publication(connection, settings.source_publication)
    if publication is None:
        problems = ["it does not exist"]
    else:
        problems += [f"it does not publish {word}" for word in _OPERATIONS if not publication[f"pub{word}"]]
    problems += _identity_problems({name: found[name] for name in there}, owners, published)
    if problems:
        raise InvalidSettingsError(f"publication {settings.source_publication!r}: {'; '.join(problems)}; {_SETUP}")
    order = [name for name in (*owners, *sorted(there - owners.keys())) if name != HEARTBEAT]
    return {
        name: CapturedTable(name, owners.get(name, OWNER_COLUMN), found[name].key_columns, published[name])
        for name in (*order, HEARTBEAT)
    }


def _identity_problems(
    tables: dict[TableName, SourceTable], owners: dict[TableName, str], published: dict[TableName, tuple[str, ...]]
) -> Iterator[str]:
    for name, table in tables.items():
        if name in owners and not identity_suffices(table, owners[name]):
            yield f"the replica identity of {name} lacks {owners[name]} or the primary key"
        if unpublished := table.identity_columns - set(published[name]):
            # PostgreSQL lets such a publication be made, and then refuses the application's statements.
            yield (
                f"its column list of {name} lacks {', '.join(sorted(unpublished))} of the replica identity:"
                " the application's own updates and deletes fail"
            )
