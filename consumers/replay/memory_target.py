"""One target in memory: what :mod:`consumers.publication.delta` stores in the state database.

Replays use it, and tests that need a target without a server; tests/contract compares it with the database.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import date, datetime, timedelta
from typing import Self

import msgspec

from consumers.database.targets_table import FeedPosition, Outstanding, OwnerState, TargetRow
from consumers.publication.everything import Part
from consumers.publication.rounds import Round
from consumers.published.tombstones import KEPT
from ims.feed.delta_files import Head, next_deltas
from ims.feed.manifest import DeltaEntry
from ims.holds.decision import Waiting
from ims.holds.limits import DAY, Departure
from ims.publication.decision import Decision, HoldChange, returned, tombstones
from ims.records.logins import text_without_names
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.targets.target_settings import TargetSettings
from ims.xml.writer import fragment

Deltas = list[tuple[DeltaEntry, bytes]]


class MemoryTarget:
    """A target's rows in all tables but those of its files.

    Attributes:
        settings: the settings in force.
        position: the position of its feed.
        recompute: the settings have changed since the last publication.
        held: its first publication waits for an approval.
        published: the fragment published under each key.
        subjects: the subjects of each fragment, by running number.
        removed: the fragment of each removed record, and when it was removed.
        excluded: the exclusion reason of each person and group that is not exported.
        denied: the logins that persons are published without, and who has each.
        former_logins: who has left with a login, and when.
        waiting: the persons and groups that wait for an approval.
        departures: the departures without an approval in the last day.
    """

    def __init__(self, number: int, settings: TargetSettings, epoch: str) -> None:
        self.number = number
        self.settings = settings
        self.position = FeedPosition(epoch=epoch, dialect=settings.dialect)
        self.recompute = False
        self.held = False
        self.published: dict[RecordKey, str] = {}
        self.subjects: dict[RecordKey, tuple[int | None, int | None]] = {}
        self.removed: dict[RecordKey, tuple[str, datetime]] = {}
        self.excluded: dict[tuple[RecordKind, int], Reason] = {}
        self.denied: dict[int, Mapping[str, int | None]] = {}
        self.former_logins: dict[str, tuple[int, date]] = {}
        self.waiting = Waiting()
        self.departures: list[Departure] = []

    def row(self, owner: OwnerState, settling: float | None = None) -> TargetRow:
        """Return what :func:`consumers.database.targets_table.read_target` returns."""
        return TargetRow(
            target_id=self.number,
            owner_id=self.settings.owner,
            settings=self.settings,
            position=self.position,
            owner=owner,
            outstanding=Outstanding(recompute=self.recompute, held=self.held or bool(self.waiting), settling=settling),
        )

    def copy(self) -> Self:
        """Return an independent copy."""
        other = copy(self)
        other.published, other.subjects, other.removed = dict(self.published), dict(self.subjects), dict(self.removed)
        other.denied, other.former_logins = dict(self.denied), dict(self.former_logins)
        other.excluded, other.departures = dict(self.excluded), list(self.departures)
        return other

    def set(self, settings: TargetSettings) -> None:
        """Set the settings; see :func:`consumers.database.targets_table.apply_settings`."""
        self.settings, self.recompute = settings, True

    def move(self, **columns: object) -> None:
        """Change the feed's position."""
        self.position = msgspec.structs.replace(self.position, **columns)

    def store_first(self, parts: Iterable[Part], position: FeedPosition) -> None:
        """Store a first publication; see :func:`consumers.publication.first_publication.publish_first`."""
        for part in parts:
            for key, record in part.roster.records.items():
                self.published[key] = fragment(record, dialect=position.dialect)
            self.subjects |= part.roster.subjects
            self._store_excluded(part.scope.persons, part.scope.groups, part.roster.excluded)
            self.denied |= part.denied
        self.position, self.recompute, self.held = position, False, False

    def store(self, decision: Decision, done: Round) -> Deltas:
        """Store a decision and return its deltas; see :func:`consumers.publication.delta.store`."""
        now, writing, delta = done.request.now, done.writing(), decision.delta
        if decision.holds is not None:
            self._store_holds(decision.holds, now)
        if decision.another_dialect:
            self.removed.clear()
        self._store_excluded(decision.scope.persons, decision.scope.groups, decision.excluded)
        self._store_logins(decision, done.terms.today)
        head = Head(self.position.head_seq, self.position.head_sha256)
        deltas = list(next_deltas(head, writing, delta, decision.person_numbers))
        if deltas:
            entry, _ = deltas[-1]
            self.move(head_seq=entry.seq, head_sha256=entry.sha256, head_at=now)
            for key in delta.removals:
                del self.published[key], self.subjects[key]
            self.published |= delta.upserts
            self.subjects |= {key: decision.subjects[key] for key in delta.upserts}
            if writing.tombstones:
                gone = {key: (text, now) for key, text in tombstones(delta, writing.properties.dialect).items()}
                back, taken = returned(delta), delta.names_now
                kept = {key: one for key, one in self.removed.items() if key not in back or back[key] not in one[0]}
                self.removed = {key: (text_without_names(text, taken), at) for key, (text, at) in kept.items()} | gone
        self.subjects |= {key: whose for key, whose in decision.moved.items() if key in self.published}
        self.position, self.recompute = done.position_after(self.position), False
        return deltas

    def _store_logins(self, decision: Decision, day: date) -> None:
        for person in decision.scope.persons:
            self.denied.pop(person, None)
        self.denied |= decision.denied
        for login in decision.delta.names_now:
            self.former_logins.pop(login, None)
        self.former_logins |= {login: (person, day) for login, person in decision.former_logins.items()}

    def removed_since(self, now: datetime, kept: timedelta = KEPT) -> dict[RecordKey, str]:
        """Return the fragments of the records that were removed in the period *kept*."""
        return {key: text for key, (text, removed_at) in self.removed.items() if removed_at >= now - kept}

    def _store_holds(self, change: HoldChange, now: datetime) -> None:
        after = change.after
        if not change.before:  # nothing that waited was in scope
            persons = {**self.waiting.persons, **after.persons}
            after = Waiting(persons, {**self.waiting.groups, **after.groups})
        self.waiting = after
        self.departures = [one for one in self.departures if one.at > now - DAY] + change.departures

    def _store_excluded(
        self, persons: Iterable[int], groups: Iterable[int], excluded: Mapping[tuple[RecordKind, int], Reason]
    ) -> None:
        for kind, ids in ((RecordKind.PERSON, persons), (RecordKind.GROUP, groups)):
            for id_ in ids:
                self.excluded.pop((kind, id_), None)
        self.excluded.update(excluded)
