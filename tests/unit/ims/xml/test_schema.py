"""Files in plain IMS Enterprise against the schema."""

import os
from pathlib import Path

import pytest
from lxml import etree

import ims
from ims.records.vocabulary import RecStatus
from ims.xml.schema import problems
from ims.xml.writer import document_parts, fragment, membership_open, snapshot_parts
from tests.unit.ims.xml.plain_records import (
    ANNA,
    ANNA_LEARNS,
    DELTA,
    EVERYTHING,
    FULL,
    HEAD_XML,
    NORWEGIAN,
    SOURCE,
    TOR,
    TOR_TEACHES,
    rows,
)

THEIRS = Path(os.environ.get("SHARED_SCHEMAS") or Path(ims.__file__).parents[2] / "shared" / "schemas")
"""Where the schemas of others may be; they are not part of imsfeed."""
OTHER_SCHEMA = THEIRS / "ims_epv1p1-vigobas.xsd"

SNAPSHOT = "".join(snapshot_parts(FULL, SOURCE, rows(*EVERYTHING)))
DELTA_FILE = "".join(
    document_parts(
        DELTA,
        SOURCE,
        [
            (ANNA.key, fragment(ANNA, RecStatus.NEW)),
            (TOR.key, fragment(TOR, RecStatus.GONE)),
            (NORWEGIAN.key, fragment(NORWEGIAN, RecStatus.GONE)),
            (TOR_TEACHES.key, fragment(TOR_TEACHES, RecStatus.GONE)),
            (ANNA_LEARNS.key, fragment(ANNA_LEARNS, RecStatus.CHANGED)),
        ],
    )
)
MEMBERSHIP = membership_open(SOURCE, "group-7") + fragment(ANNA_LEARNS) + "  </membership>\n"

FOREIGN = '<y xmlns="urn:y" z="1">any<z/></y>'
EVERY_ELEMENT = """\
<enterprise>
  <comments lang="en">all there is</comments>
  <properties lang="en">
    <comments/><datasource>d</datasource><target>a</target><target>b</target><type>full</type>
    <datetime>2026-08-17T02:00:00+02:00</datetime><extension>x<y xmlns="urn:y" z="1">any<z/></y></extension>
  </properties>
  <person recstatus="1">
    <comments/><sourcedid sourcedidtype="New"><source>s</source><id>1</id></sourcedid>
    <sourcedid sourcedidtype="Old"><source>s</source><id>2</id></sourcedid>
    <userid>u</userid><userid useridtype="t" password="p" pwencryptiontype="e" authenticationtype="a">u</userid>
    <name>
      <fn>f</fn><sort>s</sort><nickname>n</nickname>
      <n>
        <family>f</family><given>g</given><other>o</other><other>o</other><prefix>p</prefix><suffix>s</suffix>
        <partname lang="en" partnametype="t">p</partname>
      </n>
    </name>
    <demographics><gender>1</gender><bday>2000-01-01</bday><disability>d</disability></demographics>
    <email>e</email><url>u</url><tel teltype="Mobile">1</tel><tel>2</tel>
    <adr><pobox>p</pobox><extadd>e</extadd><street>s</street><street>s</street><locality>l</locality>
      <region>r</region><pcode>p</pcode><country>NO</country></adr>
    <photo imgtype="png"><extref>e</extref></photo>
    <systemrole systemroletype="None"/>
    <institutionrole primaryrole="No" institutionroletype="ProspectiveStudent"/>
    <datasource>d</datasource><extension/>
  </person>
  <group recstatus="2">
    <comments/><sourcedid><source>s</source><id>g</id></sourcedid>
    <grouptype><typevalue level="1">a</typevalue><typevalue level="2">b</typevalue></grouptype>
    <grouptype><scheme>s</scheme><typevalue level="1">a</typevalue></grouptype>
    <description><short>s</short><long>l</long><full>f</full></description>
    <org><orgname>o</orgname><orgunit>a</orgunit><orgunit>b</orgunit><type>t</type><id>i</id></org>
    <timeframe><begin restrict="1">2026-08-17</begin><end>2026-12-18</end><adminperiod>H2026</adminperiod></timeframe>
    <enrollcontrol><enrollaccept>1</enrollaccept><enrollallowed>0</enrollallowed></enrollcontrol>
    <email>e</email><url>u</url>
    <relationship relation="3"><sourcedid><source>s</source><id>h</id></sourcedid><label/></relationship>
    <datasource>d</datasource><extension/>
  </group>
  <membership>
    <comments/><sourcedid><source>s</source><id>g</id></sourcedid>
    <member>
      <comments/><sourcedid><source>s</source><id>1</id></sourcedid><idtype>2</idtype>
      <role><status>1</status></role>
      <role roletype="Instructor" recstatus="3">
        <subrole>s</subrole><status>0</status><userid>u</userid><comments/><datetime>2026-08-17</datetime>
        <timeframe/>
        <interimresult resulttype="t">
          <mode>m</mode><values valuetype="0"><list>a</list><list>b</list><min>1</min><max>6</max></values>
          <result>5</result><comments/>
        </interimresult>
        <finalresult><result>6</result></finalresult>
        <email>e</email><datasource>d</datasource><extension/>
      </role>
    </member>
  </membership>
</enterprise>
"""


def in_order(*records: str) -> bytes:
    return (HEAD_XML + "".join(records) + "</enterprise>\n").encode()


@pytest.mark.parametrize("xml", [SNAPSHOT, DELTA_FILE, "".join(snapshot_parts(FULL, SOURCE, []))])
def test_every_file_of_imsfeed_is_valid(xml: str) -> None:
    assert problems(xml.encode()) == []


def test_every_element_of_the_standard_is_known() -> None:
    assert FOREIGN in EVERY_ELEMENT
    assert problems(EVERY_ELEMENT.encode()) == []


def test_a_file_may_be_a_path(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.xml"
    path.write_text(SNAPSHOT.replace("<idtype>1</idtype>", "", 1), encoding="utf-8")
    assert problems(path) == problems(path.read_bytes())
    assert len(problems(path)) == 1


@pytest.mark.parametrize(
    ("written", "instead", "element"),
    [
        ("<status>1</status>", "", "role"),
        ("<status>1</status>", "<status>2</status>", "status"),
        ("<idtype>1</idtype>", "", "role"),
        ("<idtype>1</idtype>", "<idtype>3</idtype>", "idtype"),
        ('roletype="01"', 'roletype="09"', "role"),
        ('roletype="01"', 'roletype="01" recstatus="4"', "role"),
        ('primaryrole="Yes" ', "", "institutionrole"),
        ('institutionroletype="Student"', 'institutionroletype="Pupil"', "institutionrole"),
        ("<fn>Anna Bø</fn>", "", "n"),
        ("<email>", "<email>x</email><email>", "email"),
        ("<short>B1-dag</short>", "", "long"),
        (' level="1"', "", "typevalue"),
        ('<begin restrict="0">2026-08-17</begin>', "<begin>17.08.2026</begin>", "begin"),
        ("<datetime>2026-08-17T00:00:00Z</datetime>", "<datetime>now</datetime>", "datetime"),
        ("<datetime>2026-08-17T00:00:00Z</datetime>", "", "properties"),
        ("<person>", '<person recstatus="4">', "person"),
        ("<person>", '<person id="1">', "person"),
        ("<person>", "<person>01810012345", "person"),
        ("<person>", "<visitor/><person>", "visitor"),
        ("</sourcedid>\n    <userid", "</sourcedid>\n<name/><userid", "userid"),
        ("<enterprise>", '<enterprise id="1">', "enterprise"),
        ("<enterprise>", "<enterprise>01810012345", "enterprise"),
        ("</person>", "</person>01810012345", "enterprise"),
    ],
)
def test_an_invalid_file_is_refused_by_line_and_element(written: str, instead: str, element: str) -> None:
    assert written in SNAPSHOT
    found = problems(SNAPSHOT.replace(written, instead, 1).encode())
    assert found
    assert all(problem.startswith("line ") and "01810012345" not in problem for problem in found)
    assert f"<{element}>" in found[0]


def test_a_problem_is_reported_with_its_line() -> None:
    line = SNAPSHOT[: SNAPSHOT.index("<idtype>1")].count("\n") + 1
    xml = SNAPSHOT.replace("<idtype>1</idtype>", "<idtype>7</idtype>", 1).encode()
    assert problems(xml) == [f"line {line}: <idtype> holds a value that is not allowed"]


@pytest.mark.parametrize(
    "records",
    [
        (MEMBERSHIP, fragment(NORWEGIAN)),
        (fragment(NORWEGIAN), fragment(ANNA)),
        (MEMBERSHIP, fragment(ANNA)),
        (fragment(ANNA), fragment(ANNA_LEARNS)),
        (HEAD_XML.partition("<enterprise>\n")[2],),
    ],
    ids=["group last", "person after group", "person last", "member outside", "two properties"],
)
def test_records_in_the_wrong_order_are_refused(records: tuple[str, ...]) -> None:
    assert problems(in_order(*records))


def test_a_file_without_properties_is_refused() -> None:
    assert problems(b"<enterprise/>") == ["line 1: <enterprise> lacks an element"]


@pytest.mark.parametrize("persons", [498, 499, 500, 501, 999, 1000, 1001, 1002])
def test_the_order_is_checked_in_files_of_any_length(persons: int) -> None:
    many = fragment(TOR) * persons
    assert problems(in_order(many, fragment(NORWEGIAN), MEMBERSHIP)) == []
    assert problems(in_order(many, fragment(NORWEGIAN), fragment(ANNA), MEMBERSHIP))
    assert problems(in_order(many, MEMBERSHIP, fragment(NORWEGIAN)))
    assert problems(in_order(many, HEAD_XML.partition("<enterprise>\n")[2]))


def test_comments_at_the_head_of_a_long_file_are_valid() -> None:
    xml = in_order(fragment(TOR) * 1_200, MEMBERSHIP).replace(b"<enterprise>", b"<enterprise><comments>x</comments>")
    assert problems(xml) == []


def test_at_most_a_hundred_problems_are_reported() -> None:
    assert len(problems(in_order(fragment(TOR).replace("<name>", '<name id="1">') * 300))) == 100


@pytest.mark.parametrize("xml", ["", "text", SNAPSHOT[:-5], SNAPSHOT.replace("Anna", "\x01")])
def test_a_file_that_is_no_xml_is_refused(xml: str) -> None:
    (problem,) = problems(xml.encode())
    assert problem.endswith("not well-formed XML")


def test_a_document_type_is_refused() -> None:
    xml = SNAPSHOT.replace("<enterprise>", '<!DOCTYPE enterprise [<!ENTITY a "b">]><enterprise>')
    assert problems(xml.encode()) == ["line 1: a document type (<!DOCTYPE>) is not allowed"]


@pytest.mark.skipif(not OTHER_SCHEMA.exists(), reason="the schema of another importer is not beside the checkout")
@pytest.mark.parametrize("xml", [SNAPSHOT, DELTA_FILE, EVERY_ELEMENT.replace(FOREIGN, "")])
def test_every_file_is_valid_by_an_importers_own_schema(xml: str) -> None:
    schema = etree.parse(OTHER_SCHEMA).getroot()
    del schema.attrib["targetNamespace"]
    # Without a namespace of its own, references must have none either.
    text = etree.tostring(schema).replace(b' xmlns="http://tempuri.org/ims_epv1p1"', b"")
    etree.XMLSchema(etree.fromstring(text)).assertValid(etree.fromstring(xml.encode()))
