"""The difference between what an importer was told and what is so now, as a delta file.

A delta carries whole records, not patches. recstatus says what happened: 1 new, 2 changed, 3 gone. Applied to what was
told it gives what is so now, which is what makes snapshot + deltas == next snapshot (:mod:`ims.feed.verification`).

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
        recstatus: what the importer is asked to do.
        record: the whole record; of one that is gone, as it was told.
        text: the record's text without recstatus, to be kept as what was told; ``None`` if it is gone.
        key: the record's key.
    """

    recstatus: RecStatus
    record: Record
    text: str | None
    key: RecordKey


class Delta(msgspec.Struct, frozen=True):
    """All changes of a delta, in the order of the file; true if there are any."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def upserts(self) -> dict[RecordKey, str]:
        """The texts now told, by key; a changed role is here, and not among the removals."""
        return {change.key: change.text for change in self.changes if change.text is not None}

    @property
    def removals(self) -> list[RecordKey]:
        """The keys that nothing is told about any more."""
        upserts = self.upserts
        return [change.key for change in self.changes if change.key not in upserts]

    def counts(self) -> Counts:
        """How many records there are of each kind and recstatus."""
        counted = Counter((change.key.kind, change.recstatus) for change in self.changes)
        return Counts(*(KindCounts(*(counted[kind, recstatus] for recstatus in RecStatus)) for kind in RecordKind))


def between(
    published: Mapping[RecordKey, str],
    current: Mapping[RecordKey, Record],
    dialect: Dialect = "ims",
    taken: Collection[str] = (),
) -> Delta:
    """What has to be told.

    A record is unchanged when its text is. A membership whose role is another is told as the old role gone and the new
    one new, because importers add a role to those there are (Moodle). A key that changes (a person's national id
    arrives) is one record gone and another new, with all its memberships, in the same delta.

    Args:
        published: what was told, as :func:`ims.xml.writer.fragment` without recstatus. The caller must include all
            that may be gone: with a person or a group also every membership that was told of it. Then a removed
            group's members lose their roles one by one, as Moodle needs it, which keeps the members of a group that is
            only gone.
        current: what is so now, for the same persons and groups.
        taken: logins, in any case, that persons who are not looked at here are told with.
        dialect: in which it will be told; if it is another one than before, all whose text differs is told anew.

    Raises:
        FeedError: a published text cannot be read.
    """
    changes = [
        Change(RecStatus.GONE, read_fragment(key, before), None, key)
        for key, before in published.items()
        if key not in current
    ]
    if any(change.key.kind is RecordKind.PERSON for change in changes):
        held = {name for record in current.values() for name in _names(record)} | {name.casefold() for name in taken}
        changes = [_drop_reused_logins(held, change) for change in changes]
    for key, record in current.items():
        text, before = fragment(record, dialect=dialect), published.get(key)
        if text != before:
            changes += _changes(key, before, record, text)
    return Delta(tuple(sorted(changes, key=_place)))


def delta_document(properties: Properties, delta: Delta) -> bytes:
    """The delta as a file, in its properties' dialect: persons, groups, and one membership element for each group.

    Persons and groups come new, changed, gone; within a group those who leave come before those who join.

    Args:
        properties: what the file says about itself; its dialect is that in which the delta was made.

    Raises:
        FeedError: there is nothing to tell; an empty delta would use up a number for nothing.
    """
    if not delta:
        raise FeedError("a delta without changes is not written")
    rows = ((change.key, _written(change, properties.dialect)) for change in delta.changes)
    # If sourcedid/source itself has changed, only what is gone still has the old one.
    source = next((c.record.source for c in delta.changes if c.text is not None), delta.changes[0].record.source)
    return "".join(document_parts(properties, source, rows)).encode()


def published_login(text: str) -> str | None:
    """Return the login in a published person's text, as logins are compared; ``None`` if there is none.

    >>> published_login("<userid>Ada@fjordvik.example</userid>")
    'ada@fjordvik.example'
    """
    found = _LOGIN.search(text)  # our own text, and reading thousands of them whole would keep everybody waiting
    return unescape(found[1]).casefold() if found else None


def _written(change: Change, dialect: Dialect) -> str:
    if change.text is None:
        return fragment(change.record, change.recstatus, dialect)
    return with_recstatus(change.text, change.recstatus)


def _changes(key: RecordKey, published: str | None, record: Record, text: str) -> Iterator[Change]:
    """The changes that make of what was told, if anything was, a record whose text is another."""
    if published is None:
        yield Change(RecStatus.NEW, record, text, key)
        return
    if isinstance(record, MemberRecord):
        before = read_fragment(key, published)
        if isinstance(before, MemberRecord) and before.role is not record.role:
            yield Change(RecStatus.GONE, before, None, key)
            yield Change(RecStatus.NEW, record, text, key)
            return
        # Same role, other text: a new sourcedid/source. Nobody is to lose access for that, not even for a moment.
    yield Change(RecStatus.CHANGED, record, text, key)


def _names(record: Record) -> Iterator[str]:
    """The login and the further userids of a person."""
    if isinstance(record, PersonRecord):
        if record.login is not None:
            yield _comparable(record.login)
        for userid in record.userids:
            yield _comparable(userid.value)


def _comparable(name: str) -> str:
    # Moodle can be told to write user names in lower case (fixcaseusernames).
    return clean_text(name).casefold()


def _drop_reused_logins(taken: set[str], change: Change) -> Change:
    """The change, without the userids of a person who is gone that somebody has now: login, Feide name, national id.

    A person's new record adopts the account with the same user name, and Moodle deletes by user name alone: the old
    record would delete the very account that the new one has just adopted. Without a login nothing is deleted.
    Importers of PIFU-IMS may know a person by national id (``personNIN``) in the same way.
    """
    record = change.record
    if change.recstatus is not RecStatus.GONE or not isinstance(record, PersonRecord):
        return change
    login = record.login if record.login is not None and _comparable(record.login) not in taken else None
    userids = tuple(userid for userid in record.userids if _comparable(userid.value) not in taken)
    return msgspec.structs.replace(change, record=msgspec.structs.replace(record, login=login, userids=userids))


def _place(change: Change) -> tuple[int, int, str, bool, str]:
    """Where the change stands in the file."""
    kind, id_, member = change.key
    if kind is RecordKind.MEMBERSHIP:
        return kind, 0, id_, change.recstatus is not RecStatus.GONE, member
    return kind, change.recstatus, id_, False, ""
