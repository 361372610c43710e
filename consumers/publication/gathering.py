"""The only place where a publication reads: it gathers the closed set of what belongs together.

What has settled and what has not may be about one record: an id that goes from one running number to another, or a
group that comes and has members already. One without the other would take everything from a person who still has that
id, or publish a membership in a group that the importer does not have. So a scope grows until nothing new turns
up: persons with the same national id, those who had or have the same ``sourcedid/id``, members with their groups, and
everything that waits for an approval if the scope bears on any of it.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

import msgspec

from consumers.facts.pending_changes import Days, Pending, looking_at
from consumers.publication.view import Held, Ids, View
from ims.holds.decision import Waiting, has_school_without_number, teachers_without_school_number
from ims.holds.limits import enough_to_count
from ims.holds.losses import gone_groups, losses
from ims.publication.decision import persons_who_may_leave
from ims.publication.gathered import Gathered, HoldState, LeaveOrders, Published, SchoolNumbers, Scope, Terms
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.group_records import group_id
from ims.rules.overrides import with_same_national_id
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Facts

CHUNK: Final = 2_000
"""Persons worked out at a time where all are."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication is to look at.

    Attributes:
        changes: the pending changes that it takes.
        days: the days that have passed since the last publication, if any have.
        everybody: look at all there is.
        explained: all pending changes, taken or not, if a load is why everything is compared.
        held: something waits for an approval.
        review: look at everything that waits.
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
    """A scope, and all about it that a comparison needs. Facts are many, and kept no longer than they are needed."""

    scope: Scope
    roster: Roster
    published: Published
    numbers: SchoolNumbers
    leave_now: Facts | None


class Gatherer:
    """Gathers for one target on certain terms."""

    def __init__(self, view: View, terms: Terms) -> None:
        self._view = view
        self._terms = terms
        self._group_names: dict[int, str] | None = None

    def gather(self, request: Request) -> Gathered:
        """Return all that a publication has to know."""
        explained = Scope([], [])
        if request.explained is not None:
            explained = self.affected(request.explained, request.days)
        everybody = request.everybody
        closed = self._close(self._view.everything() if everybody else self.affected(request.changes, request.days))
        waiting, left_alone = Waiting(), frozenset[str]()
        if request.held and (held := self._view.held(closed.scope)).waiting:
            if everybody or request.review or _bears_on(closed, held):
                closed, waiting = self._close(self._with_held(closed.scope, held)), held.waiting
            else:
                left_alone = frozenset(held.waiting.groups)
        gathered = self._with_logins(closed, left_alone)
        return msgspec.structs.replace(
            gathered,
            holds=self._hold_state(gathered, waiting, explained, request.now) if request.holds else None,
            orders=self._orders(closed, request),
        )

    def compare(self, scope: Scope, *, closed: bool) -> Gathered:
        """Return what has to be known to compare *scope* with what was published; no holds.

        Args:
            closed: let the scope grow until nothing new turns up.
        """
        return self._with_logins(self._close(scope) if closed else self._look(scope), frozenset())

    def affected(self, changes: Pending, days: Days | None) -> Scope:
        """Return the persons and groups that *changes* and the passing of *days* bear on."""
        groups = self._with_same_id(self._view.affected_groups(changes, days))
        return Scope(self._view.affected_persons(changes, groups, days), groups)

    def chunks(self) -> Iterator[tuple[Scope, int, int]]:
        """Yield all there is, a part at a time: first the groups, then the persons.

        Persons with the same national id are never apart, and may therefore come twice.

        Yields:
            The part, and how many persons of how many have come with it.
        """
        everything = self._view.everything()
        yield Scope([], everything.groups), 0, len(everything.persons)
        for start in range(0, len(everything.persons), CHUNK):
            persons = everything.persons[start : start + CHUNK]
            yield Scope(self._view.with_same_national_id(persons), []), start + len(persons), len(everything.persons)

    def _close(self, scope: Scope) -> _Closed:
        """Let *scope* grow until nothing new turns up."""
        closed = self._look(scope)
        while (more := self._lacks(closed)) is not None:
            closed = self._look(self.affected(more, None))
        return closed

    def _look(self, scope: Scope) -> _Closed:
        """Read what there is about *scope*, and work out its records."""
        facts = self._facts(scope)
        terms = self._terms
        roster = roster_of(
            facts,
            terms.settings,
            orgnr=terms.orgnr,
            today=terms.today,
            persons=scope.persons,
            groups=scope.groups,
        )
        numbers = SchoolNumbers(has_school_without_number(facts), teachers_without_school_number(facts))
        leave_now = _about(facts, facts.leave_now) if facts.leave_now else None
        del facts  # before what was published is read: of a large owner either is large
        return _Closed(scope, roster, self._view.published(scope), numbers, leave_now)

    def _lacks(self, closed: _Closed) -> Pending | None:
        """Return *closed* and what cannot be published without it, or ``None`` if nothing is lacking."""
        scope, joined = closed.scope, _joined(closed.roster)
        ids = Ids(
            current=list(closed.roster.person_ids.values()),
            published=list(closed.published.person_ids.values()),
            groups=list(joined.values()),
            old_ids=self._terms.settings.dialect == "pifu",
        )
        related = self._view.related(ids)
        groups = {group for group, id_ in joined.items() if id_ not in related.groups}
        if related.persons <= set(scope.persons) and groups <= set(scope.groups):
            return None
        return looking_at({*related.persons, *scope.persons}, {*groups, *scope.groups})

    def _with_held(self, scope: Scope, held: Held) -> Scope:
        persons = self._view.with_same_national_id({*scope.persons, *held.waiting.persons})
        return Scope(persons, list({*scope.groups, *held.groups}))

    def _facts(self, scope: Scope) -> Facts:
        """Return the facts about *scope*, and the groups that may have the id of one of these."""
        facts = self._view.facts(scope.persons, scope.groups)
        more = set(self._with_same_id(facts.groups)) - facts.groups.keys()
        if not more:
            return facts
        return msgspec.structs.replace(facts, groups=facts.groups | self._view.facts((), more).groups)

    def _with_same_id(self, groups: Collection[int]) -> list[int]:
        """Return *groups*, and those that would have the same ``sourcedid/id`` as one of them."""
        settings = self._terms.settings
        if not any(field in settings.group_id for field in ("{code}", "{school_no}")):
            return list(groups)  # an id that is made of the running number alone is no other group's
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
        """Return what was gathered, with the logins of those who may leave that others have."""
        published = closed.published
        leaving = list(persons_who_may_leave(published.texts, published.subjects, closed.roster))
        logins = frozenset[str]()
        if leaving:
            persons = [key.id for key in published.texts if key.kind is RecordKind.PERSON]
            logins = self._view.logins_elsewhere(leaving, persons)
        return Gathered(closed.scope, closed.roster, published, left_alone, closed.numbers, logins)

    def _hold_state(self, gathered: Gathered, waiting: Waiting, explained: Scope, now: datetime) -> HoldState | None:
        compared = gathered.compared
        lost = losses(compared.published, compared.published_ids, compared.roster)
        gone = gone_groups(compared.published, compared.roster)
        if not (lost or gone or waiting):
            return None
        departures = self._view.departures(now)
        counts = enough_to_count(self._terms.settings, lost, departures)
        if any(counts):
            counts = self._view.published_counts(counts)
        known = (frozenset(explained.persons), frozenset(explained.groups))
        return HoldState(lost, gone, waiting, departures, counts, known, now)

    def _orders(self, closed: _Closed, request: Request) -> LeaveOrders | None:
        if closed.leave_now is None:
            return None
        known = self._view.orders_to_leave(closed.scope.persons, request.changes.through)
        if not known:
            return None
        return LeaveOrders(known, closed.leave_now, self._view.owner_settings(), request.now)


def gather_urgent(view: View) -> Gathered | None:
    """Return who must leave immediately, with what was published about them; ``None`` if nothing was.

    The scope is not closed: taking everything away from one person is right whatever else is pending.
    """
    asked = view.with_same_national_id(view.urgent())
    facts = view.facts(asked, [])
    reasons = dict.fromkeys(with_same_national_id(facts, facts.leave_now), Reason.LEAVE_NOW)
    reasons |= dict.fromkeys(with_same_national_id(facts, facts.suppressed), Reason.PERSON_SUPPRESSED)
    scope = Scope(list(reasons), [])
    published = view.published(scope)
    persons = [key.id for key in published.texts if key.kind is RecordKind.PERSON]
    if all(key.kind is RecordKind.GROUP for key in published.texts):
        return None
    roster = Roster({}, {}, {(RecordKind.PERSON, person): reason for person, reason in reasons.items()})
    return Gathered(
        scope, roster, published, logins=view.logins_elsewhere(persons, persons) if persons else frozenset()
    )


def _joined(roster: Roster) -> dict[int, str]:
    """Return the ``sourcedid/id`` of the course groups in which the roster has members, by running number."""
    return {group: key.id for key, (_, group) in roster.subjects.items() if key.member and group is not None}


def _bears_on(closed: _Closed, held: Held) -> bool:
    """Return whether the scope bears on anything that waits; a hold is always judged whole.

    It bears on a waiting person in scope, which is closed and so has each person whose id another one in scope has now;
    and on a waiting group that is there again, or of which it or a member is in scope.
    """
    waiting = held.waiting
    there = {key.id for key in closed.roster.records if key.kind is RecordKind.GROUP}
    return (
        held.touched
        or not waiting.persons.keys().isdisjoint(closed.scope.persons)
        or not waiting.groups.keys().isdisjoint(there)
    )


def _about(facts: Facts, persons: Collection[int]) -> Facts:
    """Return what the source says about *persons*, and those with the same national id."""
    same = with_same_national_id(facts, persons)
    return msgspec.structs.replace(
        facts,
        persons={id_: person for id_, person in facts.persons.items() if id_ in same},
        employees={id_: one for id_, one in facts.employees.items() if one.person_id in same},
        enrolments={id_: one for id_, one in facts.enrolments.items() if one.person_id in same},
    )
