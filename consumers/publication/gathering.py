"""The module that reads for a publication: it gathers the closed set of what belongs together.

Only a first publication reads elsewhere (:mod:`consumers.publication.everything`): everything is a closed set already.

A settled change and one that has not settled may be about one record: an id that moves from one running number to
another, or a new group that has members already. One without the other would take everything from a person who still
has that id, or publish a membership in a group that the importer does not have. So a scope grows until nothing new
belongs to it: persons with the same national id, persons who had or have the same ``sourcedid/id``, members with their
groups, and everything that waits for an approval if the scope affects any of it.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from consumers.facts.pending_changes import Days, Pending, as_changed
from consumers.publication.logins_gathering import elsewhere, login_holders
from consumers.publication.view import Held, Ids, View
from ims.holds.decision import Waiting
from ims.holds.limits import enough_to_count
from ims.holds.losses import gone_groups, losses
from ims.holds.school_numbers import has_school_without_number, teachers_without_school_number
from ims.publication.gathered import Gathered, HoldState, LeaveOrders, Published, SchoolNumbers, Scope, Terms
from ims.publication.login_holders import LoginHolders, names_in, wanted_names
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.group_records import group_id
from ims.rules.overrides import with_same_national_id
from ims.rules.roster import Roster, roster_of
from ims.rules.shared_ids import PublishedIds
from ims.source.facts import Facts

CHUNK: Final = 2_000
"""Persons worked out at a time if all are."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication is to compare.

    Attributes:
        changes: the pending changes that it takes.
        days: the days that have passed since the last publication, if any have.
        everybody: compare all persons and groups.
        explained: all pending changes, taken or not, if everything is compared because of a load.
        held: something waits for an approval.
        review: include everything that waits.
        holds: whether holds apply at all.
        now: the time of the publication.
    """

    changes: Pending
    days: Days | None = None
    everybody: bool = False
    explained: Pending | None = None
    held: bool = False
    review: bool = False
    holds: bool = True
    now: datetime


class _Closed(msgspec.Struct, frozen=True):
    """A scope, and what a comparison needs about it; without the facts, which are too many to keep."""

    scope: Scope
    roster: Roster
    published: Published
    numbers: SchoolNumbers
    leave_now: Facts | None


class Gatherer:
    """Gathering for one target on certain terms."""

    def __init__(self, view: View, terms: Terms) -> None:
        self._view = view
        self._terms = terms
        self._group_names: dict[int, str] | None = None
        self._given: dict[str, int] = {}

    def gather(self, request: Request) -> Gathered:
        """Return what a publication has to know."""
        explained = Scope([], [])
        if request.explained is not None:
            explained = self.affected(request.explained, request.days)
        everybody = request.everybody
        closed = self._close(self._view.everything() if everybody else self.affected(request.changes, request.days))
        waiting, left_alone = Waiting(), frozenset[str]()
        if request.held and (held := self._view.held(closed.scope)).waiting:
            if everybody or request.review or _affects(closed, held):
                closed, waiting = self._close(self._with_held(closed.scope, held)), held.waiting
            else:
                left_alone = frozenset(held.waiting.groups)
        gathered = self._with_logins(closed, left_alone)
        return msgspec.structs.replace(
            gathered,
            holds=self._hold_state(gathered, waiting, explained, request) if request.holds else None,
            orders=self._orders(closed, request),
        )

    def compare(self, scope: Scope, *, closed: bool) -> Gathered:
        """Return what is needed to compare *scope* with its published records, without holds.

        Args:
            closed: let the scope grow until nothing new belongs to it.
        """
        return self._with_logins(self._close(scope) if closed else self._look(scope), frozenset())

    def give(self, logins: Mapping[str, int]) -> None:
        """Take these logins for given to these persons, for comparisons part by part of which nothing is stored."""
        self._given |= logins

    def affected(self, changes: Pending, days: Days | None) -> Scope:
        """Return the persons and groups that *changes* and the passing of *days* affect."""
        groups = self._with_same_id(self._view.affected_groups(changes, days))
        return Scope(self._view.affected_persons(changes, groups, days), groups)

    def chunks(self) -> Iterator[tuple[Scope, int, int]]:
        """Yield all groups, then all persons, a part at a time.

        Persons with the same national id are in one part, so that a person may be in two parts.

        Yields:
            The part, how many persons have been yielded with it, and how many there are.
        """
        everything = self._view.everything()
        yield Scope([], everything.groups), 0, len(everything.persons)
        for start in range(0, len(everything.persons), CHUNK):
            persons = everything.persons[start : start + CHUNK]
            yield Scope(self._view.with_same_national_id(persons), []), start + len(persons), len(everything.persons)

    def _close(self, scope: Scope) -> _Closed:
        """Return *scope* once it has grown until nothing new belongs to it."""
        closed = self._look(scope)
        while (more := self._lacks(closed)) is not None:
            closed = self._look(self.affected(more, None))
        return closed

    def _look(self, scope: Scope) -> _Closed:
        """Return *scope* with its current and its published records."""
        facts = self._facts(scope)
        roster = self._roster(scope, facts, PublishedIds())
        if Reason.DUPLICATE_ID in roster.excluded.values():
            roster = self._roster(scope, facts, self._view.published_ids(scope.persons, facts.groups))
        numbers = SchoolNumbers(has_school_without_number(facts), teachers_without_school_number(facts))
        leave_now = _about(facts, facts.leave_now) if facts.leave_now else None
        del facts  # before the published records are read: a large owner has many of both
        return _Closed(scope, roster, self._view.published(scope), numbers, leave_now)

    def _roster(self, scope: Scope, facts: Facts, published: PublishedIds) -> Roster:
        terms = self._terms
        return roster_of(
            facts,
            terms.settings,
            orgnr=terms.orgnr,
            today=terms.today,
            persons=scope.persons,
            groups=scope.groups,
            published=published,
        )

    def _lacks(self, closed: _Closed) -> Pending | None:
        """Return *closed* and what it cannot be published without, or ``None`` if nothing is lacking."""
        scope, joined = closed.scope, _joined(closed.roster)
        before = names_in(closed.published.texts)
        now = wanted_names(closed.roster.records, closed.roster.subjects).keys()
        ids = Ids(
            current=list(closed.roster.person_ids.values()),
            published=list(closed.published.person_ids.values()),
            groups=list(joined.values()),
            old_ids=self._terms.settings.dialect == "pifu",
            free_logins=sorted(before - now),
            wanted_logins=sorted(now - before),
        )
        related = self._view.related(ids)
        groups = {group for group, id_ in joined.items() if id_ not in related.groups}
        if related.persons <= set(scope.persons) and groups <= set(scope.groups):
            return None
        return as_changed({*related.persons, *scope.persons}, {*groups, *scope.groups})

    def _with_held(self, scope: Scope, held: Held) -> Scope:
        persons = self._view.with_same_national_id({*scope.persons, *held.waiting.persons})
        return Scope(persons, list({*scope.groups, *held.groups}))

    def _facts(self, scope: Scope) -> Facts:
        """Return the facts about *scope*, and about other groups with the id of a group in scope."""
        facts = self._view.facts(scope.persons, scope.groups)
        more = set(self._with_same_id(facts.groups)) - facts.groups.keys()
        if not more:
            return facts
        return msgspec.structs.replace(facts, groups=facts.groups | self._view.facts((), more).groups)

    def _with_same_id(self, groups: Collection[int]) -> list[int]:
        """Return *groups*, and all groups that would have the same ``sourcedid/id`` as one of them."""
        settings = self._terms.settings
        if not any(field in settings.group_id for field in ("{code}", "{school_no}")):
            return list(groups)  # ids made of the running number alone are unique
        if self._group_names is None:
            facts = self._view.course_groups()
            self._group_names = {
                id_: group_id(group, facts.schools.get(group.school_id), settings)
                for id_, group in facts.groups.items()
            }
        names = self._group_names
        wanted = {names[group] for group in groups if group in names}
        return list({*groups, *(group for group, name in names.items() if name in wanted)})

    def _with_logins(self, closed: _Closed, left_alone: frozenset[str]) -> Gathered:
        """Return what was gathered, with who else has the logins in it."""
        holders = login_holders(self._view, closed.published, closed.roster, self._terms)
        if self._given:
            there = frozenset(closed.scope.persons)
            given = {login: person for login, person in self._given.items() if person not in there}
            holders = msgspec.structs.replace(holders, elsewhere={**given, **holders.elsewhere})
        return Gathered(closed.scope, closed.roster, closed.published, left_alone, closed.numbers, holders)

    def _hold_state(self, gathered: Gathered, waiting: Waiting, explained: Scope, request: Request) -> HoldState | None:
        compared = gathered.compared
        lost = losses(compared.published, compared.published_ids, compared.roster)
        gone = gone_groups(compared.published, compared.roster)
        if not (lost or gone or waiting):
            return None
        departures = self._view.departures(request.now)
        counts = enough_to_count(self._terms.settings, lost, departures, gone)
        if any(counts):
            counts = self._view.published_counts(counts)
        known = (frozenset(explained.persons), frozenset(explained.groups))
        return HoldState(lost, gone, waiting, departures, counts, known, request.now, _changed(request))

    def _orders(self, closed: _Closed, request: Request) -> LeaveOrders | None:
        if closed.leave_now is None:
            return None
        known = self._view.orders_to_leave(closed.scope.persons, request.changes.through)
        if not known:
            return None
        return LeaveOrders(known, closed.leave_now, self._view.owner_settings(), request.now)


def gather_urgent(view: View) -> Gathered | None:
    """Return the persons who must leave immediately and their published records; ``None`` if there are none.

    The scope is not closed: removing everything of one person is right whatever else is pending.
    """
    asked = view.with_same_national_id(view.urgent())
    facts = view.facts(asked, [])
    reasons = dict.fromkeys(with_same_national_id(facts, facts.leave_now), Reason.LEAVE_NOW)
    reasons |= dict.fromkeys(with_same_national_id(facts, facts.suppressed), Reason.PERSON_SUPPRESSED)
    scope = Scope(list(reasons), [])
    published = view.published(scope)
    if all(key.kind is RecordKind.GROUP for key in published.texts):
        return None
    roster = Roster({}, {}, {(RecordKind.PERSON, person): reason for person, reason in reasons.items()})
    others = elsewhere(view.login_holders(names_in(published.texts)).published, published)
    return Gathered(scope, roster, published, holders=LoginHolders(others))


def _changed(request: Request) -> tuple[frozenset[int], frozenset[int]] | None:
    """Return the persons and groups that the changes are about, if days have passed and the changes say it exactly."""
    changes = request.changes
    if request.days is None or changes.everything or changes.schools:
        return None
    return changes.persons, changes.groups


def _joined(roster: Roster) -> dict[int, str]:
    """Return the ``sourcedid/id`` of each course group in which the roster has members, by running number."""
    return {group: key.id for key, (_, group) in roster.subjects.items() if key.member and group is not None}


def _affects(closed: _Closed, held: Held) -> bool:
    """Return whether the scope affects anything that waits; if so, the whole hold is decided again.

    It does if a waiting person, a waiting group or a published member of one is in scope, or if a waiting group is
    current again. A person whose id another person in scope has now is in scope too, since the scope is closed.
    """
    waiting = held.waiting
    there = {key.id for key in closed.roster.records if key.kind is RecordKind.GROUP}
    return (
        held.touched
        or not waiting.persons.keys().isdisjoint(closed.scope.persons)
        or not waiting.groups.keys().isdisjoint(there)
    )


def _about(facts: Facts, persons: Collection[int]) -> Facts:
    """Return the facts about *persons*, and about all persons with the same national id."""
    same = with_same_national_id(facts, persons)
    return msgspec.structs.replace(
        facts,
        persons={id_: person for id_, person in facts.persons.items() if id_ in same},
        employees={id_: one for id_, one in facts.employees.items() if one.person_id in same},
        enrolments={id_: one for id_, one in facts.enrolments.items() if one.person_id in same},
    )
