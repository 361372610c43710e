"""The consumers' only adapter to the source: its current rows, read only, for the reconciliation.

Capture and its code are not used: the reconciliation must be able to find what capture got wrong. Values are read as
the text that PostgreSQL prints, as in change events.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql

from consumers.database.sessions import Connection, repeatable_read
from ims.errors import BadMessageError, naming_setting
from ims.source.events import Row
from ims.source.facts import Table
from ims.source.mapping import FactKey, SourceMapping

_OPTIONS: Final = (
    "-c datestyle=ISO -c timezone=UTC -c row_security=off -c statement_timeout=300s"
    " -c idle_in_transaction_session_timeout=0"
)
_ROWS: Final = 2_000
_NOT_WRITABLE: Final = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.FeatureNotSupported,  # a standby server
)

_POSITION: Final = """
select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                            else pg_current_wal_insert_lsn() end, '0/0')::text
"""


class SourceReader:
    """A session on the source.

    Args:
        connection: in autocommit mode, from :func:`connect`.
        schema: the schema of the source's tables.
        publication: the publication that defines the captured columns; without it all are.
        mapping: from the source's tables and columns to ours.

    Attributes:
        skipped: how many rows of the last :meth:`rows` had a key that cannot be read.
    """

    def __init__(self, connection: Connection, schema: str, publication: str, mapping: SourceMapping) -> None:
        self.skipped = 0
        self._connection = connection
        self._schema = schema
        self._publication = publication
        self._mapping = mapping

    @contextmanager
    def view(self) -> Iterator[int]:
        """Open a read-only repeatable-read transaction on the source.

        Yields:
            A position in the write-ahead log; every commit that the transaction sees begins before it.
        """
        with repeatable_read(self._connection):
            self._connection.execute("set transaction read only")
            # The first query: PostgreSQL takes the transaction's snapshot before it reads the position.
            row = self._connection.execute(_POSITION.encode()).fetchone()
            yield int(row[0]) if row and row[0] is not None else 0

    def rows(
        self,
        table: Table,
        owner_id: int | None,
        ids: Collection[int] | None = None,
        refused: Callable[[BadMessageError], None] = lambda _error: None,
    ) -> Iterator[dict[FactKey, Row | None]]:
        """Yield the owner's rows of a table as facts, a part at a time; needs a :meth:`view`.

        Args:
            owner_id: the owner, or ``None`` for all owners.
            ids: only these rows.
            refused: called with the reason of each row that cannot be a fact.

        Yields:
            Values by key and by our column names; ``None`` for a row that cannot be a fact. Its change is in
            quarantine, if it was captured. A row whose key cannot be read is skipped.
        """
        columns, self.skipped = self._mapping.columns(table), 0
        given = {ours: theirs for ours, theirs in columns.items() if theirs in self._columns(table)}
        with self._connection.cursor(name="imsfeed_rows") as cursor:
            owner = None if owner_id is None else str(owner_id)
            cursor.execute(self._query(table, given, ids is not None), (owner, owner, list(map(str, ids or ()))))
            while rows := cursor.fetchmany(_ROWS):
                yield dict(
                    filter(
                        None, (self._fact(table, dict(zip(given.values(), row, strict=True)), refused) for row in rows)
                    )
                )

    def ask_for_resync(self, owner_id: int) -> bool:
        """Request a resync of an owner from capture, if this session may and none is requested already.

        Returns:
            Whether a resync is requested now.
        """
        allowed = self._connection.execute(
            "select coalesce(has_table_privilege(to_regclass('imsfeed.resync'), 'select'), false)"
            " and has_table_privilege(to_regclass('imsfeed.resync'), 'insert')"
        ).fetchone()
        if allowed != (True,):
            return False
        try:
            with self._connection.transaction():
                # The role is read-only by default, so that nothing else is written by mistake.
                self._connection.execute("set transaction read write")
                self._connection.execute(
                    "insert into imsfeed.resync (owner_id, requested_at, requested_by) select %(owner)s, now(),"
                    " 'reconciliation'"
                    " where not exists (select from imsfeed.resync r where r.owner_id = %(owner)s"
                    " and to_jsonb(r) ->> 'done_at' is null)",
                    {"owner": owner_id},
                )
        except _NOT_WRITABLE:
            return False
        return True

    def _columns(self, table: Table) -> set[str]:
        """Return the columns of the source's table that are captured."""
        name = self._mapping.source_table(table)
        published = self._connection.execute(
            "select attnames::text[] from pg_publication_tables where (pubname, schemaname, tablename) = (%s, %s, %s)",
            (self._publication, self._schema, name),
        ).fetchone()
        if published is not None:
            return set(published[0])
        rows = self._connection.execute(
            "select attname::text from pg_attribute where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
            " and attnum > 0 and not attisdropped",
            (self._schema, name),
        ).fetchall()
        return {column for (column,) in rows}

    def _query(self, table: Table, given: dict[str, str], some: bool) -> sql.Composed:
        # format() prints with the type's own output function: a cast to text would strip the blanks of char(n).
        texts = sql.SQL(", ").join(
            sql.SQL("case when {0} is not null then format('%%s', {0}) end").format(sql.Identifier(column))
            for column in given.values()
        )
        only = sql.SQL("{}::text = any (%s)") if some else sql.SQL("cardinality(%s::text[]) = 0")
        return sql.SQL("select {} from {} where (%s::text is null or {} = %s) and ").format(
            texts,
            sql.Identifier(self._schema, self._mapping.source_table(table)),
            self._expression(table, "owner_id"),
        ) + only.format(self._expression(table, "owner_id" if table is Table.OWNER else "id"))

    def _expression(self, table: Table, name: str) -> sql.Composable:
        """Return the source's column, or the constant that the mapping has instead, as a text."""
        constants = self._mapping.constants(table)
        if name in constants:
            return sql.Literal(str(constants[name]))
        return sql.Identifier(self._mapping.columns(table)[name])

    def _fact(
        self, table: Table, row: dict[str, Any], refused: Callable[[BadMessageError], None]
    ) -> tuple[FactKey, Row | None] | None:
        name = self._mapping.source_table(table)
        try:
            change = self._mapping.fact_change(name, after=row, key={})
        except BadMessageError as error:
            refused(error)
            seen = self._mapping.row_key(name, row)
            self.skipped += seen is None
            return None if seen is None else (seen[1], None)
        return change.key, change.values


def connect(dsn: str) -> Connection:
    """Open a session on the source that only reads, except that it may request a resync.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    with naming_setting("RECONCILE_SOURCE_DSN"):
        return psycopg.connect(
            dsn,
            autocommit=True,
            application_name="imsfeed reconciliation",
            options=_OPTIONS,
            client_encoding="UTF8",
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
        )
