"""The checks of the role with which the nightly reconciliation reads the source."""

from typing import Final

import psycopg

from consumers.reconciliation.source_reader import SourceReader
from deploy.doctor.databases import first_line, opened, value
from deploy.doctor.finding import NOT_CONFIGURED, Area, Findings
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.facts import Table

_WRITES: Final = """
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %s and c.relkind in ('r', 'p') and has_table_privilege(c.oid, 'insert, update, delete, truncate'))
"""


def check_reconciliation_source(settings: Settings) -> Findings:
    """Check the role with which the nightly reconciliation reads the source."""
    area = Area("reconciliation source")
    if settings.reconcile_source_dsn is None:
        effect = "the nightly reconciliation does not compare facts with the source"
        yield area.skipped("reachable", f"RECONCILE_SOURCE_DSN: {NOT_CONFIGURED}: {effect}")
        return
    try:
        with opened(settings.reconcile_source_dsn.get_secret_value()) as connection:
            reader = SourceReader(
                connection, settings.source_schema, settings.source_publication, read_mapping(settings)
            )
            with reader.view():
                for table in Table:
                    next(reader.rows(table, -1), None)
            yield area.ok("select", "every table may be read")
            writes = value(connection, _WRITES, [settings.source_schema])
            yield area.judge(
                "privileges",
                not writes,
                "may write the source's tables" if writes else "may only read",
                "set a role in RECONCILE_SOURCE_DSN that may only read",
                otherwise="warning",
            )
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        fix = "grant this role select on the captured tables, or correct RECONCILE_SOURCE_DSN"
        yield area.error("select", first_line(error), fix)
