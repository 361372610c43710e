"""All records published to a target, in the order of a snapshot, two thousand at a time.

PostgreSQL joins the texts of a run, and reads the next page while the page before is hashed and written. Each page
begins after the last key of the page before: no cursor, no sort, and little memory on either side.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from psycopg import Cursor

from consumers.database.sessions import Connection
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.xml.writer import Run

_Page = TypeVar("_Page")

_RECORDS: Final = 2_000
"""Records of a page; about half a megabyte."""
_AHEAD: Final = 2
"""Pages read ahead; with one, PostgreSQL would be idle until the page before is written."""


def runs(connection: Connection, target_id: int) -> Iterator[Run]:
    """Yield the fragments published to the target; needs a repeatable-read transaction."""
    for page in _ahead(_pages(connection, target_id)):
        yield from page


def _pages(connection: Connection, target_id: int) -> Iterator[list[Run]]:
    with connection.cursor(binary=True) as cursor:
        for kind in RecordKind:
            after: RecordKey | None = None
            while page := _page(cursor, target_id, kind, after):
                yield page
                after = page[-1].last


def _page(cursor: Cursor[Any], target_id: int, kind: RecordKind, after: RecordKey | None) -> list[Run]:
    query = (_MEMBERSHIPS if kind is RecordKind.MEMBERSHIP else _OTHERS).format(after="" if after is None else _AFTER)
    id_, member = ("", "") if after is None else (after.id, after.member)
    parameters = {"target": target_id, "kind": int(kind), "id": id_, "member": member, "records": _RECORDS}
    rows = cursor.execute(query.encode(), parameters).fetchall()
    return [Run(kind, group, ids, text) for group, ids, text in rows if ids]


def _ahead(pages: Iterator[_Page]) -> Iterator[_Page]:
    """Yield the pages, reading the next ones while the caller works on a page."""
    with ThreadPoolExecutor(1, "published") as reader:
        coming = deque(reader.submit(next, pages, None) for _ in range(_AHEAD))
        while (page := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, pages, None))
            yield page


_AFTER: Final = "and (id, member) > (%(id)s, %(member)s)"
_ROWS: Final = """
  from (select id, member, xml from imsfeed.published where target_id = %(target)s and kind = %(kind)s {after}
         order by id, member limit %(records)s) page
"""
_OTHERS: Final = "select '', array_agg(id order by id), string_agg(xml, '' order by id)" + _ROWS
_MEMBERSHIPS: Final = (
    "select id, array_agg(member order by member), string_agg(xml, '' order by member)"
    + _ROWS
    + " group by id order by id"
)
