"""A source with Norwegian tables, columns and words and without owner ids, as docs/mapping.md maps it."""

import re
from pathlib import Path

from producers.source.catalog import Connection
from tests.support.builders import ORGNR, a_birth_number

_PAGE = Path(__file__).parents[4] / "docs/mapping.md"

_SCHEMA = """
create table kommune (organisasjonsnummer text primary key, navn text not null);
create table skole (id integer primary key, skolenummer char(12), navn text not null);
create table elev (lopenummer integer primary key, fodselsnummer char(15), fornavn text not null,
  etternavn text not null, epost text, feidenavn text, skjermet char(1));
create table ansatt (id integer primary key, elev integer not null, skole integer not null, stilling char(16) not null,
  aktiv char(1) not null);
create type opplaring as enum ('GRUNNSKOLE', 'NORSK', 'VGO', 'INTRO');
create table gruppe (id integer primary key, skole integer not null, kode text not null, navn text not null,
  opplaring opplaring not null, type text not null, fra timestamptz, til timestamptz, aktiv char(1) not null);
create type plass_status as enum ('AKTIV', 'SLUTTET', 'PERMISJON');
create table plass (id integer primary key, elev integer not null, gruppe integer not null, rolle varchar(10) not null,
  fra date not null, til date, status plass_status not null)
"""


def example() -> str:
    """Return the mapping file of the page's example."""
    found = re.search(r"```toml\n(# mapping.toml\n.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def create(source: Connection) -> None:
    """Create the tables, with two learners (one of them protected) and a teacher in a group of NORSK."""
    for statement in _SCHEMA.split(";"):
        source.execute(statement.encode())
    source.execute("insert into kommune values (%s, 'Fjordvik kommune')", [ORGNR])
    source.execute("insert into skole values (1, '90001', 'Fjordvik voksenopplæring')")
    for number, protected in ((1, "N"), (2, "J"), (3, None)):
        source.execute(
            "insert into elev values (%s, %s, 'Ada', 'Moen', null, null, %s)",
            [number, a_birth_number(number), protected],
        )
    source.execute("insert into ansatt values (1, 3, 1, 'LÆRER', 'J'), (2, 1, 1, 'VAKTMESTER', 'J')")
    source.execute(
        "insert into gruppe values (1, 1, 'A1', 'Norsk', 'NORSK', 'klasse', '2026-08-17 00:00+02', null, 'J')"
    )
    source.execute(
        "insert into plass values (1, 1, 1, 'ELEV', '2026-08-17', null, 'AKTIV'),"
        " (2, 2, 1, 'ELEV', '2026-08-17', null, 'AKTIV'), (3, 3, 1, 'LÆRER', '2026-08-17', null, 'AKTIV')"
    )
