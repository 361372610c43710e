"""The normalisation of awkward texts, and the warnings about them."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.records.model import GroupRecord, PersonRecord
from ims.records.text import (
    clean_text,
    has_control_characters,
    has_invisible_characters,
    spell_out_markup,
    truncate_text,
)
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact
from ims.targets.importer_profiles import PROFILES
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_enrolment,
    an_owner,
    facts_of,
)

PERSON, GROUP = (RecordKind.PERSON, 1), (RecordKind.GROUP, 1)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
"""One character to a reader, five code points."""


def roster(*facts: Fact, settings: TargetSettings | None = None) -> Roster:
    known = facts_of(*facts)
    return roster_of(known, settings or a_target(), orgnr=ORGNR, today=TODAY, persons=[1], groups=[1])


def the_person(
    settings: TargetSettings | None = None, **changes: Any
) -> tuple[PersonRecord, tuple[RecordWarning, ...]]:
    outcome = roster(a_person(**changes), a_group(), an_enrolment(), settings=settings)
    (record,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    return record, outcome.warnings.get(PERSON, ())


def the_group(*facts: Fact, settings: TargetSettings | None = None) -> tuple[GroupRecord, tuple[RecordWarning, ...]]:
    outcome = roster(*facts, settings=settings)
    (record,) = (record for record in outcome.records.values() if isinstance(record, GroupRecord))
    return record, outcome.warnings.get(GROUP, ())


def test_correct_facts_have_no_warnings() -> None:
    assert roster(a_person(), a_group(), an_enrolment()).warnings == {}


@pytest.mark.parametrize("name", ["Åse Ærø", "Áile Čuoŋo", "Nguyễn Thị Ngọc", "محمد", "Kari\tOla"])
def test_a_name_in_any_script_has_no_warning(name: str) -> None:
    record, warnings = the_person(given_name=name)
    assert (record.given_name, warnings) == (clean_text(name), ())


def test_a_name_is_published_in_composed_letters() -> None:
    record, _ = the_person(family_name=unicodedata.normalize("NFD", "Ångström"))
    assert record.family_name == unicodedata.normalize("NFC", "Ångström")


@pytest.mark.parametrize("field", ["given_name", "family_name", "email", "feide_name"])
@pytest.mark.parametrize("character", ["\x01", "\x1b", "\x7f", "\x85", "\ufffe"])
def test_control_characters_are_removed_with_a_warning(field: str, character: str) -> None:
    changes: dict[str, Any] = {field: f"ka{character}ri@example.org"}
    record, warnings = the_person(**changes)
    assert "kari@example.org" in {record.given_name, record.family_name, record.email, record.login}
    assert warnings == (RecordWarning.CONTROL_CHARACTERS_REMOVED,)


def test_a_name_of_control_characters_alone_is_incomplete() -> None:
    outcome = roster(a_person(given_name="\x01"), a_group(), an_enrolment())
    assert outcome.excluded == {PERSON: Reason.NAME_INCOMPLETE}
    assert outcome.warnings == {}


def test_a_group_has_the_warnings_of_its_schools_texts() -> None:
    assert the_group(a_group(name="No\x01rsk"))[1] == (RecordWarning.CONTROL_CHARACTERS_REMOVED,)
    assert the_group(a_group(), a_school(name="x" * 256))[1] == (RecordWarning.NAME_TRUNCATED,)


@pytest.mark.parametrize("field", ["given_name", "family_name"])
def test_a_persons_name_is_truncated_to_moodles_limit(field: str) -> None:
    changes: dict[str, Any] = {field: "æ" * 100}
    whole, warnings = the_person(**changes)
    assert (getattr(whole, field), warnings) == ("æ" * 100, ())
    changes[field] += "æ"
    truncated, warnings = the_person(**changes)
    assert (getattr(truncated, field), warnings) == ("æ" * 100, (RecordWarning.NAME_TRUNCATED,))


@pytest.mark.parametrize(
    ("field", "fact", "limit"),
    [
        ("long", "name", PROFILES["none"].limits["long"].characters),
        ("kind", "kind", PROFILES["none"].limits["kind"].characters),
        ("short", "code", PROFILES["none"].limits["short"].characters - len(" (NO1-1)")),
    ],
)
def test_a_groups_texts_are_truncated_to_their_limits(field: str, fact: str, limit: int) -> None:
    changes: dict[str, Any] = {fact: "x" * limit}
    assert the_group(a_group(**changes))[1] == ()
    changes[fact] += "x"
    record, warnings = the_group(a_group(**changes))
    assert len(getattr(record, field)) == PROFILES["none"].limits[field].characters
    assert warnings == (RecordWarning.NAME_TRUNCATED,)


def test_a_short_name_keeps_its_unique_part_when_truncated() -> None:
    record, _ = the_group(a_group(code="x" * 80))
    assert record.short == "x" * 52 + " (NO1-1)"


def test_names_of_owner_and_school_are_truncated() -> None:
    record, warnings = the_group(a_group(), a_school(name="s" * 256), an_owner(name="o" * 257))
    assert (len(record.school_name), len(record.owner_name), warnings) == (255, 256, (RecordWarning.NAME_TRUNCATED,))


@pytest.mark.parametrize("login", ["feide", "email"])
def test_an_email_address_that_is_too_long_is_omitted(login: str) -> None:
    record, warnings = the_person(a_target(login=login), feide_name=None, email="x" * 89 + "@example.org")
    assert (record.login, record.email) == (None, None)
    assert warnings == (RecordWarning.LOGIN_TOO_LONG, RecordWarning.EMAIL_TOO_LONG)
    record, warnings = the_person(a_target(login=login), feide_name=None, email="x" * 88 + "@example.org")
    assert (record.login, warnings) == (record.email, ())


def test_an_email_address_replaces_a_feide_name_that_is_too_long() -> None:
    record, warnings = the_person(feide_name="x" * 101, email="ada@example.org")
    assert (record.login, warnings) == ("ada@example.org", (RecordWarning.LOGIN_TOO_LONG,))


def test_the_limit_of_a_login_counts_lower_case_letters() -> None:
    record, warnings = the_person(feide_name="İ" * 51, email=None)
    assert (record.login, warnings) == (None, (RecordWarning.LOGIN_TOO_LONG,))


def test_a_group_whose_id_is_too_long_is_excluded() -> None:
    settings = a_target(group_id="{code}")
    assert the_group(a_group(code="x" * 100), settings=settings)[0].id == "x" * 100
    outcome = roster(a_group(code="x" * 101), settings=settings)
    assert (outcome.excluded, outcome.warnings) == ({GROUP: Reason.ID_TOO_LONG}, {})


def test_markup_is_spelled_out_only_for_targets_that_want_it() -> None:
    assert the_person(given_name="A&B <c>")[0].given_name == "A&B <c>"
    record, warnings = the_person(a_target(spell_out_markup=True), given_name="A&B <c>")
    assert (ascii(record.given_name), warnings) == (r"'A og B \u2039c\u203a'", (RecordWarning.MARKUP_SPELLED_OUT,))


def test_every_name_of_a_group_is_spelled_out() -> None:
    facts = (a_group(code="A&B", name="C & D", kind="x<y"), a_school(name="E&F"), an_owner(name="G &H"))
    record, warnings = the_group(*facts, settings=a_target(spell_out_markup=True))
    assert (record.short, record.long, record.school_name, record.owner_name) == (
        "A og B (NO1-1)",
        "C og D",
        "E og F",
        "G og H",
    )
    assert record.kind == "x\u2039y"
    assert warnings == (RecordWarning.MARKUP_SPELLED_OUT,)


def test_an_identifier_is_never_spelled_out() -> None:
    settings = a_target(spell_out_markup=True, group_id="{code}")
    assert the_group(a_group(code="A&B"), settings=settings)[0].id == "A&B"


@pytest.mark.parametrize("character", ["&", "<", ">"])
def test_no_login_or_address_would_be_stored_as_an_entity(character: str) -> None:
    address = f"a{character}b@example.org"
    record, warnings = the_person(a_target(spell_out_markup=True), feide_name=address, email=address)
    assert (record.login, record.email) == (None, None)
    assert warnings == (RecordWarning.LOGIN_WITH_MARKUP, RecordWarning.EMAIL_WITH_MARKUP)
    decoding, warnings = the_person(a_target(), feide_name=address, email=address)
    assert (decoding.login, decoding.email, warnings) == (address, address, ())


def test_an_email_address_replaces_a_feide_name_with_markup() -> None:
    record, warnings = the_person(a_target(spell_out_markup=True), feide_name="r&d@a.example", email="rd@a.example")
    assert (record.login, record.email) == ("rd@a.example", "rd@a.example")
    assert warnings == (RecordWarning.LOGIN_WITH_MARKUP,)


def test_moodle_takes_a_longer_short_name() -> None:
    record, warnings = the_group(a_group(code="x" * 200), settings=a_target(importer="moodle"))
    assert (record.short, warnings) == ("x" * 200 + " (NO1-1)", ())


def test_a_name_is_truncated_after_it_is_spelled_out() -> None:
    record, warnings = the_person(a_target(spell_out_markup=True), given_name="&" + "x" * 98)
    assert record.given_name == "og " + "x" * 97
    assert warnings == (RecordWarning.NAME_TRUNCATED, RecordWarning.MARKUP_SPELLED_OUT)


def wrong_check_digits(number: str) -> str:
    return number[:11] + str((int(number[11]) + 1) % 10)


def test_a_duf_number_with_wrong_check_digits_has_a_warning() -> None:
    record, warnings = the_person(national_id=wrong_check_digits(a_duf_number(7)))
    assert (record.id, warnings) == (wrong_check_digits(a_duf_number(7)), (RecordWarning.DUF_CHECK_FAILED,))
    assert the_person(national_id=a_duf_number(7))[1] == ()
    assert the_person(national_id=a_birth_number(7))[1] == ()


def test_a_target_may_refuse_wrong_duf_check_digits() -> None:
    facts = (a_person(national_id=wrong_check_digits(a_duf_number(7))), a_group(), an_enrolment())
    outcome = roster(*facts, settings=a_target(duf_check="refuse"))
    assert (outcome.excluded, outcome.warnings) == ({PERSON: Reason.NATIONAL_ID_INVALID}, {})
    assert the_person(a_target(duf_check="refuse"), national_id=a_duf_number(7))[1] == ()


def test_twelve_digits_without_a_year_are_no_duf_number() -> None:
    outcome = roster(a_person(national_id="123456789012"), a_group(), an_enrolment())
    assert outcome.excluded == {PERSON: Reason.NATIONAL_ID_INVALID}


def test_excluded_persons_have_no_warnings() -> None:
    number = wrong_check_digits(a_duf_number(7))
    facts = (a_person(1, national_id=number), a_person(2, national_id=number), a_group())
    outcome = roster_of(
        facts_of(*facts, an_enrolment(1), an_enrolment(2, person=2)),
        a_target(),
        orgnr=ORGNR,
        today=TODAY,
        persons=[1, 2],
        groups=[],
    )
    assert set(outcome.excluded.values()) == {Reason.DUPLICATE_ID}
    assert outcome.warnings == {}


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Kari", 4, "Kari"),
        ("Kari Nordmann", 5, "Kari"),
        ("abq\u0303\u0301", 3, "ab"),
        ("abq\u0303\u0301", 4, "ab"),
        ("abq\u0303\u0301", 5, "abq\u0303\u0301"),
        (f"ab{FAMILY}", 4, "ab"),
        (f"ab{FAMILY}", 6, "ab"),
        ("ab\U0001f44d\U0001f3fd!", 3, "ab"),
        ("ab\u2764\ufe0f!", 3, "ab"),
        ("\u0303\u0301\u0302", 2, "\u0303\u0301"),
    ],
)
def test_a_text_is_truncated_between_two_characters(text: str, limit: int, expected: str) -> None:
    assert truncate_text(text, limit) == expected


@given(text=st.text(), limit=st.integers(1, 40))
def test_a_truncated_text_is_a_clean_beginning_within_the_limit(text: str, limit: int) -> None:
    clean = clean_text(text)
    truncated = truncate_text(clean, limit)
    assert clean.startswith(truncated)
    assert len(truncated) <= limit
    assert clean_text(truncated) == truncated
    assert bool(truncated) == bool(clean)


@given(text=st.text(alphabet="ab &<>\t"))
def test_a_spelled_out_text_has_no_markup(text: str) -> None:
    spelled = spell_out_markup(clean_text(text))
    assert not set(spelled) & set("&<>")
    assert spelled == clean_text(spelled)
    assert spell_out_markup(spelled) == spelled


@given(st.text())
def test_characters_are_detected_if_they_are_removed(text: str) -> None:
    spaces = text.translate({ord(c): " " for c in "\t\n\r\u2028\u2029"})
    removed = unicodedata.normalize("NFC", spaces).strip() != clean_text(text)
    assert removed <= (has_control_characters(text) or has_invisible_characters(text))
