"""Records to XML in PIFU-IMS 1.3.

What plain IMS Enterprise has and PIFU-IMS has not is left out (``institutionrole``, ``org``); what it demands is always
there, in what is gone too: family and given name, a group's type and the group above it. Over-long texts are cut.

Sources: PIFU-IMS 1.3, specification and schema; the order New before Old so that an importer that reads only the first
``sourcedid`` reads the one that holds now.
"""

import re

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, UserId
from ims.records.text import clean_text, truncate_text
from ims.records.vocabulary import GroupLevel, RecStatus, RoleType
from ims.xml import elements, pifu_terms
from ims.xml.elements import block, filled, line, recstatus_attribute, relationship, sourcedid, timeframe


def person(record: PersonRecord, recstatus: RecStatus | None) -> str:
    """A person; of one who is gone neither the old id nor the e-mail address is written."""
    gone = recstatus is RecStatus.GONE
    if record.old_id is None or gone:
        content = sourcedid(2, record.source, record.id)
    else:
        content = sourcedid(2, record.source, record.id, ' sourcedidtype="New"')
        content += sourcedid(2, record.source, record.old_id, ' sourcedidtype="Old"')
    for userid in _userids(record):
        content += line(2, "userid", userid.value, f' useridtype="{userid.type}"')
    full_name = _publish(f"{clean_text(record.given_name)} {clean_text(record.family_name)}")
    parts = line(4, "family", _publish(record.family_name)) + line(4, "given", _publish(record.given_name))
    content += block(2, "name", line(3, "fn", full_name) + block(3, "n", parts))
    email = clean_text(record.email or "")
    if not gone and len(email) <= pifu_terms.LONG_LIMIT and re.fullmatch(pifu_terms.EMAIL, email):
        content += line(2, "email", email)
    return block(1, "person", content, recstatus_attribute(recstatus))


def group(record: GroupRecord, recstatus: RecStatus | None) -> str:
    """A group or organisation."""
    gone = recstatus is RecStatus.GONE
    type_ = pifu_terms.group_type(record)
    grouptype = line(3, "scheme", type_.scheme) + line(3, "typevalue", type_.value, f' level="{type_.level}"')
    description = line(3, "short", _publish(record.short, pifu_terms.SHORT_LIMIT)) + filled(
        3, "long", _publish(record.long)
    )
    if not gone:
        description += filled(3, "full", _publish(record.long, pifu_terms.FULL_LIMIT))
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
    """A person's role in a group."""
    subrole = pifu_terms.SUBROLE_ADULT if record.role is RoleType.LEARNER else None
    return elements.member(record.source, record.person, record.role, recstatus, subrole)


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
        if 0 < len(userid.value) <= pifu_terms.LONG_LIMIT
    ]


def _extension(record: GroupRecord) -> str:
    """Organisation number and name of an owner or school, which the specification makes mandatory."""
    content = ""
    number = clean_text(record.orgnr or "")
    if number:
        # Bare digits: VigoBAS puts the country before them itself.
        id_ = line(4, "pifu_value", number) + line(4, "pifu_scope", "enhetsregisteret") + line(4, "pifu_unique", "1")
        content = block(3, "pifu_id", id_, ' type="organizationNumber"')
    name = line(4, "pifu_value", _publish(clean_text(record.long) or record.short))
    return block(2, "extension", content + block(3, "pifu_name", name, ' type="legalName"'))


def _publish(text: str, limit: int = pifu_terms.LONG_LIMIT) -> str:
    return truncate_text(clean_text(text), limit)
