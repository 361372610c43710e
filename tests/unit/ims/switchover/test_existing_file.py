"""Nightly files as different exporters write them; every number in them is synthetic."""

from io import BytesIO

import pytest

from ims.records.vocabulary import GroupLevel
from ims.switchover.existing_file import (
    OldGroup,
    OldHead,
    OldMembership,
    OldPerson,
    OldUserId,
    read_old_file,
)
from tests.support.builders import a_birth_number, a_duf_number

NUMBER, DUF = a_birth_number(1), a_duf_number(1)

VISMA_LIKE = f"""\ufeff<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE enterprise SYSTEM "http://unreachable.invalid/ims_epv1p1.dtd">
<enterprise xmlns="http://tempuri.org/ims_epv1p1">
  <properties><datasource>voksen@fjordvik</datasource><datetime>2026-10-14T02:00:00</datetime></properties>
  <person recstatus="1">
    <sourcedid><source>voksen@fjordvik</source><id>{NUMBER}</id></sourcedid>
    <userid>ada1@fjordvik.example</userid>
    <email>ada1@example.org</email>
    <name><fn>Åse Testesen</fn><n><given>Åse</given><family>Testesen</family></n></name>
    <institutionrole primaryrole="Yes" institutionroletype="Student"/>
  </person>
  <group>
    <sourcedid><source>voksen@fjordvik</source><id>grp-7</id></sourcedid>
    <description><short>B1</short><long>Norsk B1</long></description>
    <org><orgname>Fjordvik kommune</orgname><orgunit>Fjordvik voksenopplæring</orgunit></org>
  </group>
  <membership>
    <sourcedid><source>voksen@fjordvik</source><id>grp-7</id></sourcedid>
    <member>
      <sourcedid><source>voksen@fjordvik</source><id>{NUMBER}</id></sourcedid>
      <idtype>1</idtype>
      <role roletype="Learner"><status>1</status></role>
    </member>
  </membership>
</enterprise>
"""

CEREBRUM_LIKE = """<?xml version="1.0" encoding="ISO-8859-1"?>
<enterprise>
  <properties><datasource>cerebrum@fjordvik.no</datasource><datetime>2026-10-14</datetime></properties>
  <person recstatus="1">
    <sourcedid><source>cerebrum@fjordvik.no</source><id>åsetest</id></sourcedid>
    <userid password="ldap1:" pwencryptiontype="5">åsetest</userid>
    <email>ase@example.org</email>
    <name><fn>Åse Testesen</fn><n><given>Åse</given><family>Testesen</family></n></name>
  </person>
  <group recstatus="1">
    <sourcedid><source>cerebrum@fjordvik.no</source><id>root</id></sourcedid>
    <grouptype><scheme>FronterStructure1.0</scheme><typevalue level="2"/></grouptype>
    <description><short>Fjordvik</short></description>
    <relationship relation="1">
      <sourcedid><source>cerebrum@fjordvik.no</source><id>root</id></sourcedid><label/>
    </relationship>
  </group>
  <group recstatus="1">
    <sourcedid><source>cerebrum@fjordvik.no</source><id>room-7</id></sourcedid>
    <grouptype><scheme>FronterStructure1.0</scheme><typevalue level="4"/></grouptype>
    <grouptype><scheme>Roomprofile1.0</scheme><typevalue level="1"/></grouptype>
    <description><short></short><long>Norsk B1</long></description>
    <relationship relation="1">
      <sourcedid><source>cerebrum@fjordvik.no</source><id>root</id></sourcedid><label/>
    </relationship>
    <relationship relation="2">
      <sourcedid><source>cerebrum@fjordvik.no</source><id>below</id></sourcedid><label/>
    </relationship>
  </group>
  <membership>
    <sourcedid><source>cerebrum@fjordvik.no</source><id>room-7</id></sourcedid>
    <member>
      <sourcedid><source>cerebrum@fjordvik.no</source><id>åsetest</id></sourcedid>
      <idtype>1</idtype>
      <role roletype="01">
        <status>1</status><subrole>LÆRER</subrole><extension><memberof type="1"/></extension>
      </role>
    </member>
    <member>
      <sourcedid><source>cerebrum@fjordvik.no</source><id>below</id></sourcedid>
      <idtype>2</idtype>
      <role roletype="01"><status>1</status></role>
    </member>
  </membership>
</enterprise>
"""

MOODLE_FIXTURE = """<enterprise>
<person recstatus="1"><sourcedid><source>TestSource</source><id>modern1</id></sourcedid>
<userid>modern1</userid><name><fn>Ada</fn><n><family>Testesen</family><given>Ada</given></n></name>
<email>modern1@example.org</email></person>
<person recstatus="3"><sourcedid><source>TestSource</source><id>gone</id></sourcedid><name><fn>G</fn></name></person>
<group recstatus="1"><sourcedid><source>TestSource</source><id>course1</id></sourcedid>
<description><short>id1</short><long>id1</long></description><org><orgunit>DEFAULT CATNAME</orgunit></org></group>
<group recstatus="3"><sourcedid><source>TestSource</source><id>gone</id></sourcedid></group>
<membership><sourcedid><source>TestSource</source><id>course1</id></sourcedid>
<member><sourcedid><source>TestSource</source><id>modern1</id></sourcedid><idtype>1</idtype>
<role roletype="01" recstatus="1"><userid/><status>1</status></role></member>
<member><sourcedid><source>TestSource</source><id>removed</id></sourcedid><idtype>1</idtype>
<role roletype="01" recstatus="3"><status>1</status></role></member>
<member><sourcedid><source>TestSource</source><id>inactive</id></sourcedid><idtype>1</idtype>
<role roletype="01"><status>0</status></role></member></membership>
<membership><sourcedid><source>TestSource</source><id>course1</id></sourcedid>
<member><sourcedid><source>TestSource</source><id>modern2</id></sourcedid><idtype>1</idtype>
<role roletype="2"><status>1</status></role></member></membership></enterprise>"""


def pifu(namespace: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<pifu:enterprise xmlns:pifu="http://pifu.no/xsd/pifu-ims_sas/{namespace}">
  <pifu:properties lang="no"><pifu:datasource>sats@fjordvik</pifu:datasource><pifu:type>full</pifu:type>
  </pifu:properties>
  <pifu:person>
    <pifu:sourcedid sourcedidtype="Old"><pifu:source>sats@fjordvik</pifu:source><pifu:id>{DUF}</pifu:id>
    </pifu:sourcedid>
    <pifu:sourcedid sourcedidtype="New"><pifu:source>sats@fjordvik</pifu:source><pifu:id>{NUMBER}</pifu:id>
    </pifu:sourcedid>
    <pifu:userid useridtype="personNIN">{NUMBER}</pifu:userid>
    <pifu:userid useridtype="feideID">ada1@fjordvik.example</pifu:userid>
    <pifu:name><pifu:fn>Ada Testesen</pifu:fn>
      <pifu:n><pifu:family>Testesen</pifu:family><pifu:given>Ada</pifu:given></pifu:n></pifu:name>
  </pifu:person>
  <pifu:group>
    <pifu:sourcedid><pifu:source>sats@fjordvik</pifu:source><pifu:id>school-1</pifu:id></pifu:sourcedid>
    <pifu:grouptype><pifu:scheme>pifu-ims-go-org</pifu:scheme><pifu:typevalue level="2">skole</pifu:typevalue>
    </pifu:grouptype>
    <pifu:description><pifu:short>Fjordvik vo</pifu:short></pifu:description>
  </pifu:group>
</pifu:enterprise>""".encode()


def records(file: bytes | str) -> list[object]:
    return [*read_old_file(BytesIO(file.encode() if isinstance(file, str) else file))]


def test_a_visma_like_file_is_read() -> None:
    assert records(VISMA_LIKE) == [
        OldHead("ims"),
        OldPerson(
            "voksen@fjordvik",
            (NUMBER,),
            (OldUserId("", "ada1@fjordvik.example"),),
            "Åse",
            "Testesen",
            "Åse Testesen",
            "ada1@example.org",
        ),
        OldGroup(
            "voksen@fjordvik",
            ("grp-7",),
            ("B1", "Norsk B1"),
            "Fjordvik voksenopplæring",
            (),
            GroupLevel.GROUP,
        ),
        OldMembership("grp-7", NUMBER, "01", "voksen@fjordvik", "voksen@fjordvik"),
    ]


def test_a_cerebrum_like_file_is_read() -> None:
    head, person, root, room, member = records(CEREBRUM_LIKE.encode("iso-8859-1"))
    assert head == OldHead("ims")
    assert isinstance(person, OldPerson)
    assert (person.ids, person.given_name, person.email) == (("åsetest",), "Åse", "ase@example.org")
    assert isinstance(root, OldGroup)
    assert (root.parents, root.level) == (("root",), GroupLevel.GROUP)
    assert isinstance(room, OldGroup)
    assert (room.names, room.parents, room.level) == (("Norsk B1",), ("root",), GroupLevel.GROUP)
    assert member == OldMembership("room-7", "åsetest", "02", "cerebrum@fjordvik.no", "cerebrum@fjordvik.no")


def test_a_wis_like_file_in_another_order_is_read() -> None:
    file = f"""<?xml version='1.0' encoding='iso-8859-1' standalone='yes'?>
    <enterprise><membership><member>
      <role roletype="02"><status>1</status></role><idtype>1</idtype>
      <sourcedid><id>{NUMBER}</id><source>wis</source></sourcedid></member>
      <sourcedid><id>8A</id><source>wis</source></sourcedid></membership>
      <group><description><full>Klasse 8A</full></description>
      <sourcedid><id>8A</id><source>wis</source></sourcedid></group>
      <person><userid useridtype="personNIN">{NUMBER}</userid>
      <name><n><given>Ada</given><family>Sørum</family></n></name>
      <sourcedid><id>{NUMBER}</id><source>wis</source></sourcedid></person></enterprise>"""
    _, member, group, person = records(file.encode("iso-8859-1"))
    assert member == OldMembership("8A", NUMBER, "02", "wis", "wis")
    assert isinstance(group, OldGroup)
    assert (group.source, group.ids, group.names) == ("wis", ("8A",), ("Klasse 8A",))
    assert isinstance(person, OldPerson)
    assert (person.family_name, person.userids) == ("Sørum", (OldUserId("personnin", NUMBER),))


@pytest.mark.parametrize("namespace", ["pifu-ims_sas-1.1", "pifu-ims_sas-1.2", "pifu-ims_sas-v1"])
def test_every_version_of_pifu_is_read(namespace: str) -> None:
    head, person, school = records(pifu(namespace))
    assert head == OldHead("pifu")
    assert isinstance(person, OldPerson)
    assert person.ids == (NUMBER, DUF)
    assert person.userids == (OldUserId("personnin", NUMBER), OldUserId("feideid", "ada1@fjordvik.example"))
    assert isinstance(school, OldGroup)
    assert school.level is GroupLevel.SCHOOL


def test_a_moodle_fixture_is_read_without_removed_records() -> None:
    found = records(MOODLE_FIXTURE)
    assert [record for record in found if isinstance(record, OldMembership)] == [
        OldMembership("course1", "modern1", "01", "TestSource", "TestSource"),
        OldMembership("course1", "modern2", "02", "TestSource", "TestSource"),
    ]
    assert [record.ids for record in found if isinstance(record, OldPerson | OldGroup)] == [("modern1",), ("course1",)]


@pytest.mark.parametrize(
    ("roletype", "role"),
    [
        ("", "01"),
        ('roletype="Instructor"', "02"),
        ('roletype="Content Developer"', "03"),
        ('roletype="7"', "07"),
        ('roletype="kontakt"', "kontakt"),
    ],
)
def test_a_role_may_be_a_name_or_a_code(roletype: str, role: str) -> None:
    file = f"""<enterprise><membership><sourcedid><id>g</id></sourcedid><member><sourcedid><id>p</id></sourcedid>
    <role {roletype}><status>1</status></role></member></membership></enterprise>"""
    assert records(file)[1:] == [OldMembership("g", "p", role)]


def test_the_first_active_role_counts() -> None:
    file = """<enterprise><membership><sourcedid><id>g</id></sourcedid><member><sourcedid><id>p</id></sourcedid>
    <role roletype="01" recstatus="3"><status>0</status></role><role roletype="02"><status>1</status></role>
    <role roletype="01"><status>1</status></role></member></membership></enterprise>"""
    assert records(file)[1:] == [OldMembership("g", "p", "02")]


def test_a_removed_member_is_skipped() -> None:
    file = """<enterprise><membership><sourcedid><id>g</id></sourcedid><member recstatus="3"><sourcedid><id>p</id>
    </sourcedid><role roletype="01"><status>1</status></role></member></membership></enterprise>"""
    assert records(file)[1:] == []


def test_comments_and_extensions_are_ignored() -> None:
    file = """<enterprise><!-- <person/> --><person><sourcedid><id>1<!-- x -->2</id></sourcedid>
    <extension><person><sourcedid><id>contact</id></sourcedid></person></extension></person></enterprise>"""
    found = [record for record in records(file) if isinstance(record, OldPerson)]
    assert [person.ids for person in found] == [("12",)]


class Endless(BytesIO):
    """A file that is made while it is read; ``left`` is the number of persons not yet made."""

    def __init__(self, persons: int) -> None:
        super().__init__()
        self.left = persons
        self.rest = b"<enterprise>"

    def read(self, size: int | None = -1) -> bytes:
        size = size or 0
        while self.left and len(self.rest) < size:
            person = f"<person><sourcedid><source>s</source><id>{self.left}</id></sourcedid>{'<x/>' * 50}</person>"
            self.rest += person.encode()
            self.left -= 1
            if not self.left:
                self.rest += b"</enterprise>"
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


def test_records_are_read_as_a_stream() -> None:
    file = Endless(persons=5_000)
    reading = read_old_file(file)
    next(reading)
    next(reading)
    assert file.left > 4_000
    assert sum(1 for _ in reading) == 4_999
