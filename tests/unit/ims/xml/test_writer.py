"""Records written in plain IMS Enterprise."""

from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.records.model import GroupRecord, PersonRecord, Record
from ims.records.text import clean_text
from ims.records.vocabulary import RecStatus
from ims.xml.writer import document_head, fragment
from tests.unit.ims.xml.plain_records import (
    ANNA,
    ANNA_LEARNS,
    ANNA_LEARNS_XML,
    ANNA_XML,
    FULL,
    HEAD_XML,
    NORWEGIAN,
    NORWEGIAN_XML,
    SOURCE,
    TOR,
    TOR_TEACHES,
)


@pytest.mark.parametrize(
    ("record", "xml"),
    [(ANNA, ANNA_XML), (NORWEGIAN, NORWEGIAN_XML), (ANNA_LEARNS, ANNA_LEARNS_XML)],
    ids=["person", "group", "member"],
)
def test_a_record_is_written_with_one_element_per_line(record: Record, xml: str) -> None:
    assert fragment(record) == xml


def test_a_removed_person_has_ids_login_and_name_only() -> None:
    assert (
        fragment(ANNA, RecStatus.GONE)
        == """\
  <person recstatus="3">
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>01810012345</id>
    </sourcedid>
    <userid useridtype="username">anna@fjord.no</userid>
    <name>
      <fn>Anna Bø</fn>
      <n>
        <family>Bø</family>
        <given>Anna</given>
      </n>
    </name>
  </person>
"""
    )


def test_a_removed_group_has_id_and_description_only() -> None:
    assert (
        fragment(NORWEGIAN, RecStatus.GONE)
        == """\
  <group recstatus="3">
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>group-7</id>
    </sourcedid>
    <description>
      <short>B1-dag</short>
      <long>Norsk B1 dag</long>
    </description>
  </group>
"""
    )


@pytest.mark.parametrize(
    ("recstatus", "role"),
    [
        (None, '<role roletype="02">\n        <status>1</status>\n'),
        (RecStatus.NEW, '<role roletype="02" recstatus="1">\n        <status>1</status>\n'),
        (RecStatus.CHANGED, '<role roletype="02" recstatus="2">\n        <status>1</status>\n'),
        (RecStatus.GONE, '<role roletype="02" recstatus="3">\n        <status>0</status>\n'),
    ],
)
def test_a_role_has_roletype_first_and_always_a_status(recstatus: RecStatus | None, role: str) -> None:
    assert role in fragment(TOR_TEACHES, recstatus)


@pytest.mark.parametrize("recstatus", [RecStatus.NEW, RecStatus.CHANGED])
def test_a_delta_has_the_whole_record(recstatus: RecStatus) -> None:
    assert fragment(ANNA, recstatus) == ANNA_XML.replace("<person>", f'<person recstatus="{recstatus.value}">')
    assert fragment(NORWEGIAN, recstatus) == NORWEGIAN_XML.replace("<group>", f'<group recstatus="{recstatus.value}">')


def test_only_the_first_role_of_a_person_is_the_primary_one() -> None:
    assert (
        '    <institutionrole primaryrole="Yes" institutionroletype="Staff"/>\n'
        '    <institutionrole primaryrole="No" institutionroletype="Student"/>\n'
    ) in fragment(TOR)


def test_an_empty_field_of_a_person_is_omitted() -> None:
    bare = PersonRecord(SOURCE, "1", None, "", "Li", " ", ())
    text = fragment(bare)
    assert "userid" not in text
    assert "email" not in text
    assert "given" not in text
    assert "<fn>Li</fn>" in text


def test_the_full_name_has_one_space_in_the_middle() -> None:
    assert "<fn>Anna Bø</fn>" in fragment(msgspec.structs.replace(ANNA, given_name="Anna\n", family_name=" Bø"))


def test_a_person_without_name_has_the_required_element() -> None:
    text = fragment(PersonRecord(SOURCE, "1", None, "\x00", " ", None, ()))
    assert "      <fn></fn>\n" in text
    assert "<n>" not in text


def test_an_empty_field_of_a_group_is_omitted() -> None:
    text = fragment(GroupRecord(SOURCE, "g", "", "8A", "", "", "", None, "2026-12-18"))
    assert not any(tag in text for tag in ("grouptype", "long", "full", "org", "begin"))
    assert '<end restrict="0">2026-12-18</end>' in text


def test_a_group_without_days_has_no_timeframe() -> None:
    assert "timeframe" not in fragment(msgspec.structs.replace(NORWEGIAN, begin=None, end=None))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Bø", "Bø"),
        ("A\u030ase", "Åse"),
        ("Ánne Máret Čáŋ", "Ánne Máret Čáŋ"),
        ("Ka\x00r\x0bi\x7f\x85", "Kari"),
        ("a\tb\r\nc", "a b  c"),
        ("  \u00a0Li\n", "Li"),
        ("\ud800x\ufffe\uffff", "x"),
        ("e\x01\u0301", "é"),
        ("🙂", "🙂"),
        ("<&>", "<&>"),
    ],
)
def test_a_text_is_cleaned_and_normalised(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(st.text())
def test_a_clean_text_does_not_change(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@given(st.text(st.characters()), st.text(st.characters()))
def test_no_text_of_the_source_breaks_the_lines(given_name: str, family_name: str) -> None:
    person = msgspec.structs.replace(ANNA, given_name=f"x{given_name}", family_name=f"x{family_name}")
    assert fragment(person).count("\n") == ANNA_XML.count("\n")
    assert fragment(person).isprintable() is False
    assert all(line.isprintable() or not line.isascii() for line in fragment(person).split("\n"))


def test_markup_in_text_is_escaped() -> None:
    person = msgspec.structs.replace(ANNA, given_name="<b> & ]]>")
    assert "<given>&lt;b&gt; &amp; ]]&gt;</given>" in fragment(person)


def test_other_characters_than_markup_are_written_as_themselves() -> None:
    assert "<given>Čáŋŋá 🙂 \"'</given>" in fragment(msgspec.structs.replace(ANNA, given_name="Čáŋŋá 🙂 \"'"))


def test_a_file_begins_with_its_properties() -> None:
    assert document_head(FULL) == HEAD_XML


def test_the_time_of_a_file_is_written_in_utc() -> None:
    at = datetime(2026, 8, 17, 2, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert document_head(msgspec.structs.replace(FULL, at=at)) == HEAD_XML


def test_a_group_names_the_group_above_it() -> None:
    text = fragment(msgspec.structs.replace(NORWEGIAN, parent="school-90001"))
    assert text.endswith(
        """    <relationship relation="1">
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>school-90001</id>
      </sourcedid>
      <label>skole</label>
    </relationship>
  </group>
"""
    )
    assert "relationship" not in fragment(NORWEGIAN)
