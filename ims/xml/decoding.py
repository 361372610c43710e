"""Decodes the elements of a file, in either dialect, into records; errors name elements, never their contents."""

from typing import NamedTuple

from lxml import etree

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, UserId
from ims.records.vocabulary import IDTYPE_PERSON, GroupLevel, InstitutionRole, RecStatus, RoleType
from ims.xml import pifu_terms
from ims.xml.shapes import error_at
from ims.xml.writer import SCHEME


class ReadRecord(NamedTuple):
    """A record of a file, and its recstatus: ``None`` in a snapshot.

    Fields that :func:`ims.xml.writer.fragment` does not write, for a removed record or in this dialect, are empty.
    """

    record: Record
    recstatus: RecStatus | None


def record_of(element: etree._Element, group: str) -> ReadRecord:
    """Return the record of an element that has been checked against the shapes of a dialect.

    Args:
        element: a person, group or member, without namespace.
        group: the ``sourcedid/id`` of a member's group.

    Raises:
        FeedError: the element lacks something, or its parts contradict each other.
    """
    holder = element.find("role") if element.tag == "member" else element
    number = None if holder is None else holder.get("recstatus")
    recstatus = None if number is None else RecStatus(int(number))
    if element.tag == "person":
        return ReadRecord(_person(element), recstatus)
    if element.tag == "group":
        return ReadRecord(_group(element), recstatus)
    return ReadRecord(_member(element, group, gone=recstatus is RecStatus.GONE), recstatus)


def _person(element: etree._Element) -> PersonRecord:
    roles = element.findall("institutionrole")
    if [role.get("primaryrole") for role in roles] != ["No" if number else "Yes" for number in range(len(roles))]:
        raise error_at(element, "its first institutionrole, and no other, must be the primary one")
    text_at(element, "name/fn")
    source, id_, old_id = _person_ids(element)
    login, userids = _userids(element)
    return PersonRecord(
        source=source,
        id=id_,
        login=login,
        given_name=element.findtext("name/n/given", ""),
        family_name=element.findtext("name/n/family", ""),
        email=element.findtext("email") or None,
        roles=tuple(InstitutionRole(_attribute(role, "institutionroletype")) for role in roles),
        userids=userids,
        old_id=old_id,
    )


def _person_ids(element: etree._Element) -> tuple[str, str, str | None]:
    """Return source and id of a person, and the previous id, if any."""
    old = element.find("sourcedid[@sourcedidtype='Old']")
    if old is None:
        return *sourcedid_of(element), None
    new, *others = element.iterfind("sourcedid")
    if new.get("sourcedidtype") != "New" or others != [old] or text_at(new, "source") != text_at(old, "source"):
        raise error_at(element, "its sourcedid must be one, or a new and then an old one of the same source")
    return text_at(new, "source"), text_at(new, "id"), text_at(old, "id")


def sourcedid_of(element: etree._Element) -> tuple[str, str]:
    """Return source and id of an element that has no previous id.

    Raises:
        FeedError: the element lacks them, or has a previous one.
    """
    if any(sourcedid.attrib for sourcedid in element.iterfind("sourcedid")) or len(element.findall("sourcedid")) > 1:
        raise error_at(element, "must have one sourcedid, without a type")
    return text_at(element, "sourcedid/source"), text_at(element, "sourcedid/id")


def _userids(element: etree._Element) -> tuple[str | None, tuple[UserId, ...]]:
    """Return the login, which comes first if there is one, and the additional userids; a Feide name is both."""
    found = [UserId(_attribute(userid, "useridtype"), userid.text or "") for userid in element.iterfind("userid")]
    if any(userid.type == "username" for userid in found[1:]):
        raise error_at(element, "its user name must be its first userid")
    login = found[0].value if found and found[0].type in {"username", "feideID"} else None
    return login or None, tuple(userid for userid in found if userid.type != "username")


def _group(element: etree._Element) -> GroupRecord:
    source, id_ = sourcedid_of(element)
    level, kind = _level_and_kind(element)
    return GroupRecord(
        source=source,
        id=id_,
        kind=kind,
        short=text_at(element, "description/short"),
        # A name that is truncated in <long> may be complete in <full>.
        long=element.findtext("description/full") or element.findtext("description/long") or "",
        owner_name=element.findtext("org/orgname", ""),
        school_name=element.findtext("org/orgunit", ""),
        begin=element.findtext("timeframe/begin") or None,
        end=element.findtext("timeframe/end") or None,
        level=level,
        parent=element.findtext("relationship/sourcedid/id"),
        orgnr=element.findtext("extension/pifu_id/pifu_value"),
    )


def _level_and_kind(element: etree._Element) -> tuple[GroupLevel, str]:
    scheme, value = element.findtext("grouptype/scheme", SCHEME), element.find("grouptype/typevalue")
    if value is None or scheme == SCHEME:
        return GroupLevel.GROUP, element.findtext("grouptype/typevalue", "")
    type_ = pifu_terms.GroupType(scheme, _attribute(value, "level"), value.text or "")
    level = next((level for level, own in pifu_terms.ORGANISATIONS.items() if own == type_), GroupLevel.GROUP)
    if level is GroupLevel.GROUP and type_ not in {pifu_terms.BASE_GROUP, pifu_terms.TEACHING_GROUP}:
        raise error_at(element, "a grouptype that imsfeed does not write")
    return level, pifu_terms.CLASS if type_ == pifu_terms.BASE_GROUP else ""


def _member(element: etree._Element, group: str, *, gone: bool) -> MemberRecord:
    role = element.find("role")
    if role is None or text_at(element, "idtype") != IDTYPE_PERSON:
        raise error_at(element, "not a person (idtype 1) with a role")
    if text_at(role, "status") != ("0" if gone else "1"):
        raise error_at(role, "its status contradicts its recstatus")
    source, person = sourcedid_of(element)
    type_ = RoleType(_attribute(role, "roletype"))
    if role.find("subrole") is not None and (type_, role.findtext("subrole")) != (
        RoleType.LEARNER,
        pifu_terms.SUBROLE_ADULT,
    ):
        raise error_at(role, "a subrole that imsfeed does not write")
    return MemberRecord(source, group, person, type_)


def text_at(element: etree._Element, path: str) -> str:
    """Return the text of the first element at a path.

    Raises:
        FeedError: there is no such element.
    """
    text = element.findtext(path)
    if text is None:
        raise error_at(element, f"lacks {path}")
    return text


def _attribute(element: etree._Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise error_at(element, f"lacks the attribute {name}")
    return str(value)
