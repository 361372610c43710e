"""What is taken from whom between what was told and what is so now, and which of it may have to wait for approval.

A fault in the source, or in a setting, looks exactly like many people leaving at once. What would take access away
from too many, or for a reason that no case worker decided on, waits until somebody has looked at it: a **hold**. Only
that waits; whatever is added or changed, and single leavers, go on.

>>> digest(Cause.PERSONS, {17: Loss(gone=True, last=True, groups=("group-8",))}, [])[:12]
'09af97b18353'
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ims.records.model import RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.rules.eligibility import IMMEDIATE
from ims.rules.roster import Roster

NEVER_HELD: Final = IMMEDIATE
"""Reasons to be left out that wait for nobody: a threatened person's safety comes before everybody's access."""

_STAFF: Final = f'institutionroletype="{InstitutionRole.STAFF.value}"'
_INSTRUCTOR: Final = f'roletype="{RoleType.INSTRUCTOR.value}"'


class Cause(StrEnum):
    """Why something waits."""

    PERSONS = "persons"
    """More persons would lose their last membership than the target's limits allow."""
    TEACHERS = "teachers"
    """More teachers would."""
    ID_CHANGES = "id_changes"
    """More persons would change their ``sourcedid/id`` than the limits allow."""
    SETTING = "setting"
    """A changed setting of the target takes it away, no change in the source."""
    RESYNC = "resync"
    """Only a load found it gone: no change event said so."""
    SCHOOL_NUMBER = "school_number"
    """The school has no school number any more; a mistake in one field must not empty a school."""
    INITIAL = "initial"
    """Nothing was ever published to the target."""


class Loss(msgspec.Struct, frozen=True):
    """What a person who was told loses.

    Attributes:
        gone: nobody is told under the person's ``sourcedid/id`` any more.
        last: no membership is left, or the person is gone.
        groups: ``sourcedid/id`` of the groups in which the membership ends, in order.
        id_changed: the ``sourcedid/id`` is another one now.
        teacher: was told as a teacher.
    """

    gone: bool = False
    last: bool = False
    groups: tuple[str, ...] = ()
    id_changed: bool = False
    teacher: bool = False

    def __bool__(self) -> bool:
        return self.gone or bool(self.groups) or self.id_changed

    def within(self, approved: "Loss") -> bool:
        """Whether nothing is lost beyond what was approved."""
        return (
            self.gone <= approved.gone
            and set(self.groups) <= set(approved.groups)
            and self.id_changed <= approved.id_changed
        )


class Waits(msgspec.Struct, frozen=True):
    """A person who waits, or a group whose removal does.

    Attributes:
        loss: what the person loses; of a group, and of a person who only waits for another one's id, nothing.
        own: whether it waits for a reason of its own: not a group whose removal waits because of a member.
        approved: somebody has approved just this since.
    """

    cause: Cause
    loss: Loss = Loss()
    own: bool = True
    approved: bool = False


def losses(published: Mapping[RecordKey, str], published_ids: Mapping[int, str], roster: Roster) -> dict[int, Loss]:
    """What each person loses, by running number; only those who lose something.

    An id that has gone to another running number is not lost: the importer keeps the person and gives nothing up.

    Args:
        published: the texts told of these persons and all their memberships, by key.
        published_ids: the ``sourcedid/id`` that these persons were told under, by running number.
        roster: what is so now of the same persons.
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
    return {
        number: msgspec.structs.replace(loss, teacher=_as_teacher(published, published_ids[number], memberships))
        for number, loss in found.items()
        if loss
    }


def gone_groups(published: Mapping[RecordKey, str], roster: Roster) -> list[str]:
    """``sourcedid/id`` of the groups that were told and are no more."""
    return [key.id for key in published if key.kind is RecordKind.GROUP and key not in roster.records]


def teachers_among(published: Mapping[RecordKey, str]) -> int:
    """How many persons are told as teachers, by these texts told."""
    return len({
        key.member or key.id
        for key, text in published.items()
        if (key.kind is RecordKind.PERSON and _STAFF in text)
        or (key.kind is RecordKind.MEMBERSHIP and _INSTRUCTOR in text)
    })


def digest(cause: Cause, persons: Mapping[int, Loss], groups: Iterable[str]) -> str:
    """SHA-256 of exactly what a hold keeps back, in hexadecimal: what an approval is bound to.

    Persons stand in it by running number; the digest tells nothing that the hold itself does not show.
    """
    taken = [[number, loss.gone, sorted(loss.groups), loss.id_changed] for number, loss in sorted(persons.items())]
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


def _as_teacher(published: Mapping[RecordKey, str], id_: str, memberships: Mapping[str, list[str]]) -> bool:
    """By the institution role, which PIFU-IMS has not, or by being an instructor somewhere.

    The texts are our own (:mod:`ims.xml.writer`), and reading thousands of them whole would keep everybody waiting.
    """
    return _STAFF in published.get(RecordKey(RecordKind.PERSON, id_), "") or any(
        _INSTRUCTOR in published[RecordKey(RecordKind.MEMBERSHIP, group, id_)] for group in memberships.get(id_, ())
    )
