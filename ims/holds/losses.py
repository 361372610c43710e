"""What each person loses between the published and the current state, and the causes for which a loss may wait.

A fault in the source, or in a setting, looks exactly like many persons leaving in one step. A removal that takes access
from too many persons, or for a reason that no case worker decided on, waits for an approval: a **hold**. Nothing else
waits: additions, changes and single leavers are published.

>>> digest(Cause.PERSONS, {17: Loss(gone=True, last=True, groups=("group-8",))}, [])[:12]
'09af97b18353'
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ims.records.logins import published_login
from ims.records.model import PersonRecord, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.rules.eligibility import IMMEDIATE
from ims.rules.roster import Roster
from ims.xml.reader import read_fragment

NEVER_HELD: Final = IMMEDIATE
"""Exclusion reasons that never wait: a threatened person's safety comes before all other persons' access."""

_STAFF: Final = f'institutionroletype="{InstitutionRole.STAFF.value}"'
_INSTRUCTOR: Final = f'roletype="{RoleType.INSTRUCTOR.value}"'


class Cause(StrEnum):
    """Why a removal waits."""

    PERSONS = "persons"
    """More persons would lose their last membership than the target's limits allow."""
    TEACHERS = "teachers"
    """More teachers would lose their last membership than the limits allow."""
    ID_CHANGES = "id_changes"
    """The ``sourcedid/id`` of more persons would change than the limits allow."""
    LOGINS = "logins"
    """The login of more persons would change, or be taken away, than the limits allow."""
    MEMBERSHIPS = "memberships"
    """More memberships that are not a person's last would end than the limits allow."""
    TEACHER_MEMBERSHIPS = "teacher_memberships"
    """More such memberships of teachers would end than the limits allow."""
    GROUPS = "groups"
    """More groups would be removed, or published under another id, than the limits allow."""
    SETTING = "setting"
    """A changed setting of the target causes the removal, no change in the source."""
    RESYNC = "resync"
    """A load no longer found the row, and no change event said that it was deleted."""
    SCHOOL_NUMBER = "school_number"
    """The school no longer has a school number; a mistake in one field must not empty a school."""
    INITIAL = "initial"
    """Nothing was ever published to the target."""


class Loss(msgspec.Struct, frozen=True):
    """What a published person loses.

    Attributes:
        gone: no person has the published ``sourcedid/id`` any more.
        last: no membership is left, or the person is gone.
        groups: ``sourcedid/id`` of the groups in which the membership ends, in order.
        id_changed: the ``sourcedid/id`` is another one now.
        teacher: was published as a teacher.
        login_changed: was published with a login, and has another one or none now; the person stays.
    """

    gone: bool = False
    last: bool = False
    groups: tuple[str, ...] = ()
    id_changed: bool = False
    teacher: bool = False
    login_changed: bool = False

    def __bool__(self) -> bool:
        return self.gone or bool(self.groups) or self.id_changed or self.login_changed

    @property
    def only_login(self) -> bool:
        """Return True if nothing but the login is another one."""
        return self.login_changed and not (self.gone or self.groups or self.id_changed)

    def within(self, approved: "Loss") -> bool:
        """Return True if nothing is lost beyond what was approved."""
        return (
            self.gone <= approved.gone
            and set(self.groups) <= set(approved.groups)
            and self.id_changed <= approved.id_changed
            and self.login_changed <= approved.login_changed
        )


class HoldEntry(msgspec.Struct, frozen=True):
    """A person on hold, or a group whose removal is.

    Attributes:
        loss: what the person loses; empty for a group, and for a person who only shares an id with another.
        own: False for a group whose removal waits only because a member is held, and for a person held only because of
            a shared id.
        approved: an operator has since approved exactly this loss.
    """

    cause: Cause
    loss: Loss = Loss()
    own: bool = True
    approved: bool = False


def losses(published: Mapping[RecordKey, str], published_ids: Mapping[int, str], roster: Roster) -> dict[int, Loss]:
    """Return what each person loses, by running number; only persons who lose something.

    An id that has gone to another running number is not lost: the importer keeps the person and takes nothing away.

    Args:
        published: the texts published of these persons and of all their memberships, by key.
        published_ids: the ``sourcedid/id`` that these persons are published under, by running number.
        roster: the current roster of the same persons.
    """
    memberships: dict[str, list[str]] = defaultdict(list)
    for key in published:
        if key.kind is RecordKind.MEMBERSHIP:
            memberships[key.member].append(key.id)
    ids = roster.person_ids
    members = {key.member for key in roster.records}
    found = {
        number: _loss(id_, ids.get(number), memberships.get(id_, ()), roster, members)
        for number, id_ in published_ids.items()
    }
    for number, id_ in published_ids.items():
        if ids.get(number) == id_ and _has_other_login(id_, published, roster):
            found[number] = msgspec.structs.replace(found[number], login_changed=True)
    return {
        number: msgspec.structs.replace(loss, teacher=_as_teacher(published, published_ids[number], memberships))
        for number, loss in found.items()
        if loss
    }


def gone_groups(published: Mapping[RecordKey, str], roster: Roster) -> list[str]:
    """Return ``sourcedid/id`` of the published groups that are no longer in the roster."""
    return [key.id for key in published if key.kind is RecordKind.GROUP and key not in roster.records]


def count_teachers(published: Mapping[RecordKey, str]) -> int:
    """Return how many persons these published texts name as teachers."""
    return len({
        key.member or key.id
        for key, text in published.items()
        if (key.kind is RecordKind.PERSON and _STAFF in text)
        or (key.kind is RecordKind.MEMBERSHIP and _INSTRUCTOR in text)
    })


def count_taught(published: Mapping[RecordKey, str]) -> int:
    """Return how many of these published memberships are an instructor's."""
    return sum(key.kind is RecordKind.MEMBERSHIP and _INSTRUCTOR in text for key, text in published.items())


def digest(cause: Cause, persons: Mapping[int, Loss], groups: Iterable[str]) -> str:
    """Return the SHA-256, in hexadecimal, of exactly what a hold keeps back; an approval is bound to it.

    Persons are in it by running number; the digest discloses nothing that the hold itself does not show.
    """
    taken = [
        [number, loss.gone, sorted(loss.groups), loss.id_changed, *(["login"] if loss.login_changed else [])]
        for number, loss in sorted(persons.items())
    ]
    canonical = msgspec.json.encode([cause.value, taken, sorted(groups)])
    return hashlib.sha256(canonical).hexdigest()


def _loss(id_: str, now: str | None, groups: Iterable[str], roster: Roster, members: set[str]) -> Loss:
    current = now or id_
    gone = now is None and RecordKey(RecordKind.PERSON, id_) not in roster.records
    groups = sorted(groups)
    return Loss(
        gone=gone,
        last=gone or (bool(groups) and current not in members),
        groups=tuple(g for g in groups if RecordKey(RecordKind.MEMBERSHIP, g, current) not in roster.records),
        id_changed=now is not None and now != id_,
    )


def _has_other_login(id_: str, published: Mapping[RecordKey, str], roster: Roster) -> bool:
    """Return True if a person who stays under this id was published with a login, and has another one or none now."""
    key = RecordKey(RecordKind.PERSON, id_)
    text, now = published.get(key), roster.records.get(key)
    if text is None or not isinstance(now, PersonRecord):
        return False
    before = published_login(text)
    if before is None or (now.login is not None and before == now.login.casefold()):
        return False
    record = read_fragment(key, text)  # what the text alone shows depends on the dialect
    login = record.login if isinstance(record, PersonRecord) else None
    return login is not None and (now.login is None or login.casefold() != now.login.casefold())


def _as_teacher(published: Mapping[RecordKey, str], id_: str, memberships: Mapping[str, list[str]]) -> bool:
    """Return True if the person has a teacher's institution role (PIFU-IMS has none), or is an instructor in a group.

    Searches the texts instead of parsing them: they are our own (:mod:`ims.xml.writer`), and parsing thousands of them
    would delay the delta.
    """
    return _STAFF in published.get(RecordKey(RecordKind.PERSON, id_), "") or any(
        _INSTRUCTOR in published[RecordKey(RecordKind.MEMBERSHIP, group, id_)] for group in memberships.get(id_, ())
    )
