"""Large and hostile values in every text of the facts: bounded before anything costly, never published as they are."""

import unicodedata
from typing import Any

import pytest

from ims.records.model import GroupRecord, PersonRecord
from ims.records.text import BOUND
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings
from ims.xml.writer import fragment
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_enrolment,
    an_owner,
    facts_of,
)

HOSTILE = [
    "\u0301" * 80_000,
    " " * 80_000,
    "a" + "\u0323\u0301" * 40_000,
    "9" * 80_000,
    "&" * 80_000,
    "\u200d" * 80_000,
]
PERSON, GROUP = (RecordKind.PERSON, 1), (RecordKind.GROUP, 1)
NUMBER = a_birth_number(7)


def roster(*facts: Fact, settings: TargetSettings | None = None) -> Roster:
    known = facts_of(*facts)
    return roster_of(known, settings or a_target(), orgnr=ORGNR, today=TODAY, persons=[1], groups=[1])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("dialect", ["ims", "pifu"])
def test_no_field_is_normalised_at_full_length(monkeypatch: pytest.MonkeyPatch, text: str, dialect: Any) -> None:
    lengths: list[int] = []
    normalize = unicodedata.normalize

    def measured(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", measured)
    persons = ["given_name", "family_name", "email", "feide_name", "national_id", "mobile"]
    settings = a_target(dialect=dialect, group_id="{code}-{id}", spell_out_markup=True, excluded_kinds=("x",))
    for field in persons:
        fields: dict[str, Any] = {field: text}
        outcome = roster(a_person(**fields), a_group(), an_enrolment(), settings=settings)
        assert len("".join(fragment(record, dialect=dialect) for record in outcome.records.values())) < 10 * BOUND
    for field in ("code", "name", "kind"):
        fields = {field: text}
        outcome = roster(a_group(**fields), settings=settings)
        assert len("".join(fragment(record, dialect=dialect) for record in outcome.records.values())) < 10 * BOUND
    roster(a_group(), a_school(name=text, school_no=text, orgnr=text), an_owner(name=text), settings=settings)
    roster(a_group(), an_owner(orgnr=text), settings=settings)
    assert max(lengths, default=0) <= BOUND


def test_a_login_that_was_bounded_is_not_published() -> None:
    outcome = roster(
        a_person(feide_name="a" + " " * 80_000 + "b@fjordvik.example", email=None), a_group(), an_enrolment()
    )
    (person,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    assert (person.login, outcome.warnings[PERSON]) == (None, (RecordWarning.LOGIN_TOO_LONG,))


@pytest.mark.parametrize("field", ["given_name", "family_name", "email", "feide_name"])
def test_invisible_characters_are_removed_with_a_warning(field: str) -> None:
    fields: dict[str, Any] = {field: "\ufeffka\u200bri\u00ad@example.org\u00a0"}
    outcome = roster(a_person(**fields), a_group(), an_enrolment())
    (person,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    assert "kari@example.org" in {person.given_name, person.family_name, person.email, person.login}
    assert outcome.warnings[PERSON] == (RecordWarning.INVISIBLE_CHARACTERS_REMOVED,)


def test_invisible_characters_of_a_number_are_removed() -> None:
    outcome = roster(a_person(national_id=f"\u202a{NUMBER[:6]}\u200b{NUMBER[6:]}\ufeff"), a_group(), an_enrolment())
    assert outcome.person_ids == {1: NUMBER}


def test_codes_that_differ_in_nothing_visible_are_one_id() -> None:
    settings = a_target(group_id="{code}")
    facts = facts_of(a_group(1, code="8A"), a_group(2, code="8\u200bA\u200d"))
    outcome = roster_of(facts, settings, orgnr=ORGNR, today=TODAY, persons=[], groups=[1, 2])
    assert set(outcome.excluded.values()) == {Reason.DUPLICATE_ID}


@pytest.mark.parametrize("person_id", ["national", "running"])
def test_an_address_that_holds_a_national_id_is_omitted(person_id: Any) -> None:
    settings = a_target(person_id=person_id)
    person = a_person(email=f"{NUMBER}@fjordvik.example", feide_name=f"bo.{NUMBER}@fjordvik.example")
    outcome = roster(person, a_group(), an_enrolment(), settings=settings)
    (record,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    assert (record.email, record.login) == (None, None)
    assert outcome.warnings[PERSON] == (RecordWarning.NATIONAL_ID_REMOVED,)


def test_a_national_id_is_removed_from_every_name() -> None:
    facts = (
        a_person(given_name=f"Ada {NUMBER}", family_name=f"Ås ({NUMBER[:6]} {NUMBER[6:]})"),
        a_group(name=f"Norsk {NUMBER}", code=NUMBER, kind=NUMBER),
        an_enrolment(),
        a_school(name=f"Skole {NUMBER}"),
        an_owner(name=f"Eier {NUMBER}"),
    )
    outcome = roster(*facts, settings=a_target(person_id="running"))
    assert not any(NUMBER in fragment(record).replace(" ", "") for record in outcome.records.values())
    (person,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    (group,) = (record for record in outcome.records.values() if isinstance(record, GroupRecord))
    assert (person.given_name, group.long, group.short) == ("Ada", "Norsk", "(NO1-1)")
    assert set(outcome.warnings) == {PERSON, GROUP}


def test_a_name_that_is_only_a_national_id_is_incomplete() -> None:
    outcome = roster(a_person(given_name=NUMBER), a_group(), an_enrolment())
    assert outcome.excluded == {PERSON: Reason.NAME_INCOMPLETE}


def test_a_group_whose_id_would_hold_a_national_id_is_excluded() -> None:
    outcome = roster(a_group(code=f"G{NUMBER}"), settings=a_target(group_id="{school_no}-{code}"))
    assert outcome.excluded == {GROUP: Reason.ID_DISCLOSES_NATIONAL_ID}
    school = roster(a_group(), a_school(school_no=NUMBER))
    assert school.excluded == {GROUP: Reason.SCHOOL_WITHOUT_NUMBER}
