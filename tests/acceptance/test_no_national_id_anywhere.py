"""One run of every process and command, with every kind of fault: no output contains a national id."""

import itertools
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from kafka import KafkaProducer
from psycopg import sql

from ims.identifiers.national_id import NationalId
from ims.source.facts import Fact
from tests.support.builders import (
    a_birth_number,
    a_d_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.installation import PROCESSES, Installation, installed
from tests.support.processes.national_ids import found
from tests.support.servers.mail_server import PASSWORD, USER, MailServer
from tests.support.waiting import until

STARTED: Final = date(2020, 1, 1)
BORN: Final = [a_birth_number(n) for n in range(300, 330)]
D_NUMBERS: Final = [a_d_number(n) for n in range(300, 310)]
DUF_NUMBERS: Final = [a_duf_number(n) for n in range(300, 310)]
IDS: Final = [*BORN, *D_NUMBERS, *DUF_NUMBERS]

# Columns in which national ids must be: the facts, what was published, and messages in quarantine.
RAW: Final = {
    "owner": ["name"],
    "school": ["name"],
    "person": ["national_id", "given_name", "family_name", "email", "feide_name", "mobile"],
    "course_group": ["code", "name", "kind"],
    "published": ["id", "member", "xml"],
    "tombstone": ["id", "member", "xml"],
    "delta": ["xml"],
    "quarantine": ["message_key", "message_value"],
}


def spaced(id_: str) -> str:
    return f"{id_[:6]} {id_[6:]}"


def every_kind_of_id() -> list[Fact]:
    """Return rows with ids of every kind and spelling: valid, invalid, twice, and in the wrong columns."""
    wrong = str((int(BORN[4]) + 1) % 10**11).zfill(11)
    ids: list[str | None] = [
        BORN[0],
        spaced(BORN[1]),
        f"{BORN[2][:6]}-{BORN[2][6:]}",
        BORN[3],
        wrong,
        BORN[5],
        BORN[5],
        D_NUMBERS[0],
        DUF_NUMBERS[0],
        f"{DUF_NUMBERS[1][:4]} {DUF_NUMBERS[1][4:10]} {DUF_NUMBERS[1][10:]}",
        f"{BORN[6]}x",
    ]
    return [
        an_owner(name=f"Fjordvik {BORN[20]}"),
        a_school(1, name=f"Skole {spaced(BORN[21])}"),
        *(a_group(n, name=f"Norsk {BORN[22]}", code=f"N {n} {spaced(BORN[23])}", kind=BORN[24]) for n in range(1, 4)),
        *(a_person(n, national_id=id_) for n, id_ in enumerate(ids, 1)),
        a_person(20, given_name=f"Ada {BORN[25]}", family_name="", national_id=BORN[7]),
        a_person(21, family_name=f"Testesen {spaced(BORN[26])}", national_id=None),
        a_person(22, feide_name=BORN[27], email=f"{BORN[28]}@example.org", mobile=BORN[29], national_id=BORN[8]),
        a_person(23, protected=True, national_id=BORN[9]),
        a_person(30, national_id=D_NUMBERS[2]),
        an_employee(1, person=30),
        *(an_enrolment(n, person=n, group=1 + n % 3, starts_on=STARTED) for n in (*range(1, 12), *range(20, 24))),
    ]


def broken_messages() -> list[tuple[bytes | None, bytes]]:
    """Return key and value of messages that contain an id and are not valid changes."""
    lsn = itertools.count(1 << 60)  # after every position of the source, so that they are not duplicates

    def event(table: str, row: Any, op: str = "c") -> bytes:
        return json.dumps({
            "op": op,
            "after": row,
            "source": {"schema": "public", "table": table, "epoch": 1 << 40},
            "transaction": {"id": f"7:{next(lsn)}", "total_order": 1, "data_collection_order": 1, "last": True},
        }).encode()

    id_ = BORN[10]
    row = {"owner_id": 1, "id": 90, "given_name": "A", "family_name": "B", "protected": False, "national_id": id_}
    return [
        (id_.encode(), f'{{"op":"c","after":{{"national_id":"{id_}"'.encode()),
        (None, id_.encode()),
        (None, f'"{id_}"'.encode()),
        (None, event(id_, row)),
        (None, event("person", row, op=id_)),
        (None, event("person", row | {"protected": id_})),
        (None, event("person", row | {"birth_date": id_})),
        (None, event("person", row | {"id": f"x{id_}"})),
        (None, event("person", row | {"national_id": {id_: id_}})),
        (None, event("person", row | {"national_id": [int(id_)]})),
        (None, event("person", {"owner_id": 1, "id": 91, "national_id": id_})),
        (None, event("enrolment", {"owner_id": 1, "id": 92, "person_id": id_, "group_id": id_, "status": id_})),
        (None, event("person", row | {"given_name": f"\0{id_}"})),
        (None, event(id_, None, op="t")),
        (None, b"[" * 5_000 + id_.encode()),
        (id_.encode(), f"\xff{id_}".encode("latin-1")),
    ]


REFUSE = """
create sequence imsfeed.refusals;
create function imsfeed.refuse_person() returns trigger language plpgsql as $$ begin
    if new.id = 31 then
        raise exception 'invalid value %%', new.national_id using errcode = '22023', detail = 'Row ' || new::text;
    end if;
    return new;
end $$;
create trigger refuse before insert or update on imsfeed.person for each row execute function imsfeed.refuse_person();
create function imsfeed.refuse_once() returns trigger language plpgsql as $$ begin
    if nextval('imsfeed.refusals') < 3 then
        raise exception 'Key (id)=(%%) exists', new.id using errcode = '40P01', detail = 'Failing row ' || new::text;
    end if;
    return new;
end $$;
create trigger refuse before insert on imsfeed.published for each row execute function imsfeed.refuse_once();
"""


@pytest.fixture
def installation(
    source_dsn: str, state_dsn: str, kafka: str, topic: str, mails: MailServer, tmp_path: Path
) -> Iterator[Installation]:
    (tmp_path / "installation").mkdir()
    with installed(source_dsn, state_dsn, kafka, topic, tmp_path / "installation") as installation:
        installation.environment |= {
            "LOG_LEVEL": "debug",
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(mails.port),
            "SMTP_USER": USER,
            "SMTP_PASSWORD": PASSWORD,
            "SMTP_FROM": "imsfeed@fjordvik.example",
            "NOTICE_HOUR": "0",
            "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
        }
        yield installation


class Outputs:
    """Every output of the run, by where it was written."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.texts: dict[str, str] = {}

    def command(self, *arguments: str, code: int = 0) -> None:
        self.texts[" ".join(arguments)] = self.installation.imsfeed(*arguments, code=code)

    def leaks(self) -> dict[str, list[str]]:
        return {where: ids for where, text in self.texts.items() if (ids := found(text, IDS))}


def let_everything_happen(installation: Installation, state_dsn: str, kafka: str, topic: str) -> None:
    installation.write(*every_kind_of_id())
    target = {"org_groups": True, "export_path": "Eksport.xml", "export_shape": "tombstones"}
    installation.set_up(**target, include_without_national_id=True)
    with psycopg.connect(state_dsn, autocommit=True) as state:
        state.execute(REFUSE.replace("%%", "%"))
    installation.start()
    installation.first_manifest()
    # Only now: otherwise the first mail would be sent before the owner, whose name contains an id, has arrived.
    installation.imsfeed("targets", "set", "lms", 'case_workers=["leder@fjordvik.example"]')
    installation.write(a_person(31, national_id=BORN[11]), a_person(1, national_id=D_NUMBERS[1]))
    installation.write(an_enrolment(2, person=2, group=3, starts_on=STARTED, status="withdrawn"))
    with installation.source.transaction():
        installation.source.execute("update enrolment set ends_on = '5874897-12-31' where id = 3")
    until(installation.deltas, what=f"a delta; {installation.last_lines()}")
    with psycopg.connect(state_dsn, autocommit=True) as state:
        state.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'imsfeed %'")
    installation.write(a_person(5, given_name="Etter", national_id=BORN[12]))
    until(lambda: len(installation.deltas()) > 1, what=f"another delta; {installation.last_lines()}")
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    for key, value in broken_messages():
        producer.send(topic, value, key=key, partition=1).get(timeout=30)
    producer.close()
    with psycopg.connect(state_dsn, autocommit=True) as state:
        query = "select count(*) from imsfeed.quarantine"
        until(
            lambda: (state.execute(query).fetchone() or (0,))[0] >= len(broken_messages()), what="all are quarantined"
        )


def test_no_output_contains_a_national_id(
    installation: Installation, state_dsn: str, kafka: str, topic: str, mails: MailServer, tmp_path: Path
) -> None:
    let_everything_happen(installation, state_dsn, kafka, topic)
    outputs = Outputs(installation)
    for name in PROCESSES:
        paths = ("/metrics", "/healthz", "/readyz", f"/{BORN[0]}", f"/metrics?person={BORN[0]}")
        outputs.texts |= {f"{name} {path}": str(installation.get(name, path)) for path in paths}
        outputs.texts[f"{name}'s command line"] = Path(f"/proc/{installation.processes[name].pid}/cmdline").read_text()
    run_every_command(outputs, tmp_path)
    until(lambda: mails.arrived, what="a mail to the case workers")
    # As the mail was sent, and as it is read: a subject with letters beyond ASCII is sent encoded.
    outputs.texts |= {
        f"mail {number}": "\n".join((mail.as_string(), str(mail["Subject"]), mail.get_content()))
        for number, mail in enumerate(mails.arrived)
    }
    assert installation.stop() == {"capture": 0, "materialize": 0, "compact": 0}
    outputs.texts |= {f"log of {name}": installation.log(name).read_text() for name in PROCESSES}
    outputs.texts |= files(installation) | tables(state_dsn) | tables(str(installation.environment["SOURCE_DSN"]))

    assert outputs.leaks() == {}
    quarantine = json.loads(outputs.texts["status --json"])["quarantine"]
    assert {one["reason"] for one in quarantine} >= {"not_json", "unknown_op", "unknown_table", "impossible_value"}
    assert any("22023" in one["detail"] for one in quarantine), "PostgreSQL refused a row, and quoted it"
    assert "SQLSTATE 40P01" in outputs.texts["log of compact"], "PostgreSQL refused a record, and quoted it"
    assert found((installation.target / "Eksport.xml").read_text(), IDS), "the ids are where they must be"


def run_every_command(outputs: Outputs, folder: Path) -> None:
    """Run every command that prints anything, with right and with wrong arguments."""
    old = folder / "old.xml"
    rows = "".join(f"<person><sourcedid><source>s</source><id>{id_}</id></sourcedid></person>" for id_ in IDS)
    old.write_text(f"<enterprise>{rows}</enterprise>")
    (folder / "broken.xml").write_text(f"<enterprise>{rows}<{BORN[0]}/></enterprise>")
    for arguments in (
        ["status"],
        ["status", "--json"],
        ["settings"],
        ["targets", "show"],
        ["snapshot", "--now", "lms"],
    ):
        outputs.command(*arguments)
    outputs.command("verify", str(outputs.installation.folder / "feed"))
    outputs.command("setup", "source", "--dry-run")
    outputs.command("setup", "state", "--dry-run")
    for language in ("nb", "en"):
        for form in ("html", "csv"):
            outputs.command("report", "lms", "--format", form, "--language", language)
    for person in (1, 5, 6, 20, 21, 22, 23, 30):
        outputs.command("why", "lms", str(person))
    outputs.command("why", "lms", "31", code=2)
    outputs.command("compare", str(old), "lms", "--csv", str(folder / "changes.csv"), code=3)
    outputs.texts["changes.csv"] = (folder / "changes.csv").read_text()
    outputs.command("compare", str(folder / "broken.xml"), "lms", code=1)
    outputs.command("export-events")
    # A national id typed in the wrong place is not printed.
    for number, arguments in enumerate((
        ["why", "lms", BORN[0]],
        ["why", BORN[0], "1"],
        ["snapshot", "--now", BORN[0]],
    )):
        outputs.texts[f"typed {number}"] = outputs.installation.imsfeed(*arguments, code=2)
    outputs.texts["typed targets"] = outputs.installation.imsfeed(
        "targets", "set", "lms", f"person_id={BORN[0]}", code=2
    )


def files(installation: Installation) -> dict[str, str]:
    """Return the names of all files, and the content of those that are not XML."""
    paths = [path for path in installation.folder.rglob("*") if path.is_file()]
    names = {"names of files": "\n".join(str(path) for path in installation.folder.rglob("*"))}
    return names | {str(path): path.read_text() for path in paths if path.suffix != ".xml"}


def tables(dsn: str) -> dict[str, str]:
    """Return every column of imsfeed's own tables, except those of :data:`RAW`."""
    texts = {}
    with psycopg.connect(dsn) as connection:
        columns = connection.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'imsfeed'"
        ).fetchall()
        for table, column in columns:
            if column not in RAW.get(table, ()):
                query = sql.SQL("select {}::text from imsfeed.{}").format(sql.Identifier(column), sql.Identifier(table))
                texts[f"{table}.{column}"] = "\n".join(str(value) for (value,) in connection.execute(query))
    return texts


def test_a_national_id_would_be_found_however_it_is_written() -> None:
    masked = str(NationalId(BORN[0]))
    for text in (BORN[0], spaced(BORN[0]), f"x{BORN[0][:6]}-{BORN[0][6:]}y", " ".join(BORN[0]), json.dumps([BORN[0]])):
        assert found(f"person {text} left", IDS) == [BORN[0]]
    assert found(f"person {masked} left {BORN[0][:10]}", IDS) == []
