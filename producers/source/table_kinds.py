"""Tables that look like any other and whose rows capture would miss: each is refused, with what to do about it.

A view or foreign table has no changes of its own, an unlogged table none in the write-ahead log; row security hides
rows from a load without a word; the changes of a table that inherits carry its own name; and a generated column is in a
load but not in the stream.
"""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from producers.source.catalog import SourceTable

_KINDS: Final = {
    "v": ("is a view", "name the table from which it reads in MAPPING_FILE"),
    "m": ("is a materialized view", "name the table from which it reads in MAPPING_FILE"),
    "f": ("is a foreign table", "let SOURCE_DSN name the database in which its rows are written"),
}
PARTITIONED: Final = "p"
GENERATED_SINCE: Final = 180_000
"""The first version that can send generated columns: the publication's ``publish_generated_columns``."""
STORED: Final = "s"


class Problem(NamedTuple):
    """What is wrong with a table, naming it, and what to do about it."""

    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"


def problems(table: SourceTable, mapped: Collection[str], server_version: int) -> Iterator[Problem]:
    """Yield why capture would miss rows or values of *table*.

    Args:
        table: the table as the session's role sees it.
        mapped: the columns that the mapping names.
        server_version: the source's version as a number, such as 150004.
    """
    name = table.name
    if table.kind in _KINDS:
        what, remedy = _KINDS[table.kind]
        yield Problem(f"{name} {what}, and capture reads tables", remedy)
    if table.unlogged:
        yield Problem(
            f"table {name} is unlogged, so its changes are not in the write-ahead log",
            f"run `alter table {name} set logged`",
        )
    if table.hidden_from is not None:
        yield Problem(
            f"row security hides rows of table {name} from role {table.hidden_from}",
            f"run `alter role {table.hidden_from} bypassrls`, or let another role of SOURCE_DSN read it",
        )
    if table.has_children:
        yield Problem(
            f"other tables inherit from table {name}, and their changes carry their own names",
            "make them partitions of it, or name a table without children in MAPPING_FILE",
        )
    for column, generated in table.generated.items():
        if column in mapped and (generated != STORED or server_version < GENERATED_SINCE):
            yield Problem(
                f"column {column} of table {name} is generated, and PostgreSQL does not send it with a change",
                "map another column in MAPPING_FILE, or make it an ordinary column that a trigger fills",
            )
