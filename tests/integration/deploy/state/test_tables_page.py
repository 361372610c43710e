"""The architecture page's table of the state database names the tables that the migrations make."""

import re

import psycopg

from tests.support.paths import DOCS

HEADING = "## The tables of the state database\n"


def tables_on_the_page() -> list[str]:
    """Return the names in the first column of the page's table."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    _, _, section = page.partition(HEADING)
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_page_lists_every_table_of_the_state_database(state_dsn: str) -> None:
    with psycopg.connect(state_dsn) as connection:
        query = "select tablename::text from pg_tables where schemaname = 'imsfeed' order by tablename"
        tables = [name for (name,) in connection.execute(query).fetchall()]
    assert sorted(tables_on_the_page()) == tables
