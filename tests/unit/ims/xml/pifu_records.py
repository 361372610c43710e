"""Records of one small school for the tests in PIFU-IMS, and how they are written."""

import msgspec

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, UserId
from ims.records.vocabulary import GroupLevel, InstitutionRole, RoleType
from ims.xml.writer import Properties
from tests.unit.ims.xml.plain_records import FULL

SOURCE = "imsfeed@100000008"
ANNA = PersonRecord(
    SOURCE,
    "01810012345",
    "anna@fjord.no",
    "Anna",
    "Bø",
    "anna.bo@fjord.no",
    (InstitutionRole.STUDENT,),
    (UserId("personNIN", "01810012345"), UserId("feideID", "anna@fjord.no"), UserId("personLIN", "7")),
    old_id="1001",
)
TOR = PersonRecord(SOURCE, "1002", "tor@fjord.no", "Tor", "Li", None, (InstitutionRole.STAFF,))
FJORD = GroupRecord(
    SOURCE,
    "org-100000008",
    "skoleeier",
    "Fjord",
    "Fjord kommune",
    "Fjord kommune",
    "",
    None,
    None,
    level=GroupLevel.OWNER,
    parent="org-100000008",
    orgnr="100000008",
)
LEARNING = msgspec.structs.replace(
    FJORD, id="school-90001", short="Fjord (90001)", long="Fjord læring", level=GroupLevel.SCHOOL, orgnr=None
)
NORWEGIAN = GroupRecord(
    SOURCE,
    "group-7",
    "class",
    "B1-dag",
    "Norsk B1 dag",
    "Fjord kommune",
    "Fjord læring",
    "2026-08-17",
    "2026-12-18",
    parent="school-90001",
)
ANNA_LEARNS = MemberRecord(SOURCE, "group-7", ANNA.id, RoleType.LEARNER)
TOR_TEACHES = MemberRecord(SOURCE, "group-7", TOR.id, RoleType.INSTRUCTOR)
EVERYTHING: list[Record] = [ANNA, TOR, NORWEGIAN, FJORD, LEARNING, ANNA_LEARNS, TOR_TEACHES]
PIFU: Properties = msgspec.structs.replace(FULL, dialect="pifu")

ANNA_XML = """\
  <person>
    <sourcedid sourcedidtype="New">
      <source>imsfeed@100000008</source>
      <id>01810012345</id>
    </sourcedid>
    <sourcedid sourcedidtype="Old">
      <source>imsfeed@100000008</source>
      <id>1001</id>
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
    <email>anna.bo@fjord.no</email>
  </person>
"""
FJORD_XML = """\
  <group>
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
      <full>Fjord kommune</full>
    </description>
    <relationship relation="1">
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>org-100000008</id>
      </sourcedid>
      <label>skoleeier</label>
    </relationship>
    <extension>
      <pifu_id type="organizationNumber">
        <pifu_value>100000008</pifu_value>
        <pifu_scope>enhetsregisteret</pifu_scope>
        <pifu_unique>1</pifu_unique>
      </pifu_id>
      <pifu_name type="legalName">
        <pifu_value>Fjord kommune</pifu_value>
      </pifu_name>
    </extension>
  </group>
"""
NORWEGIAN_XML = """\
  <group>
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>group-7</id>
    </sourcedid>
    <grouptype>
      <scheme>pifu-ims-go-grp</scheme>
      <typevalue level="1">basisgruppe</typevalue>
    </grouptype>
    <description>
      <short>B1-dag</short>
      <long>Norsk B1 dag</long>
      <full>Norsk B1 dag</full>
    </description>
    <timeframe>
      <begin restrict="0">2026-08-17</begin>
      <end restrict="0">2026-12-18</end>
    </timeframe>
    <relationship relation="1">
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>school-90001</id>
      </sourcedid>
      <label>skole</label>
    </relationship>
  </group>
"""
ANNA_LEARNS_XML = """\
    <member>
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>01810012345</id>
      </sourcedid>
      <idtype>1</idtype>
      <role roletype="01">
        <subrole>V</subrole>
        <status>1</status>
      </role>
    </member>
"""
