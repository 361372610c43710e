"""The scenario of the conformance kit: a roster, then one case after another, each an hour or a day after the last."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from deploy.kit.people import (
    BIRTH_NUMBERS,
    D_NUMBER,
    DUF_NUMBER,
    FIRST_DAY,
    FJORDLIA,
    LONG_AGO,
    NORDLIA,
    SECOND_D_NUMBER,
    WRONG_DUF_NUMBER,
    WRONG_NUMBER,
    employee,
    enrolment,
    group,
    person,
    school,
)
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings

START: Final = datetime(2026, 8, 17, 6, tzinfo=UTC)
"""Eight o'clock in Oslo."""
END: Final = datetime(2026, 8, 21, 6, tzinfo=UTC)

TARGETS: Final = (
    TargetSettings(
        name="lms", owner=1, enabled=True, accept_initial=True, allow_test_numbers=True, export_path="Eksport.xml"
    ),
    TargetSettings(
        name="running",
        owner=1,
        enabled=True,
        accept_initial=True,
        allow_test_numbers=True,
        person_id="running",
        include_without_national_id=True,
        group_id="{school_no}-{code}",
    ),
    TargetSettings(
        name="pifu",
        owner=1,
        enabled=True,
        accept_initial=True,
        allow_test_numbers=True,
        dialect="pifu",
        org_groups=True,
        duf_check="refuse",
    ),
    TargetSettings(
        name="moodle",
        owner=1,
        importer="moodle",
        enabled=True,
        accept_initial=True,
        allow_test_numbers=True,
        export_path="Eksport.xml",
    ),
    TargetSettings(name="lms", owner=2, enabled=True, accept_initial=True, allow_test_numbers=True),
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case: changes of the source, or of a target's settings, at one time.

    Attributes:
        hours: time after START, in hours.
        title: the case's line in the kit's page.
        transactions: rows written in each transaction; the transactions are a tenth of a second apart.
        deleted: rows deleted, in the first transaction.
        settings: changed settings, by target.
        whole: false if the last event of each transaction is missing.
        raw: a message that is not JSON.
    """

    hours: float
    title: str
    transactions: tuple[tuple[Fact, ...], ...] = ()
    deleted: tuple[Fact, ...] = ()
    settings: dict[str, dict[str, Any]] = {}
    whole: bool = True
    raw: str | None = None


ROSTER: Final[tuple[Fact, ...]] = (
    FJORDLIA,
    school(1, "Fjordlia voksenopplæring", "90001"),
    school(2, "Øylia voksenopplæring", "90002"),
    school(3, "Ytterholmen, uten skolenummer", None),
    group(1, "Norsk A1"),
    group(2, "Norsk & samfunn <B1>", kind="subject"),
    group(3, "Grunnskole modul 1", school_id=2, programme="grunnskole"),
    group(4, "Begynner torsdag", starts_on=date(2026, 8, 20)),
    group(5, "Sluttet i juni", starts_on=LONG_AGO, ends_on=date(2026, 6, 30)),
    group(6, "Ikke aktiv", active=False),
    group(7, "Uten skolenummer", school_id=3),
    group(8, "Skal tømmes"),
    person(1, "Ada", "Ås"),
    person(2, "Bilal", "Bakken", national_id=DUF_NUMBER),
    person(3, "Carina", "Dahl", national_id=D_NUMBER),
    person(4, "Daniel", "Utennummer", national_id=None),
    person(5, "Elin", "Feilnummer", national_id=WRONG_NUMBER),
    person(6, "Fatima", "Skjermet", protected=True),
    person(7, "Geir", "Dobbel"),
    person(8, "Geir", "Dobbel", national_id=BIRTH_NUMBERS[7]),
    person(9, "Grete", ""),
    person(10, "Håkon", "Lærer"),
    person(11, "Ingrid", "Lærer-Utengruppe"),
    person(12, "Jovan", "Begge"),
    person(13, "Kjell", "Kontor"),
    person(14, "La\u0301ila\u0301", "Čáhci-Đoŋŋa", feide_name=None),
    person(15, "Mona", "Overlapp"),
    person(16, "Nils", "Fremtid"),
    person(17, "Olena", "Avsluttet"),
    person(18, "Per", "Toskoler", feide_name=None, email=None),
    employee(1, 10),
    employee(2, 11, school_id=2),
    employee(3, 12),
    employee(4, 13, kind="case_worker"),
    enrolment(1, 1, 1),
    enrolment(2, 1, 2),
    enrolment(3, 2, 1),
    enrolment(4, 3, 3),
    enrolment(5, 4, 1),
    enrolment(6, 5, 1),
    enrolment(7, 6, 1),
    enrolment(8, 7, 1),
    enrolment(9, 8, 2),
    enrolment(10, 9, 1),
    enrolment(11, 10, 1, "teacher"),
    enrolment(12, 12, 2),
    enrolment(13, 12, 3, "teacher"),
    enrolment(14, 14, 2),
    enrolment(15, 15, 1, ends_on=date(2026, 8, 18)),
    enrolment(16, 15, 1, starts_on=date(2026, 8, 18), ends_on=date(2026, 8, 19)),
    enrolment(17, 16, 1, starts_on=date(2026, 8, 19)),
    enrolment(18, 17, 1, ends_on=date(2026, 8, 16)),
    enrolment(19, 18, 1),
    enrolment(20, 18, 3),
    enrolment(21, 1, 4),
    enrolment(22, 3, 7),
    enrolment(23, 2, 8),
    NORDLIA,
)


def cases() -> Iterator[Case]:
    """Yield every case, in order."""
    yield from _people(1)
    yield from _numbers(13.5)
    yield from _groups_and_schools(30)
    yield from _days_and_settings(50)


def _one(hours: float, title: str, *facts: Fact, deleted: tuple[Fact, ...] = ()) -> Case:
    """Return a case with one transaction."""
    return Case(hours=hours, title=title, transactions=(facts,) if facts else (), deleted=deleted)


def _people(hours: float) -> Iterator[Case]:
    yield _one(hours, "A learner leaves one of two groups", enrolment(2, 1, 2, status="withdrawn"))
    yield _one(hours + 1, "… and the last one: the person is removed too", deleted=(enrolment(1, 1, 1),))
    yield _one(hours + 2, "… and comes back: the same id again", enrolment(24, 1, 2, starts_on=FIRST_DAY))
    yield Case(
        hours=hours + 3,
        title="A learner moves to another group, in two transactions a moment apart",
        transactions=((enrolment(24, 1, 2, status="withdrawn"),), (enrolment(25, 1, 1, starts_on=FIRST_DAY),)),
    )
    yield _one(hours + 4, "A name is corrected", person(14, "La\u0301ila\u0301", "Čáhci", feide_name=None))
    yield _one(hours + 5, "A Feide name changes", person(1, "Ada", "Ås", feide_name="ada.aas@fjordlia.example"))
    yield _one(hours + 6, "A learner's identity is protected", person(1, "Ada", "Ås", protected=True))
    yield _one(hours + 7, "… and no longer is", person(1, "Ada", "Ås"))
    yield _one(hours + 8, "A learner becomes a teacher in the same group", enrolment(12, 12, 2, "teacher"))
    yield _one(
        hours + 9,
        "A teacher becomes a learner",
        employee(3, 12, active=False),
        enrolment(13, 12, 3),
        enrolment(12, 12, 2),
    )
    yield _one(hours + 10, "A teacher without a group stops", employee(2, 11, school_id=2, active=False))
    yield _one(hours + 11, "A missing name is filled in", person(9, "Grete", "Navn"))


def _numbers(hours: float) -> Iterator[Case]:
    yield _one(hours, "A national id arrives", person(4, "Daniel", "Utennummer"))
    yield _one(hours + 1, "A wrong control digit is corrected", person(5, "Elin", "Feilnummer"))
    yield _one(
        hours + 2,
        "A DUF number becomes a D-number: a new person with all memberships, the old one removed",
        person(2, "Bilal", "Bakken", national_id=SECOND_D_NUMBER),
    )
    yield _one(hours + 3, "… and the D-number a fødselsnummer", person(2, "Bilal", "Bakken"))
    yield _one(
        hours + 4,
        "Of two persons with the same number, one gets another: both are exported",
        person(8, "Geir", "Dobbel"),
    )
    yield _one(
        hours + 5,
        "A second person gets a number that is taken: the first stays, the second is excluded",
        person(16, "Nils", "Fremtid", national_id=D_NUMBER),
        enrolment(17, 16, 1),
    )
    yield _one(
        hours + 6,
        "… and is corrected",
        person(16, "Nils", "Fremtid"),
        enrolment(17, 16, 1, starts_on=date(2026, 8, 19)),
    )


def _groups_and_schools(hours: float) -> Iterator[Case]:
    yield _one(hours, "A group is renamed", group(1, "Norsk A1, dagtid"))
    yield _one(hours + 1, "A group loses its last member and stays", deleted=(enrolment(23, 2, 8),))
    yield _one(
        hours + 2, "A group is closed: its memberships are removed too", group(2, "Norsk", kind="subject", active=False)
    )
    yield _one(hours + 3, "… and opened again", group(2, "Norsk", kind="subject"))
    yield _one(hours + 4, "A school gets its number: its groups are added", school(3, "Ytterholmen", "90003"))
    closed = (school(3, "Ytterholmen", "90003"), group(7, "Uten", school_id=3))
    yield _one(hours + 5, "A school is closed", deleted=closed)
    moved = {"owner_id": 2, "national_id": D_NUMBER}
    yield Case(
        hours=hours + 6,
        title="A school moves to another owner",
        deleted=(school(2, "Øylia voksenopplæring", "90002"), group(3, "Grunnskole modul 1"), enrolment(4, 3, 3)),
        transactions=(
            (
                school(2, "Øylia voksenopplæring", "90002", owner=2),
                group(3, "Grunnskole modul 1", owner_id=2, school_id=2, programme="grunnskole"),
                person(3, "Carina", "Dahl", **moved),
                enrolment(4, 3, 3, owner_id=2),
            ),
        ),
    )
    yield Case(
        hours=hours + 7,
        title="Half a transaction arrives: nothing is published",
        transactions=((enrolment(26, 5, 2), enrolment(6, 5, 1, status="withdrawn")),),
        whole=False,
    )
    yield _one(hours + 8, "… and the other half, an hour later: one delta", enrolment(27, 5, 8))


def _days_and_settings(hours: float) -> Iterator[Case]:
    yield Case(hours=hours, title="A message that is not JSON is quarantined", raw="no JSON")
    yield _one(
        hours + 1,
        "A learner without a national id is excluded, unless the target exports such persons",
        person(20, "Siri", "Utennummer", national_id=None),
        enrolment(28, 20, 1),
    )
    yield Case(
        hours=hours + 2,
        title="From now on persons without a national id are exported",
        settings={"1/lms": {"include_without_national_id": True}},
    )
    yield Case(
        hours=hours + 3, title="From now on the e-mail address is the login", settings={"1/lms": {"login": "email"}}
    )
    yield _one(
        hours + 4,
        "A DUF number with wrong check digits is accepted, unless the target refuses it",
        person(21, "Tariq", "Mistet", national_id=WRONG_DUF_NUMBER),
        enrolment(29, 21, 1),
    )
    yield _one(
        hours + 5,
        "A name is longer than importers accept and has a control character: shortened, and without it",
        person(22, "Una\x07", "Langenavn-" * 15),
        enrolment(30, 22, 1),
    )
    yield _one(
        hours + 6, "The owner loses its organisation number: the target is halted", replace(FJORDLIA, orgnr=None)
    )
    yield _one(hours + 7, "… and gets it back", FJORDLIA)
    yield _one(
        hours + 8,
        "A Feide name arrives: for an importer that needs logins, a new person with all memberships",
        person(18, "Per", "Toskoler", email=None),
    )
    yield _one(hours + 9, "An e-mail address goes away", person(14, "La\u0301ila\u0301", "Čáhci", email=None))
    yield _one(hours + 10, "A group without members is closed", group(8, "Skal tømmes", active=False))
