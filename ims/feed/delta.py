"""The difference between what has been published to a target and the current state, as a delta file.

A delta carries whole records, not patches. recstatus says what happened: 1 new, 2 changed, 3 removed. A delta applied
to the published state gives the current state; hence snapshot + deltas == next snapshot (:mod:`ims.feed.verification`).

>>> from ims.records.vocabulary import RoleType
>>> before = MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.LEARNER)
>>> published = {before.key: fragment(before)}
>>> [change.recstatus.name for change in between(published, {}).changes]
['GONE']
>>> teacher = MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.INSTRUCTOR)
>>> [change.recstatus.name for change in between(published, {teacher.key: teacher}).changes]
['GONE', 'NEW']
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from ims.errors import FeedError
from ims.feed.login_order import Handover, in_order
from ims.feed.manifest import Counts, KindCounts
from ims.records.logins import as_compared, names_of, published_login
from ims.records.model import MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.targets.importer_profiles import PROFILES, Profile
from ims.xml.dialect import Dialect
from ims.xml.reader import read_fragment
from ims.xml.writer import Properties, document_parts, fragment, with_empty_email, with_recstatus

_LAST: Final = max(RecStatus) + 1
"""The place of a removed person whose old id a new record names, after the changed ones."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One record of a delta.

    Attributes:
        recstatus: what the importer is asked to do.
        record: the whole record; a removed one as it was last published, without reused logins.
        text: the record's text without recstatus, to be stored as published; ``None`` for a removed record.
        key: the record's key.
    """

    recstatus: RecStatus
    record: Record
    text: str | None
    key: RecordKey


class Delta(msgspec.Struct, frozen=True):
    """All changes of a delta, in the order of the file; true if there is at least one.

    Attributes:
        closed_groups: ``sourcedid/id`` of groups that are no longer published, without a record that removes them, for
            an importer that could not undo the removal. Their memberships are removed like all others.
        ahead: memberships that are removed in a delta of their own, before this one, and the id that takes over the
            account of each member: once it has, the importer no longer knows the old id.
    """

    changes: tuple[Change, ...]
    closed_groups: tuple[str, ...] = ()
    ahead: Mapping[RecordKey, str] = MappingProxyType({})

    def __bool__(self) -> bool:
        return bool(self.changes or self.closed_groups)

    @property
    def upserts(self) -> dict[RecordKey, str]:
        """The texts to store as published, by key; a changed role is among these, and not among the removals."""
        return {change.key: change.text for change in self.changes if change.text is not None}

    @property
    def removals(self) -> list[RecordKey]:
        """The keys under which nothing remains published."""
        upserts = self.upserts
        gone = [change.key for change in self.changes if change.key not in upserts]
        return gone + [RecordKey(RecordKind.GROUP, id_) for id_ in self.closed_groups]

    @property
    def names_now(self) -> dict[str, str]:
        """The ``sourcedid/id`` of the person who is published with each login from now on, of those in the delta."""
        persons = [change for change in self.changes if change.text is not None]
        return {
            name: one.key.id for one in persons if isinstance(one.record, PersonRecord) for name in names_of(one.record)
        }

    @property
    def names_left(self) -> dict[str, str]:
        """The ``sourcedid/id`` of the person who leaves with each login, which no one else in the delta takes over."""
        now = self.names_now
        gone = [change for change in self.changes if change.text is None]
        return {
            name: one.key.id
            for one in gone
            if isinstance(one.record, PersonRecord)
            for name in names_of(one.record) - now.keys()
        }

    def counts(self) -> Counts:
        """Return how many records there are of each kind and recstatus."""
        counted = Counter((change.key.kind, change.recstatus) for change in self.changes)
        return Counts(*(KindCounts(*(counted[kind, recstatus] for recstatus in RecStatus)) for kind in RecordKind))


def between(
    published: Mapping[RecordKey, str],
    current: Mapping[RecordKey, Record],
    dialect: Dialect = "ims",
    taken: Collection[str] = (),
    handovers: Collection[Handover] = (),
    profile: Profile = PROFILES["none"],
) -> Delta:
    """Return the delta that leads from the published records to the current ones.

    A record is unchanged if its text is. A changed role of a membership is published as the old role removed and the
    new role added, because importers add a role to the existing ones (Moodle). If a key changes (a person's national id
    arrives), the old record is removed and the new one added, with all memberships, in the same delta.

    Args:
        published: what has been published, as :func:`ims.xml.writer.fragment` without recstatus. The caller includes
            every record that may have to be removed: with a person or a group also all its published memberships. The
            members of a removed group then lose their roles one by one. Moodle needs this: it keeps the members if only
            the group is removed.
        current: the current records of the same persons and groups.
        dialect: of the target. If it has changed, every record whose text differs in it is published again.
        taken: logins, in upper or lower case, that have been published for persons out of scope.
        handovers: logins that pass from one person to another; the record that gives one up comes first.
        profile: of the importer. For one to which a new record of what it knows says nothing, a new person or group is
            followed by the same record as changed: whether the importer still has the account or course of a person
            who was here before, or one that was made by hand, is not known here.

    Raises:
        FeedError: a published text cannot be read.
    """
    removed = [key for key in published if key not in current]
    closed = {key for key in removed if key.kind is RecordKind.GROUP} if profile.keeps_closed_groups else set()
    changes = [
        Change(RecStatus.GONE, read_fragment(key, published[key]), None, key) for key in removed if key not in closed
    ]
    if any(change.key.kind is RecordKind.PERSON for change in changes):
        in_use = {name for record in current.values() for name in _names(record)} | set(map(as_compared, taken))
        passed: defaultdict[str, set[str]] = defaultdict(set)
        for handover in handovers:
            passed[handover.giver].add(handover.login)
        changes = [_drop_reused_logins(in_use - passed.get(change.key.id, set()), change) for change in changes]
    for key, record in current.items():
        text, before = fragment(record, dialect=dialect), published.get(key)
        if text != before:
            changes += _changes(key, before, record, text, profile)
    carried_on = {record.old_id for record in current.values() if isinstance(record, PersonRecord)}
    ordered = in_order(sorted(changes, key=lambda change: _sort_key(change, carried_on)), handovers, _key_of)
    ahead = _ahead(changes, published, current) if profile.adopts_by_login else {}
    return Delta(tuple(ordered), tuple(sorted(key.id for key in closed)), ahead)


def _key_of(change: Change) -> RecordKey:
    return change.key


def _ahead(
    changes: Collection[Change], published: Mapping[RecordKey, str], current: Mapping[RecordKey, Record]
) -> dict[RecordKey, str]:
    """Return the removed memberships that the id which takes over the account does not have, with that id."""
    new = [record for key, record in current.items() if isinstance(record, PersonRecord) and key not in published]
    heirs = {as_compared(record.login): record.id for record in new if record.login is not None}
    found = {}
    for change in changes if heirs else ():
        member, person = change.record, RecordKey(RecordKind.PERSON, change.key.member)
        if change.text is None and isinstance(member, MemberRecord) and person in published and person not in current:
            heir = heirs.get(published_login(published[person]) or "")
            kept = None if heir is None else current.get(RecordKey(RecordKind.MEMBERSHIP, member.group, heir))
            if heir is not None and not (isinstance(kept, MemberRecord) and kept.role is member.role):
                found[change.key] = heir
    return found


def delta_document(properties: Properties, delta: Delta, profile: Profile = PROFILES["none"]) -> bytes:
    """Return the delta as a file: persons, groups, and one membership element for each group.

    Persons and groups are in the order removed, new, changed; in each group, leavers are before joiners. What is given
    up is so given up before it is taken; a person who takes a login that another one only changes comes after that one.
    Only a person's old id that the new record names (PIFU-IMS) is removed last: the account must have followed the new
    one before.

    Args:
        properties: of the file; their dialect is the one in which the delta was made.
        profile: of the importer.

    Raises:
        FeedError: the delta has no changes; an empty file would use up a number.
    """
    if not delta:
        raise FeedError("a delta without changes is not written")
    rows = ((change.key, _written(change, properties.dialect, profile)) for change in delta.changes)
    # If sourcedid/source itself has changed, only removed records still have the old one.
    kept = (change.record.source for change in delta.changes if change.text is not None)
    source = next(kept, delta.changes[0].record.source if delta.changes else properties.datasource)
    return "".join(document_parts(properties, source, rows)).encode()


def _written(change: Change, dialect: Dialect, profile: Profile) -> str:
    if change.text is None:
        return fragment(change.record, change.recstatus, dialect)
    text = with_recstatus(change.text, change.recstatus)
    if profile.empties_missing_email and change.recstatus is RecStatus.CHANGED and change.key.kind is RecordKind.PERSON:
        return with_empty_email(text, dialect)
    return text


def _changes(key: RecordKey, published: str | None, record: Record, text: str, profile: Profile) -> Iterator[Change]:
    """Yield the changes from the published text under a key, if there is one, to a record whose text differs."""
    if published is None:
        yield Change(RecStatus.NEW, record, text, key)
        if profile.new_then_changed and key.kind is not RecordKind.MEMBERSHIP:
            yield Change(RecStatus.CHANGED, record, text, key)
        return
    if isinstance(record, MemberRecord):
        before = read_fragment(key, published)
        if isinstance(before, MemberRecord) and before.role is not record.role:
            yield Change(RecStatus.GONE, before, None, key)
            yield Change(RecStatus.NEW, record, text, key)
            return
        # The role is the same: sourcedid/source has changed. No member may lose access for that, however briefly.
    yield Change(RecStatus.CHANGED, record, text, key)


def _names(record: Record) -> Iterator[str]:
    """Yield the login and the further userids of a person, as compared."""
    if isinstance(record, PersonRecord):
        yield from names_of(record)
        for userid in record.userids:
            yield as_compared(userid.value)


def _drop_reused_logins(in_use: set[str], change: Change) -> Change:
    """Return the change; from a removed person, drop each userid (login, Feide name, national id) that is in use.

    In Moodle, a person's new record takes over the account with the same user name, and a removal deletes by user name
    alone: removing the old record would delete the account that the new record has just taken over. Without a login
    Moodle deletes nothing. Importers of PIFU-IMS may look up persons by national id (``personNIN``) in the same way.
    """
    record = change.record
    if change.recstatus is not RecStatus.GONE or not isinstance(record, PersonRecord):
        return change
    login = record.login if record.login is not None and as_compared(record.login) not in in_use else None
    userids = tuple(userid for userid in record.userids if as_compared(userid.value) not in in_use)
    return msgspec.structs.replace(change, record=msgspec.structs.replace(record, login=login, userids=userids))


def _sort_key(change: Change, carried_on: Collection[str | None]) -> tuple[int, int, str, int, str]:
    """Return the key that sorts changes into the order of the file.

    Args:
        carried_on: the old ids that current records name.
    """
    kind, id_, member = change.key
    gone = change.recstatus is RecStatus.GONE
    if kind is RecordKind.MEMBERSHIP:
        return kind, 0, id_, not gone, member
    if gone:
        return kind, _LAST if kind is RecordKind.PERSON and id_ in carried_on else 0, id_, 0, ""
    return kind, change.recstatus, id_, 0, ""
