"""Files in PIFU-IMS against our schema, and against the profile's own where it is at hand."""

from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ims.records.model import Record
from ims.records.vocabulary import RecStatus
from ims.xml.dialect import PIFU_NAMESPACE
from ims.xml.schema import problems
from ims.xml.writer import document_parts, fragment, snapshot_parts
from tests.unit.ims.xml.pifu_records import (
    ANNA,
    ANNA_LEARNS,
    EVERYTHING,
    FJORD,
    LEARNING,
    NORWEGIAN,
    PIFU,
    SOURCE,
    TOR,
    TOR_TEACHES,
)
from tests.unit.ims.xml.test_pifu_reader import RECORDS
from tests.unit.ims.xml.test_schema import THEIRS

needs_theirs = pytest.mark.skipif(
    not (THEIRS / "PIFU-IMS_SAS.xsd").exists(), reason="PIFU-IMS's own schema is not beside the checkout"
)

SNAPSHOT = "".join(
    snapshot_parts(PIFU, SOURCE, sorted((record.key, fragment(record, dialect="pifu")) for record in EVERYTHING))
)
CHANGES: list[tuple[Record, RecStatus]] = [
    (ANNA, RecStatus.NEW),
    (msgspec.structs.replace(TOR, given_name="x" * 999, email="tor", login="t" * 999), RecStatus.CHANGED),
    (msgspec.structs.replace(ANNA, id="1001", old_id=None), RecStatus.GONE),
    (msgspec.structs.replace(NORWEGIAN, short="s" * 99, long="l" * 9_999), RecStatus.NEW),
    (LEARNING, RecStatus.CHANGED),
    (FJORD, RecStatus.GONE),
    (TOR_TEACHES, RecStatus.GONE),
    (ANNA_LEARNS, RecStatus.NEW),
]
DELTA_FILE = "".join(
    document_parts(
        msgspec.structs.replace(PIFU, type="delta"),
        SOURCE,
        [(record.key, fragment(record, recstatus, "pifu")) for record, recstatus in CHANGES],
    )
)
EMPTY = "".join(snapshot_parts(PIFU, SOURCE, []))


@cache
def their_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(THEIRS / "PIFU-IMS_SAS.xsd"))


@pytest.mark.parametrize("xml", [SNAPSHOT, DELTA_FILE, EMPTY])
def test_every_file_of_imsfeed_is_valid(xml: str) -> None:
    assert problems(xml.encode()) == []


@needs_theirs
@pytest.mark.parametrize("xml", [SNAPSHOT, DELTA_FILE, EMPTY])
def test_every_file_is_valid_by_the_profiles_own_schema(xml: str) -> None:
    their_schema().assertValid(etree.fromstring(xml.encode()))


@needs_theirs
def test_the_profiles_own_example_is_valid() -> None:
    example = etree.parse(THEIRS / "PIFU-IMS_SAS_eksempel.xml").getroot()
    del example.attrib["{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"]
    assert problems(etree.tostring(example)) == []


INVALID = [
    ("<status>1</status>", "", "role"),
    ("<idtype>1</idtype>", "<idtype>2</idtype>", "idtype"),
    ('roletype="01"', 'roletype="09"', "role"),
    ("<subrole>V</subrole>", "<subrole>voksen</subrole>", "subrole"),
    ('useridtype="feideID"', 'useridtype="login"', "userid"),
    (' useridtype="feideID"', "", "userid"),
    ("<given>Anna</given>", "", "n"),
    ("anna.bo@fjord.no", "anna.bo@fjord", "email"),
    ("</email>", '</email><institutionrole primaryrole="Yes" institutionroletype="Student"/>', "institutionrole"),
    ("</description>", "</description><org><orgname>x</orgname></org>", "org"),
    ("<scheme>pifu-ims-go-grp<", "<scheme>imsfeed<", "scheme"),
    ("basisgruppe", "klasse", "typevalue"),
    ('<relationship relation="1">', '<relationship relation="2">', "relationship"),
    ("B1-dag", "s" * 61, "short"),
    ("<long>Norsk B1 dag", f"<long>{'l' * 257}", "long"),
    ("<full>Norsk B1 dag", f"<full>{'f' * 2049}", "full"),
    ("<source>imsfeed@100000008</source>", f"<source>{'s' * 33}</source>", "source"),
    ("<id>1002</id>", f"<id>{'1' * 257}</id>", "id"),
    ("2026-08-17</begin>", "17.08.2026</begin>", "begin"),
    ("<type>full</type>", "<type>melding</type>", "type"),
    (' lang="no"', "", "properties"),
    ('sourcedidtype="Old"', 'sourcedidtype="Former"', "sourcedid"),
    ("<pifu_unique>1<", "<pifu_unique>2<", "pifu_unique"),
    ('type="organizationNumber"', 'type="orgnr"', "pifu_id"),
    (PIFU_NAMESPACE, "urn:other", "enterprise"),
]


@pytest.mark.parametrize(("written", "instead", "element"), INVALID)
def test_an_invalid_file_is_refused_by_line_and_element(written: str, instead: str, element: str) -> None:
    assert written in SNAPSHOT
    found = problems(SNAPSHOT.replace(written, instead, 1).encode())
    assert found
    assert all(problem.startswith("line ") and "01810012345" not in problem for problem in found)
    assert any(f"<{element}>" in problem for problem in found), found


@needs_theirs
@pytest.mark.parametrize(("written", "instead", "_element"), INVALID)
def test_the_profiles_own_schema_refuses_the_same_files(written: str, instead: str, _element: str) -> None:
    assert not their_schema().validate(etree.fromstring(SNAPSHOT.replace(written, instead, 1).encode()))


@given(st.lists(RECORDS, max_size=3), st.sampled_from([None, *RecStatus]))
def test_any_text_of_the_source_gives_a_valid_file(records: list[Record], status: RecStatus | None) -> None:
    properties = msgspec.structs.replace(PIFU, type="full" if status is None else "delta")
    rows = sorted((record.key, fragment(record, status, "pifu")) for record in records)
    xml = "".join(document_parts(properties, SOURCE, rows)).encode()
    assert problems(xml) == []
    if (THEIRS / "PIFU-IMS_SAS.xsd").exists():
        their_schema().assertValid(etree.fromstring(xml))


def test_a_group_needs_a_relationship() -> None:
    relationship = SNAPSHOT[SNAPSHOT.index("    <relationship") : SNAPSHOT.index("</relationship>") + 16]
    assert problems(SNAPSHOT.replace(relationship, "", 1).encode())


def test_a_late_problem_is_reported_with_its_line() -> None:
    people = [msgspec.structs.replace(TOR, id=f"{number:06}") for number in range(1_200)]
    xml = "".join(
        snapshot_parts(PIFU, SOURCE, ((person.key, fragment(person, dialect="pifu")) for person in people))
    ).replace("<id>001100</id>", "<id>001100</id><id/>")
    line = xml[: xml.index("<id/>")].count("\n") + 1
    assert problems(xml.encode())[0].startswith(f"line {line}: <")
