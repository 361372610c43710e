"""Decodes PostgreSQL's logical replication messages, protocol version 1; does no I/O.

Format: PostgreSQL's documentation, "Logical Replication Message Formats". Transactions arrive whole, in commit order:
Begin, the changes, Commit. A table's Relation message comes before its first change, and again whenever its definition
has changed.
"""

import types
from collections.abc import Callable, Collection, Mapping
from struct import Struct, error
from typing import Final

import msgspec

from ims.errors import ImsfeedError
from ims.source.events import Row
from producers.source.row_values import Reader, reader_of

_MICROSECONDS_1970_TO_2000: Final = 946_684_800_000_000
_BEGIN: Final = Struct("!QqI")
_COMMIT: Final = Struct("!BQQq")
_RELATION_ID: Final = Struct("!I")
_COUNT: Final = Struct("!H")
_COLUMN_TYPE: Final = Struct("!Ii")
_TRUNCATE: Final = Struct("!IB")
_KEY_COLUMN: Final = 1
_NULL, _TEXT, _NOT_SENT = b"n"[0], b"t"[0], b"u"[0]
_NEW, _OLD_KEY, _OLD_ROW = b"N"[0], b"K"[0], b"O"[0]
_IGNORED: Final = b"OYM"
"""The kinds Origin, Type and Message, which say nothing about rows."""


class ProtocolError(ImsfeedError):
    """Bytes that are no message of pgoutput protocol 1; nothing after them can be decoded."""


class Unchanged:
    """The type of :data:`UNCHANGED`."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
"""Stands for a value stored out of line (TOAST) that did not change, and that PostgreSQL therefore did not send."""


_WITHOUT_VALUE: Final[Mapping[int, Unchanged | None]] = {_NULL: None, _NOT_SENT: UNCHANGED}


class Column(msgspec.Struct, frozen=True):
    """A column of a Relation message; ``is_key`` means that it is part of the replica identity."""

    name: str
    type_oid: int
    is_key: bool


class Relation(msgspec.Struct, frozen=True):
    """A table's definition, valid for the changes that follow.

    Attributes:
        readers: each column's name and value reader; ``None`` for a column whose values are left out.
    """

    relation_id: int
    schema: str
    table: str
    columns: tuple[Column, ...]
    readers: tuple[tuple[str, Reader | None], ...]


class Begin(msgspec.Struct, frozen=True):
    """The start of a transaction, whose commit record begins at ``commit_lsn``; ``committed_ms`` is since 1970."""

    commit_lsn: int
    committed_ms: int
    transaction_id: int


class Commit(msgspec.Struct, frozen=True):
    """The end of a transaction; ``end_lsn`` is the position after its commit record, to which a slot is confirmed."""

    end_lsn: int


class Insert(msgspec.Struct, frozen=True):
    """A new row."""

    relation: Relation
    after: Row


class Update(msgspec.Struct, frozen=True):
    """A changed row; ``before`` is the old row, its key columns, or ``None`` if the replica identity did not change."""

    relation: Relation
    before: Row | None
    after: Row


class Delete(msgspec.Struct, frozen=True):
    """A deleted row; ``before`` is the old row or its key columns."""

    relation: Relation
    before: Row


class Truncate(msgspec.Struct, frozen=True):
    """Tables emptied by one statement."""

    relations: tuple[Relation, ...]


Change = Insert | Update | Delete | Truncate
Message = Begin | Commit | Relation | Change
_Read = Callable[[bytes], tuple[Message | None, int]]


class Decoder:
    """Decodes the messages of one connection; it remembers the Relation messages to which the changes refer.

    Args:
        base_types: the base type of each domain, by their OIDs. The stream has a domain's own OID, and an ordinary
            query that of its base type: without this, a row would look different when it was loaded.
        kept_columns: for a table by schema and name, the columns whose values are read. Those of others are passed
            over, however large they are and whatever they hold. Of a table that is not here, every column is read.
    """

    def __init__(
        self,
        base_types: Mapping[int, int] = types.MappingProxyType({}),
        kept_columns: Mapping[tuple[str, str], Collection[str]] = types.MappingProxyType({}),
    ) -> None:
        self._base_types = base_types
        self._kept_columns = kept_columns
        self._relations: dict[int, Relation] = {}
        self._readers: dict[int, _Read] = {
            b"B"[0]: _begin,
            b"C"[0]: _commit,
            b"R"[0]: self._relation,
            b"I"[0]: self._insert,
            b"U"[0]: self._update,
            b"D"[0]: self._delete,
            b"T"[0]: self._truncate,
            **dict.fromkeys(_IGNORED, _ignored),
        }

    def decode(self, data: bytes) -> Message | None:
        """Decode one message.

        Returns:
            The message, or ``None`` for one that says nothing about rows.

        Raises:
            ProtocolError: the message is cut off, too long, of an unknown kind or about an unknown relation, or a value
                is not in its type's text form. The error names the message's kind, never its values.
        """
        try:
            message, end = self._readers[data[0]](data)
        except (IndexError, KeyError, ValueError, OverflowError, error):
            raise ProtocolError(f"pgoutput: malformed message of kind {data[:1]!r}, {len(data)} bytes") from None
        if end != len(data):
            raise ProtocolError(f"pgoutput: {len(data)} bytes instead of {end} in a message of kind {data[:1]!r}")
        return message

    def _relation(self, data: bytes) -> tuple[Relation, int]:
        (relation_id,) = _RELATION_ID.unpack_from(data, 1)
        schema, at = _string(data, 5)
        table, at = _string(data, at)
        (count,) = _COUNT.unpack_from(data, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            flags = data[at]
            name, at = _string(data, at + 1)
            type_oid, _modifier = _COLUMN_TYPE.unpack_from(data, at)
            at += _COLUMN_TYPE.size
            columns.append(Column(name, type_oid, bool(flags & _KEY_COLUMN)))
        schema = schema or "pg_catalog"
        kept = self._kept_columns.get((schema, table))
        readers = tuple(
            (
                column.name,
                reader_of(self._base_types.get(column.type_oid, column.type_oid))
                if kept is None or column.name in kept
                else None,
            )
            for column in columns
        )
        relation = Relation(relation_id, schema, table, tuple(columns), readers)
        self._relations[relation_id] = relation
        return relation, at

    def _insert(self, data: bytes) -> tuple[Insert, int]:
        relation = self._relations[_RELATION_ID.unpack_from(data, 1)[0]]
        _expect(data[5], _NEW)
        after, end = _row(data, 6, relation.readers)
        return Insert(relation, after), end

    def _update(self, data: bytes) -> tuple[Update, int]:
        relation = self._relations[_RELATION_ID.unpack_from(data, 1)[0]]
        before, at = None, 5
        if data[at] != _NEW:
            before, at = _old_row(data, at, relation)
        _expect(data[at], _NEW)
        after, end = _row(data, at + 1, relation.readers)
        return Update(relation, before, after), end

    def _delete(self, data: bytes) -> tuple[Delete, int]:
        relation = self._relations[_RELATION_ID.unpack_from(data, 1)[0]]
        before, end = _old_row(data, 5, relation)
        return Delete(relation, before), end

    def _truncate(self, data: bytes) -> tuple[Truncate, int]:
        count, _options = _TRUNCATE.unpack_from(data, 1)
        end = 6 + count * _RELATION_ID.size
        ids = [_RELATION_ID.unpack_from(data, at)[0] for at in range(6, end, _RELATION_ID.size)]
        return Truncate(tuple(self._relations[relation_id] for relation_id in ids)), end


def _ignored(data: bytes) -> tuple[None, int]:
    return None, len(data)


def _begin(data: bytes) -> tuple[Begin, int]:
    commit_lsn, committed_us, transaction_id = _BEGIN.unpack_from(data, 1)
    committed_ms = (committed_us + _MICROSECONDS_1970_TO_2000) // 1000
    return Begin(commit_lsn, committed_ms, transaction_id), 1 + _BEGIN.size


def _commit(data: bytes) -> tuple[Commit, int]:
    _flags, _commit_lsn, end_lsn, _committed_us = _COMMIT.unpack_from(data, 1)
    return Commit(end_lsn), 1 + _COMMIT.size


def _old_row(data: bytes, at: int, relation: Relation) -> tuple[Row, int]:
    """Read the old row, or its key columns alone: the protocol sends null for every other column."""
    row, end = _row(data, at + 1, relation.readers)
    if data[at] == _OLD_KEY:
        row = {column.name: row[column.name] for column in relation.columns if column.is_key and column.name in row}
    else:
        _expect(data[at], _OLD_ROW)
    return row, end


def _row(data: bytes, at: int, readers: tuple[tuple[str, Reader | None], ...]) -> tuple[Row, int]:
    """Read a row straight into a dict, without an object for each value: capture spends most of its time here."""
    if _COUNT.unpack_from(data, at)[0] != len(readers):
        raise ValueError
    at += 2
    row: Row = {}
    for name, read in readers:
        kind = data[at]
        if kind == _TEXT:
            start = at + 5
            at = start + _RELATION_ID.unpack_from(data, at + 1)[0]
            if read is not None:
                row[name] = read(data[start:at])
            continue
        at += 1
        if kind not in _WITHOUT_VALUE:
            raise ValueError
        if read is not None:
            row[name] = _WITHOUT_VALUE[kind]
    return row, at


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError
