"""The words of the source in the columns that decide: those that the mapping does not know, and in how many rows."""

from collections.abc import Iterator
from typing import Final

import msgspec
from psycopg import sql

from ims.errors import BadMessageError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.columns import COLUMNS
from ims.source.facts import Table
from ims.source.mapping import SourceMapping
from ims.source.words import WORDS
from producers.source.catalog import Connection

_MOST: Final = 50
"""Different words of a column that are read; a column with more is not one of words."""


class UnknownWord(msgspec.Struct, frozen=True):
    """A value of a deciding column that cannot be read.

    Attributes:
        problem: what is wrong with it: table, column and word.
        rows: in how many rows it stands.
    """

    problem: str
    rows: int

    def __str__(self) -> str:
        return f"{self.problem} ({self.rows} rows)"


def unknown_words(connection: Connection, settings: Settings) -> list[UnknownWord]:
    """Return the values of the columns that decide (words and booleans) that the mapping cannot read.

    Raises:
        psycopg.ProgrammingError: a table or column does not exist, or may not be read.
    """
    mapping = read_mapping(settings)
    return [
        word
        for table in Table
        for name, column in mapping.columns(table).items()
        if (table, name) in WORDS or COLUMNS[table][name].type is bool
        for word in _of_column(connection, settings.source_schema, mapping, table, name, column)
    ]


def _of_column(
    connection: Connection, schema: str, mapping: SourceMapping, table: Table, name: str, column: str
) -> Iterator[UnknownWord]:
    # Printed with the type's own output function, as in the stream: a cast to text would strip the blanks of char(n).
    query = sql.SQL(
        "select case when {0} is not null then format('%%s', {0}) end, count(*) from {1} group by 1"
        " order by 2 desc limit %s"
    ).format(sql.Identifier(column), sql.Identifier(schema, mapping.source_table(table)))
    for value, rows in connection.execute(query, [_MOST]).fetchall():
        try:
            mapping.read(table, name, value)
        except BadMessageError as error:
            yield UnknownWord(error.detail, rows)
