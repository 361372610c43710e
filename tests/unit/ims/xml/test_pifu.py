"""Records written in PIFU-IMS."""

import re

import msgspec
import pytest

from ims.records.model import PersonRecord, Record
from ims.records.vocabulary import RecStatus
from ims.xml.writer import document_head, fragment
from tests.unit.ims.xml.pifu_records import (
    ANNA,
    ANNA_LEARNS,
    ANNA_LEARNS_XML,
    ANNA_XML,
    EVERYTHING,
    FJORD,
    FJORD_XML,
    LEARNING,
    NORWEGIAN,
    NORWEGIAN_XML,
    PIFU,
    TOR,
    TOR_TEACHES,
)
from tests.unit.ims.xml.plain_records import FULL


def pifu(record: Record, recstatus: RecStatus | None = None) -> str:
    return fragment(record, recstatus, "pifu")


def userids(person: PersonRecord) -> list[str]:
    return re.findall('useridtype="(.*)</userid>', pifu(person))


@pytest.mark.parametrize(
    ("record", "xml"),
    [(ANNA, ANNA_XML), (FJORD, FJORD_XML), (NORWEGIAN, NORWEGIAN_XML), (ANNA_LEARNS, ANNA_LEARNS_XML)],
    ids=["person", "owner", "group", "member"],
)
def test_a_record_is_written_in_pifu_ims(record: Record, xml: str) -> None:
    assert pifu(record) == xml


def test_a_file_shows_its_dialect_by_the_namespace() -> None:
    assert document_head(PIFU) == document_head(FULL).replace(
        "<enterprise>", '<enterprise xmlns="http://pifu.no/xsd/pifu-ims_sas/pifu-ims_sas-v1">'
    )


def test_a_removed_person_has_ids_and_name_only() -> None:
    assert (
        pifu(ANNA, RecStatus.GONE)
        == """\
  <person recstatus="3">
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>01810012345</id>
    </sourcedid>
    <userid useridtype="feideID">anna@fjord.no</userid>
    <userid useridtype="personNIN">01810012345</userid>
    <userid useridtype="personLIN">7</userid>
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


def test_a_removed_group_has_what_the_schema_requires() -> None:
    assert (
        pifu(FJORD, RecStatus.GONE)
        == """\
  <group recstatus="3">
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>org-100000008</id>
    </sourcedid>
    <grouptype>
      <scheme>pifu-ims-go-org</scheme>
      <typevalue level="1">skoleeier</typevalue>
    </grouptype>
    <description>
      <short>Fjord</short>
      <long>Fjord kommune</long>
    </description>
    <relationship relation="1">
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>org-100000008</id>
      </sourcedid>
      <label>skoleeier</label>
    </relationship>
  </group>
"""
    )


def test_a_removed_role_has_recstatus_3_and_status_0() -> None:
    assert '<role roletype="02" recstatus="3">\n        <status>0</status>\n' in pifu(TOR_TEACHES, RecStatus.GONE)


def test_only_learners_have_the_subrole_of_adults() -> None:
    assert "subrole" not in pifu(TOR_TEACHES)


def test_a_person_without_old_id_has_one_untyped_sourcedid() -> None:
    text = pifu(msgspec.structs.replace(ANNA, old_id=None))
    assert "sourcedidtype" not in text
    assert text.count("<sourcedid>") == 1


def test_a_login_other_than_the_feide_name_comes_first() -> None:
    assert userids(msgspec.structs.replace(ANNA, login="anna.bo@mail.example")) == [
        'username">anna.bo@mail.example',
        'personNIN">01810012345',
        'feideID">anna@fjord.no',
        'personLIN">7',
    ]


def test_a_userid_that_is_too_long_is_omitted() -> None:
    assert userids(msgspec.structs.replace(TOR, login="t" * 256)) == [f'username">{"t" * 256}']
    assert userids(msgspec.structs.replace(TOR, login="t" * 257)) == []
    assert userids(msgspec.structs.replace(TOR, login=" ")) == []


@pytest.mark.parametrize(
    "email", ["anna@fjord", "fjord.no", "@fjord.no", "anna@.no", "", " ", "a@" + "f" * 252 + ".no"]
)
def test_an_invalid_email_address_is_omitted(email: str) -> None:
    assert "<email>" not in pifu(msgspec.structs.replace(ANNA, email=email))


def test_the_longest_email_address_is_written() -> None:
    assert "<email>" in pifu(msgspec.structs.replace(ANNA, email="a@" + "f" * 251 + ".no"))


def test_family_and_given_name_are_always_written() -> None:
    assert "<family></family>\n        <given></given>" in pifu(
        msgspec.structs.replace(ANNA, given_name="", family_name=" ")
    )


def test_texts_that_are_too_long_are_truncated() -> None:
    person = pifu(msgspec.structs.replace(ANNA, given_name="g" * 300, family_name="f" * 300))
    assert f"<family>{'f' * 256}</family>" in person
    assert f"<given>{'g' * 256}</given>" in person
    assert f"<fn>{'g' * 256}</fn>" in person
    group = pifu(msgspec.structs.replace(FJORD, short="s" * 61, long="l" * 2049))
    assert f"<short>{'s' * 60}</short>" in group
    assert f"<long>{'l' * 256}</long>" in group
    assert f"<full>{'l' * 2048}</full>" in group
    assert f"<pifu_value>{'l' * 256}</pifu_value>" in group


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("class", '<typevalue level="1">basisgruppe<'),
        ("subject", '<typevalue level="2">undervisningsgruppe<'),
        ("", '<typevalue level="2">undervisningsgruppe<'),
    ],
)
def test_only_a_class_is_a_base_group(kind: str, value: str) -> None:
    assert value in pifu(msgspec.structs.replace(NORWEGIAN, kind=kind))


def test_a_school_is_related_to_its_owner() -> None:
    text = pifu(LEARNING)
    assert '<typevalue level="2">skole</typevalue>' in text
    assert "<id>org-100000008</id>\n      </sourcedid>\n      <label>skoleeier</label>" in text
    assert "pifu_id" not in text
    assert '<pifu_name type="legalName">' in text


def test_a_group_without_parent_is_related_to_itself() -> None:
    text = pifu(msgspec.structs.replace(NORWEGIAN, parent=None))
    assert text.count("<id>group-7</id>") == 2


def test_elements_that_pifu_ims_lacks_are_not_written() -> None:
    text = "".join(map(pifu, EVERYTHING))
    assert not re.search("institutionrole|<org>|orgname|<datasource>|>imsfeed<", text)
