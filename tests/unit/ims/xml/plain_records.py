"""Records of one small school for the tests in plain IMS Enterprise, and how they are written."""

from datetime import UTC, datetime

import msgspec

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RoleType
from ims.xml.writer import Properties, fragment

SOURCE = "imsfeed@100000008"
ANNA = PersonRecord(
    SOURCE, "01810012345", "anna@fjord.no", "Anna", "Bø", "anna.bo@fjord.no", (InstitutionRole.STUDENT,)
)
TOR = PersonRecord(SOURCE, "1002", "tor@fjord.no", "Tor", "Li", None, (InstitutionRole.STAFF, InstitutionRole.STUDENT))
NORWEGIAN = GroupRecord(
    SOURCE, "group-7", "class", "B1-dag", "Norsk B1 dag", "Fjord kommune", "Fjord læring", "2026-08-17", "2026-12-18"
)
ANNA_LEARNS = MemberRecord(SOURCE, "group-7", ANNA.id, RoleType.LEARNER)
TOR_TEACHES = MemberRecord(SOURCE, "group-7", TOR.id, RoleType.INSTRUCTOR)
EVERYTHING: list[Record] = [ANNA, TOR, NORWEGIAN, ANNA_LEARNS, TOR_TEACHES]
FULL = Properties(SOURCE, "lms", "full", datetime(2026, 8, 17, 0, 0, 0, tzinfo=UTC))
DELTA = msgspec.structs.replace(FULL, type="delta")

ANNA_XML = """\
  <person>
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
    <email>anna.bo@fjord.no</email>
    <institutionrole primaryrole="Yes" institutionroletype="Student"/>
  </person>
"""
NORWEGIAN_XML = """\
  <group>
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>group-7</id>
    </sourcedid>
    <grouptype>
      <scheme>imsfeed</scheme>
      <typevalue level="1">class</typevalue>
    </grouptype>
    <description>
      <short>B1-dag</short>
      <long>Norsk B1 dag</long>
      <full>Norsk B1 dag</full>
    </description>
    <org>
      <orgname>Fjord kommune</orgname>
      <orgunit>Fjord læring</orgunit>
    </org>
    <timeframe>
      <begin restrict="0">2026-08-17</begin>
      <end restrict="0">2026-12-18</end>
    </timeframe>
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
        <status>1</status>
      </role>
    </member>
"""
HEAD_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<enterprise>
  <properties lang="no">
    <datasource>imsfeed@100000008</datasource>
    <target>lms</target>
    <type>full</type>
    <datetime>2026-08-17T00:00:00Z</datetime>
  </properties>
"""


def rows(*records: Record) -> list[tuple[RecordKey, str]]:
    return sorted((record.key, fragment(record)) for record in records)
