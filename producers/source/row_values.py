"""Turns PostgreSQL's text form of a value into its JSON form, by the type's OID.

Booleans, and numbers that JSON can hold exactly, become JSON's own; every other value (dates, times, numeric, uuid,
arrays, json ...) stays the text that PostgreSQL prints with ``datestyle`` ISO and ``timezone`` UTC.

>>> reader_of(20)(b"7"), reader_of(16)(b"t"), reader_of(1082)(b"2026-08-17")
(7, True, '2026-08-17')

A row reaches Kafka in two ways: read from its table, and decoded from the write-ahead log. Both print a value alike,
but each names the value's type in its own way. If an owner were a number in one and a text in the other, the owner's
rows could be sent to two partitions; so the two ways are compared.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from psycopg import sql

from ims.errors import InvalidSettingsError
from producers.source import catalog
from producers.source.captured_table import TableName
from producers.source.catalog import Connection

Reader = Callable[[bytes], Any]
"""Reads one value; raises ``ValueError`` (``UnicodeDecodeError`` is one) or ``KeyError`` if it is not of the type."""


def _float(text: bytes) -> float | str:
    """Return the number, or the text of NaN and infinity, which JSON does not have."""
    number = float(text)
    return number if math.isfinite(number) else text.decode()


_BOOL: Final = {b"t": True, b"f": False}

_READERS: Final[dict[int, Reader]] = {
    16: _BOOL.__getitem__,
    20: int,
    21: int,
    23: int,
    700: _float,
    701: _float,
}
"""Readers by the OIDs of bool, int8, int2, int4, float4 and float8 (pg_type.dat; the same in all versions)."""


def reader_of(type_oid: int) -> Reader:
    """Return the reader of a type's values; values of other types are read as text."""
    return _READERS.get(type_oid, bytes.decode)


def require_same_forms(connection: Connection, columns: Iterable[tuple[TableName, Iterable[str]]]) -> None:
    """Check that these columns of each table have the same values in a load and in the stream.

    Raises:
        InvalidSettingsError: one has not; names table and column, and what to do.
        psycopg.errors.InsufficientPrivilege: the session's role may not read a table.
    """
    wanted = {name: tuple(of_table) for name, of_table in columns}
    types = catalog.types(connection)
    base_types = {oid: kind.base for oid, kind in types.items()}
    different = []
    for name, table in catalog.tables(connection, wanted).items():
        loaded = _loaded_types(connection, name, wanted[name])
        for column, oid in loaded:
            streamed = table.oids[column]
            if reader_of(oid) is not reader_of(base_types.get(streamed, streamed)):
                different.append(f"column {column} of table {name}, of type {table.types[column].name}")
    if different:
        raise InvalidSettingsError(
            f"a load and the stream of changes would read a value differently: {'; '.join(different)};"
            " give the column its base type, or map another one in MAPPING_FILE"
        )


def _loaded_types(connection: Connection, name: TableName, columns: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the OID of the type that a query names for each column."""
    query = sql.SQL("select {} from {} limit 0").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(name.schema, name.table)
    )
    result = connection.execute(query).pgresult
    if result is not None:
        yield from ((column, result.ftype(number)) for number, column in enumerate(columns))
