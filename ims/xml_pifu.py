"""Records to XML in PIFU-IMS 1.3.

What plain IMS Enterprise has and PIFU-IMS has not is left out (``institutionrole``, ``org``); what it demands is always
there, in what is gone too: family and given name, a group's type and the group above it. Over-long texts are cut.

Sources: PIFU-IMS 1.3, specification and schema; the order New before Old so that an importer that reads only the first
``sourcedid`` reads the one that holds now.
"""

import re

from lxml import etree

from ims import pifu
from ims.records import GroupRecord, MemberRecord, PersonRecord, UserId
from ims.text import clean_text, cut_text
from ims.vocabulary import GroupLevel, RecStatus, RoleType
from ims.xml_elements import add, add_filled, add_relationship, add_sourcedid, add_timeframe, record_element


def person_element(person: PersonRecord, recstatus: RecStatus | None) -> etree._Element:
    """A person; of one who is gone neither the old id nor the e-mail address is written."""
    element = record_element("person", recstatus)
    gone = recstatus is RecStatus.GONE
    if person.old_id is None or gone:
        add_sourcedid(element, person.source, person.id)
    else:
        add_sourcedid(element, person.source, person.id, sourcedidtype="New")
        add_sourcedid(element, person.source, person.old_id, sourcedidtype="Old")
    for userid in _userids(person):
        add(element, "userid", userid.value, useridtype=userid.type)
    name = etree.SubElement(element, "name")
    add(name, "fn", _cut(f"{clean_text(person.given_name)} {clean_text(person.family_name)}"))
    parts = etree.SubElement(name, "n")
    add(parts, "family", _cut(person.family_name))
    add(parts, "given", _cut(person.given_name))
    email = clean_text(person.email or "")
    if not gone and len(email) <= pifu.LONG_LIMIT and re.fullmatch(pifu.EMAIL, email):
        add(element, "email", email)
    return element


def group_element(group: GroupRecord, recstatus: RecStatus | None) -> etree._Element:
    """A group or organisation."""
    element = record_element("group", recstatus)
    add_sourcedid(element, group.source, group.id)
    type_ = pifu.group_type(group)
    grouptype = etree.SubElement(element, "grouptype")
    add(grouptype, "scheme", type_.scheme)
    add(grouptype, "typevalue", type_.value, level=type_.level)
    gone = recstatus is RecStatus.GONE
    description = etree.SubElement(element, "description")
    add(description, "short", _cut(group.short, pifu.SHORT_LIMIT))
    add_filled(description, "long", _cut(group.long))
    if not gone:
        add_filled(description, "full", _cut(group.long, pifu.FULL_LIMIT))
        add_timeframe(element, group.begin, group.end)
    add_relationship(element, group)
    if group.level is not GroupLevel.GROUP and not gone:
        _add_extension(element, group)
    return element


def member_element(member: MemberRecord, recstatus: RecStatus | None) -> etree._Element:
    """A person's role in a group."""
    element = etree.Element("member")
    add_sourcedid(element, member.source, member.person)
    add(element, "idtype", "1")
    role = etree.SubElement(element, "role", roletype=member.role.value)
    if recstatus is not None:
        role.set("recstatus", str(recstatus.value))
    if member.role is RoleType.LEARNER:
        add(role, "subrole", pifu.SUBROLE_ADULT)
    add(role, "status", "0" if recstatus is RecStatus.GONE else "1")
    return element


def _userids(person: PersonRecord) -> list[UserId]:
    """The login first, then the others; what is empty or too long to be an id is left out.

    A login that is the Feide name is told as that (``feideID``), another one as ``username``: an e-mail address looks
    like a Feide name, and is none.
    """
    login = clean_text(person.login or "")
    others = [UserId(userid.type, clean_text(userid.value)) for userid in person.userids]
    first = UserId("feideID", login)
    if first not in others:
        first = UserId("username", login)
    return [
        userid
        for userid in (first, *(other for other in others if other != first))
        if 0 < len(userid.value) <= pifu.LONG_LIMIT
    ]


def _add_extension(element: etree._Element, group: GroupRecord) -> None:
    """Organisation number and name of an owner or school, which the specification makes mandatory."""
    extension = etree.SubElement(element, "extension")
    number = clean_text(group.orgnr or "")
    if number:
        holder = etree.SubElement(extension, "pifu_id", type="organizationNumber")
        # Bare digits: VigoBAS puts the country before them itself.
        add(holder, "pifu_value", number)
        add(holder, "pifu_scope", "enhetsregisteret")
        add(holder, "pifu_unique", "1")
    name = etree.SubElement(extension, "pifu_name", type="legalName")
    add(name, "pifu_value", _cut(clean_text(group.long) or group.short))


def _cut(text: str, limit: int = pifu.LONG_LIMIT) -> str:
    return cut_text(clean_text(text), limit)
