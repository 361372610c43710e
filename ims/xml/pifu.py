"""Writes records as XML in PIFU-IMS 1.3.

Elements of plain IMS Enterprise that PIFU-IMS does not have are omitted (``institutionrole``, ``org``). Those that
PIFU-IMS requires are always written, for removed records too: family and given name, a group's type and the group above
it. Texts that are too long are truncated.

Source: PIFU-IMS 1.3, specification and schema. New comes before Old, so that an importer that reads only the first
``sourcedid`` reads the current one.
"""

import re

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, UserId
from ims.records.text import clean_text, truncate_text
from ims.records.vocabulary import GroupLevel, RecStatus, RoleType
from ims.xml import elements, pifu_terms
from ims.xml.elements import block, line, optional_line, recstatus_attribute, relationship, sourcedid, timeframe


def person(record: PersonRecord, recstatus: RecStatus | None) -> str:
    """Return a person's element; for a removed person without the old id and the e-mail address."""
    gone = recstatus is RecStatus.GONE
    if record.old_id is None or gone:
        content = sourcedid(2, record.source, record.id)
    else:
        content = sourcedid(2, record.source, record.id, ' sourcedidtype="New"')
        content += sourcedid(2, record.source, record.old_id, ' sourcedidtype="Old"')
    for userid in _userids(record):
        content += line(2, "userid", userid.value, f' useridtype="{userid.type}"')
    full_name = _truncated(f"{clean_text(record.given_name)} {clean_text(record.family_name)}")
    parts = line(4, "family", _truncated(record.family_name)) + line(4, "given", _truncated(record.given_name))
    content += block(2, "name", line(3, "fn", full_name) + block(3, "n", parts))
    email = clean_text(record.email or "")
    if not gone and len(email) <= pifu_terms.LONG_LIMIT and re.fullmatch(pifu_terms.EMAIL, email):
        content += line(2, "email", email)
    return block(1, "person", content, recstatus_attribute(recstatus))


def group(record: GroupRecord, recstatus: RecStatus | None) -> str:
    """Return the element of a group or organisation."""
    gone = recstatus is RecStatus.GONE
    type_ = pifu_terms.group_type(record)
    grouptype = line(3, "scheme", type_.scheme) + line(3, "typevalue", type_.value, f' level="{type_.level}"')
    description = line(3, "short", _truncated(record.short, pifu_terms.SHORT_LIMIT))
    description += optional_line(3, "long", _truncated(record.long))
    if not gone:
        description += optional_line(3, "full", _truncated(record.long, pifu_terms.FULL_LIMIT))
    content = (
        sourcedid(2, record.source, record.id)
        + block(2, "grouptype", grouptype)
        + block(2, "description", description)
        + ("" if gone else timeframe(2, record.begin, record.end))
        + relationship(2, record)
    )
    if record.level is not GroupLevel.GROUP and not gone:
        content += _extension(record)
    return block(1, "group", content, recstatus_attribute(recstatus))


def member(record: MemberRecord, recstatus: RecStatus | None) -> str:
    """Return the element of a person's role in a group."""
    subrole = pifu_terms.SUBROLE_ADULT if record.role is RoleType.LEARNER else None
    return elements.member(record.source, record.person, record.role, recstatus, subrole)


def _userids(person: PersonRecord) -> list[UserId]:
    """Return the login first, then the others, without those that are empty or too long.

    A login that is the Feide name is written as ``feideID``, another one as ``username``: an e-mail address looks like
    a Feide name but is not one.
    """
    login = clean_text(person.login or "")
    others = [UserId(userid.type, clean_text(userid.value)) for userid in person.userids]
    first = UserId("feideID", login)
    if first not in others:
        first = UserId("username", login)
    return [
        userid
        for userid in (first, *(other for other in others if other != first))
        if 0 < len(userid.value) <= pifu_terms.LONG_LIMIT
    ]


def _extension(record: GroupRecord) -> str:
    """Return the organisation number and name of an owner or school, which the specification requires."""
    content = ""
    number = clean_text(record.orgnr or "")
    if number:
        # Digits alone: VigoBAS itself puts the country code before them.
        id_ = line(4, "pifu_value", number) + line(4, "pifu_scope", "enhetsregisteret") + line(4, "pifu_unique", "1")
        content = block(3, "pifu_id", id_, ' type="organizationNumber"')
    name = line(4, "pifu_value", _truncated(clean_text(record.long) or record.short))
    return block(2, "extension", content + block(3, "pifu_name", name, ' type="legalName"'))


def _truncated(text: str, limit: int = pifu_terms.LONG_LIMIT) -> str:
    return truncate_text(clean_text(text), limit)
