"""Load and stream say the same of every column, and choose the same partition."""

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import catalog, preflight, source_setup
from producers.source.catalog import Connection
from producers.source.source_schema import ColumnType
from producers.source.table_rows import require_same_forms
from tests.support.capturing import PARTITIONS, Topic, capturing
from tests.support.waiting import until

DOMAINS = """
create domain owner_number as integer;
create domain school_owner as owner_number check (value <> 0);
create domain flag as boolean;
create domain day as date;
create domain run_number as numeric(12, 0);
"""


@pytest.mark.parametrize("kind", ["school_owner", "run_number", "numeric(10, 0)", "smallint", "bigint"])
@pytest.mark.parametrize("owner", [1, 2, -4])
def test_a_row_looks_the_same_and_stays_in_its_partition(
    source: Connection, settings: Settings, published: Topic, kind: str, owner: int
) -> None:
    source.execute(DOMAINS)
    source.execute(
        f"alter table person alter owner_id type {kind}, alter id type run_number,"
        " alter protected drop default, alter protected type flag, alter birth_date type day".encode()
    )
    source.execute(
        "insert into person (owner_id, id, given_name, family_name, protected, birth_date)"
        " values (%s, 1, 'Ada', 'Testesen', true, '1990-01-08')",
        [owner],
    )
    with capturing(settings):
        source.execute("update person set email = null")
        until(lambda: len(published.rows()) == 2, what="the change is published")
    (loading, loaded), (streaming, streamed) = [item for item in published.read() if item[1].table == "person"]
    assert loaded.after == streamed.after
    assert loading == streaming == owner % PARTITIONS


@pytest.mark.parametrize("kind", ["numeric", "numeric(10, 2)", "real", "money", "oid"])
def test_an_owner_that_may_be_no_whole_number_is_refused(source: Connection, settings: Settings, kind: str) -> None:
    source.execute(f"alter table person alter owner_id type {kind} using 1".encode())
    for look in (source_setup.plan, preflight.check):
        with pytest.raises(InvalidSettingsError, match=r"column owner_id of table public\.person .* a whole number"):
            look(source, settings)


def test_a_column_read_differently_is_refused(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the base types of domains were not known."""
    source.execute("create domain school_owner as integer")
    source.execute("alter table person alter owner_id type school_owner")
    checked = preflight.check(source, settings)
    columns = [(name, table.columns) for name, table in checked.tables.items()]
    require_same_forms(source, columns)
    known = catalog.types(source)
    unresolved = {oid: ColumnType(kind.name, kind.category, oid) for oid, kind in known.items()}
    monkeypatch.setattr(catalog, "types", lambda _connection: unresolved)
    message = r"column owner_id of table public\.person, of type school_owner; give the column its base type"
    with pytest.raises(InvalidSettingsError, match=message):
        require_same_forms(source, columns)
    with pytest.raises(InvalidSettingsError, match=message):
        source_setup.plan(source, settings)
