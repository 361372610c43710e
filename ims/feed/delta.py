"""The difference between the published records and the current ones, as a delta file.

A delta carries whole records, not patches. recstatus says what happened: 1 new, 2 changed, 3 removed. The published
records and the delta give the current records, so snapshot + deltas == next snapshot (:mod:`ims.feed.verification`).

>>> from ims.records.vocabulary import RoleType
>>> before = MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.LEARNER)
>>> published = {before.key: fragment(before)}
>>> [change.recstatus.name for change in between(published, {}).changes]
['GONE']
>>> teacher = MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.INSTRUCTOR)
>>> [change.recstatus.name for change in between(published, {teacher.key: teacher}).changes]
['GONE', 'NEW']
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final
from xml.sax.saxutils import unescape

import msgspec

from ims.errors import FeedError
from ims.feed.manifest import Counts, KindCounts
from ims.records.model import MemberRecord, PersonRecord, Record, RecordKey
from ims.records.text import clean_text
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.dialect import Dialect
from ims.xml.reader import read_fragment
from ims.xml.writer import Properties, document_parts, fragment, with_recstatus

_LOGIN: Final = re.compile("<userid[^>]*>([^<]*)</userid>")


class Change(msgspec.Struct, frozen=True, gc=False):
    """One record of a delta.

    Attributes:
        recstatus: what the importer must do.
        record: the whole record; the published one if it is removed.
        text: the record's text without recstatus, to be stored as published; ``None`` if the record is removed.
        key: the record's key.
    """

    recstatus: RecStatus
    record: Record
    text: str | None
    key: RecordKey


class Delta(msgspec.Struct, frozen=True):
    """All changes of a delta, in the order of the file; false if there are none."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def upserts(self) -> dict[RecordKey, str]:
        """Return the texts that are published from now on, by key; a changed role is here, not among the removals."""
        return {change.key: change.text for change in self.changes if change.text is not None}

    @property
    def removals(self) -> list[RecordKey]:
        """Return the keys of the records that are no longer published."""
        upserts = self.upserts
        return [change.key for change in self.changes if change.key not in upserts]

    def counts(self) -> Counts:
        """Return the number of records of each kind and recstatus."""
        counted = Counter((change.key.kind, change.recstatus) for change in self.changes)
        return Counts(*(KindCounts(*(counted[kind, recstatus] for recstatus in RecStatus)) for kind in RecordKind))


def between(
    published: Mapping[RecordKey, str],
    current: Mapping[RecordKey, Record],
    dialect: Dialect = "ims",
    taken: Collection[str] = (),
) -> Delta:
    """Return the delta between the published and the current records of some persons and groups.

    A record is unchanged if its text is. A membership with another role is the old role removed and the new one added,
    because importers keep the roles that they have (Moodle). A key that changes (a person's national id arrives) is one
    record removed and another added, with all memberships, in the same delta.

    Args:
        published: the published texts, as :func:`ims.xml.writer.fragment` without recstatus. The caller must include
            every record that may be removed: with a person or group also all of its published memberships. Then the
            members of a removed group lose their roles one by one; Moodle keeps the members of a group that is removed
            without them.
        current: the current records of the same persons and groups.
        dialect: dialect of the delta. After a change of dialect every record whose text differs is published again.
        taken: published logins, in upper or lower case, of persons who are not in scope.

    Raises:
        FeedError: a published text cannot be read.
    """
    changes = [
        Change(RecStatus.GONE, read_fragment(key, before), None, key)
        for key, before in published.items()
        if key not in current
    ]
    if any(change.key.kind is RecordKind.PERSON for change in changes):
        in_use = {name for record in current.values() for name in _names(record)} | {name.casefold() for name in taken}
        changes = [_drop_reused_logins(in_use, change) for change in changes]
    for key, record in current.items():
        text, before = fragment(record, dialect=dialect), published.get(key)
        if text != before:
            changes += _changes(key, before, record, text)
    return Delta(tuple(sorted(changes, key=_place)))


def delta_document(properties: Properties, delta: Delta) -> bytes:
    """Return the delta as a file: persons, groups, and one membership element for each group.

    Persons and groups are new, then changed, then removed; within a group the leavers come before the joiners.

    Args:
        properties: what the file says about itself; its dialect must be the one that the delta was made in.

    Raises:
        FeedError: the delta is empty, and would use up a number for nothing.
    """
    if not delta:
        raise FeedError("a delta without changes is not written")
    rows = ((change.key, _written(change, properties.dialect)) for change in delta.changes)
    # If sourcedid/source itself has changed, only removed records still have the old one.
    source = next((c.record.source for c in delta.changes if c.text is not None), delta.changes[0].record.source)
    return "".join(document_parts(properties, source, rows)).encode()


def published_login(text: str) -> str | None:
    """Return the login in a published person's text, as logins are compared; ``None`` if there is none.

    >>> published_login("<userid>Ada@fjordvik.example</userid>")
    'ada@fjordvik.example'
    """
    found = _LOGIN.search(text)  # imsfeed's own text; parsing thousands of them would delay the delta
    return unescape(found[1]).casefold() if found else None


def _written(change: Change, dialect: Dialect) -> str:
    if change.text is None:
        return fragment(change.record, change.recstatus, dialect)
    return with_recstatus(change.text, change.recstatus)


def _changes(key: RecordKey, published: str | None, record: Record, text: str) -> Iterator[Change]:
    """Yield the changes for a record whose text is not the published one, if any is published."""
    if published is None:
        yield Change(RecStatus.NEW, record, text, key)
        return
    if isinstance(record, MemberRecord):
        before = read_fragment(key, published)
        if isinstance(before, MemberRecord) and before.role is not record.role:
            yield Change(RecStatus.GONE, before, None, key)
            yield Change(RecStatus.NEW, record, text, key)
            return
        # Same role, other text: a new sourcedid/source. No person must lose access for that, not even for a moment.
    yield Change(RecStatus.CHANGED, record, text, key)


def _names(record: Record) -> Iterator[str]:
    """Yield the login and the further userids of a person, as they are compared."""
    if isinstance(record, PersonRecord):
        if record.login is not None:
            yield _comparable(record.login)
        for userid in record.userids:
            yield _comparable(userid.value)


def _comparable(name: str) -> str:
    # Moodle can be configured to write user names in lower case (fixcaseusernames).
    return clean_text(name).casefold()


def _drop_reused_logins(in_use: set[str], change: Change) -> Change:
    """Return the change; a removed person loses every userid (login, Feide name, national id) that is in use.

    A person's new record adopts the account with the same user name, and Moodle deletes by user name alone: the removed
    record would delete the account that the new one has just adopted. Without a login nothing is deleted.
    Importers of PIFU-IMS may know a person by national id (``personNIN``) in the same way.
    """
    record = change.record
    if change.recstatus is not RecStatus.GONE or not isinstance(record, PersonRecord):
        return change
    login = record.login if record.login is not None and _comparable(record.login) not in in_use else None
    userids = tuple(userid for userid in record.userids if _comparable(userid.value) not in in_use)
    return msgspec.structs.replace(change, record=msgspec.structs.replace(record, login=login, userids=userids))


def _place(change: Change) -> tuple[int, int, str, bool, str]:
    """Return a sort key: the place of the change in the file."""
    kind, id_, member = change.key
    if kind is RecordKind.MEMBERSHIP:
        return kind, 0, id_, change.recstatus is not RecStatus.GONE, member
    return kind, change.recstatus, id_, False, ""
