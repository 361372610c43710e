"""Reads a record back from the text that it was written as, without a parser.

For speed: a large delta removes tens of thousands of records, each of which is known only by its published text. A
record that was read is written again, and the result must be the same text, character by character. Otherwise the text
is left to the parser (:func:`ims.xml.reader.read_fragment`), which also says what is wrong with it. So are texts with
entities, and persons and groups in PIFU-IMS.

>>> from ims.records.vocabulary import RoleType
>>> member = MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.LEARNER)
>>> read_as_written(member.key, fragment(member)) == member
True
"""

import functools
import re
from typing import Final

from ims.records.model import MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.xml.dialect import Dialect
from ims.xml.writer import fragment

_PERSON: Final = re.compile(
    r"  <person>\n"
    r"    <sourcedid>\n      <source>([^<&]*)</source>\n      <id>([^<&]*)</id>\n    </sourcedid>\n"
    r'(?:    <userid useridtype="username">([^<&]*)</userid>\n)?'
    r"    <name>\n      <fn>[^<&]*</fn>\n"
    r"(?:      <n>\n(?:        <family>([^<&]*)</family>\n)?(?:        <given>([^<&]*)</given>\n)?      </n>\n)?"
    r"    </name>\n"
    r"(?:    <email>([^<&]*)</email>\n)?"
    r"((?:    <institutionrole [^<&]*/>\n)*)"
    r"  </person>\n"
)
_MEMBER: Final = re.compile(
    r"    <member>\n"
    r"      <sourcedid>\n        <source>([^<&]*)</source>\n        <id>([^<&]*)</id>\n      </sourcedid>\n"
    r"      <idtype>1</idtype>\n"
    r'      <role roletype="(\d\d)">\n(        <subrole>)?'
)
_ROLE_TYPES: Final = {role.value: role for role in RoleType}
_ROLE: Final = re.compile(r'institutionroletype="(\w+)"')
_INSTITUTION_ROLES: Final = {role.value: role for role in InstitutionRole}


def read_as_written(key: RecordKey, xml: str) -> Record | None:
    """Return the record that :func:`ims.xml.writer.fragment` writes as *xml*; ``None`` if the parser must read it."""
    if key.kind is RecordKind.MEMBERSHIP:
        return _member(xml, key.id, key.member)
    return _person(xml, key.id) if key.kind is RecordKind.PERSON else None


def record_as_written(xml: str, group: str, dialect: Dialect) -> Record | None:
    """Return the person or member that :func:`ims.xml.writer.fragment` writes as *xml* in this dialect, else ``None``.

    Args:
        group: for a member, the ``sourcedid/id`` of its group.
    """
    if xml.startswith("    "):
        return _member(xml, group, dialect=dialect)
    return _person(xml) if dialect == "ims" else None


def _member(xml: str, group: str, person: str | None = None, dialect: Dialect | None = None) -> MemberRecord | None:
    found = _MEMBER.match(xml)
    if found is None or found[3] not in _ROLE_TYPES:
        return None
    record = MemberRecord(found[1], group, found[2] if person is None else person, _ROLE_TYPES[found[3]])
    dialect = dialect or ("pifu" if found[4] else "ims")
    return record if fragment(record, dialect=dialect) == xml else None


def _person(xml: str, person: str | None = None) -> PersonRecord | None:
    found = _PERSON.fullmatch(xml)
    if found is None:
        return None
    source, id_, login, family, given, email, roles = found.groups()
    id_ = id_ if person is None else person
    record = PersonRecord(source, id_, login or None, given or "", family or "", email or None, _roles(roles))
    return record if fragment(record) == xml else None


@functools.lru_cache
def _roles(text: str) -> tuple[InstitutionRole, ...]:
    return tuple(_INSTITUTION_ROLES[role] for role in _ROLE.findall(text) if role in _INSTITUTION_ROLES)
