"""What a target's importer must be sent next, and what becomes of all that is kept about it: one pure function.

Nothing is read here, and nothing is asked of a clock: what has to be known was gathered before, and what is decided is
stored afterwards. Deltas, plans, the nightly comparison and replays decide here and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ims.feed.delta import Delta, between, published_login
from ims.feed.previous_ids import former_ids, with_old_ids
from ims.holds import decision as hold_decision
from ims.holds.decision import Origin, Waiting, groups_without_school_number
from ims.holds.limits import Departure, Limits
from ims.holds.losses import Cause
from ims.publication.gathered import Format, Gathered, HoldState, LeaveOrders, Scope, Subjects, Terms
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.rules.overrides import has_left, with_same_national_id
from ims.rules.roster import Roster
from ims.targets.schedule import local_day
from ims.xml.dialect import Dialect
from ims.xml.writer import fragment


class HoldChange(msgspec.Struct, frozen=True):
    """Who waited for an approval, as far as the publication looked at it, and who does from now on.

    Attributes:
        departures: who leaves, or is published under another id, and counts against the limits from now on.
    """

    before: Waiting
    after: Waiting
    departures: list[Departure]


class Decision(msgspec.Struct, frozen=True):
    """What is published, and what is kept about it.

    Attributes:
        scope: the persons and groups that the decision is about.
        delta: what the importer is sent.
        subjects: the running numbers that the records current now are about.
        moved: of records that stay published, those whose subjects are others now.
        excluded: the one reason of each person and group in scope that is not exported.
        warnings: what was not as it should be with those that are.
        person_numbers: running number by ``sourcedid/id``, the published and the current ones.
        changed_ids: running numbers of the persons whose ``sourcedid/id`` is another one now.
        holds: ``None`` if nothing waits, or holds do not apply.
        another_dialect: everything is published in another dialect than before.
        left: persons whose order to leave ends, since the source agrees.
    """

    scope: Scope
    delta: Delta
    subjects: Subjects
    moved: Subjects
    excluded: Mapping[tuple[RecordKind, int], Reason]
    warnings: Mapping[tuple[RecordKind, int], tuple[RecordWarning, ...]]
    person_numbers: Mapping[str, int]
    changed_ids: list[int]
    holds: HoldChange | None = None
    another_dialect: bool = False
    left: list[int] = []


def decide(gathered: Gathered, terms: Terms, before: Format, cause: Cause | None = None) -> Decision:
    """Decide what a target is sent about a closed set of persons and groups.

    Args:
        before: the format in which they were published.
        cause: ``SETTING`` if only the settings have changed, ``RESYNC`` if a load made everything be compared.

    Raises:
        FeedError: a published text cannot be read.
    """
    settings, compared = terms.settings, gathered.compared
    held = _hold_back(gathered, terms, cause)
    if (before.source, before.dialect) != (terms.source, settings.dialect):
        # Those who wait are published in the new format as well: a file has one dialect and one source.
        held = held.with_held(compared.published, gathered.published.subjects, terms.source)
    roster, ids = held.roster, compared.published_ids
    current: Mapping[RecordKey, Record] = roster.records
    if settings.dialect == "pifu":
        current = with_old_ids(held.published, current, former_ids(ids, roster.person_ids))
    delta = between(held.published, current, settings.dialect, _logins_of_others(gathered, held))
    published = gathered.published.subjects
    return Decision(
        scope=gathered.scope,
        delta=delta,
        subjects=roster.subjects,
        moved={key: whose for key, whose in roster.subjects.items() if published.get(key, whose) != whose},
        excluded=roster.excluded,
        warnings=roster.warnings,
        person_numbers=numbers_of(ids) | numbers_of(roster.person_ids),
        changed_ids=[person for person, id_ in roster.person_ids.items() if ids.get(person, id_) != id_],
        holds=_hold_change(gathered.holds, held),
        another_dialect=before.dialect != settings.dialect,
        left=list(_left(gathered.orders)),
    )


def decide_urgent(gathered: Gathered, before: Format) -> Decision:
    """Decide that persons who must leave immediately are removed, whatever else is pending.

    Args:
        gathered: the persons, whose roster has their reasons and no record.
        before: the format in which they were published, which is kept.
    """
    texts = {key: text for key, text in gathered.published.texts.items() if key.kind is not RecordKind.GROUP}
    return Decision(
        scope=gathered.scope,
        delta=between(texts, {}, before.dialect, gathered.logins),
        subjects={},
        moved={},
        excluded=gathered.roster.excluded,
        warnings={},
        person_numbers=numbers_of(gathered.published.person_ids),
        changed_ids=[],
    )


def numbers_of(ids: Mapping[int, str]) -> dict[str, int]:
    """Return running numbers by ``sourcedid/id``, from the other way round."""
    return {id_: number for number, id_ in ids.items()}


def tombstones(delta: Delta, dialect: Dialect) -> dict[RecordKey, str]:
    """Return the text of each record that *delta* removes."""
    upserts = delta.upserts
    return {
        change.key: fragment(change.record, RecStatus.GONE, dialect)
        for change in delta.changes
        if change.recstatus is RecStatus.GONE and change.key not in upserts
    }


def persons_who_may_leave(published: Mapping[RecordKey, str], subjects: Subjects, roster: Roster) -> Iterator[str]:
    """Yield the ``sourcedid/id`` of published persons that are current no more, or another running number's now.

    With the latter the person may still leave, if the other running number has to wait.
    """
    for key in published:
        if key.kind is RecordKind.PERSON and roster.subjects.get(key) != subjects[key]:
            yield key.id


def _hold_back(gathered: Gathered, terms: Terms, cause: Cause | None) -> hold_decision.Decision:
    """Take out of what is compared what has to wait."""
    compared, state = gathered.compared, gathered.holds
    if state is None:
        return hold_decision.Decision(compared.published, compared.roster)
    published, numbers = gathered.published, gathered.numbers
    lost_number = published.group_ids(frozenset(groups_without_school_number(gathered.roster)))
    if numbers.missing:
        lost_number |= published.org_group_ids()
    persons, groups = state.explained
    origin = Origin(
        cause, (persons, published.group_ids(groups)), lost_number.intersection(state.gone), numbers.teachers
    )
    limits = Limits(terms.settings, state.departures, state.counts, state.now)
    return hold_decision.decide(compared, state.losses, state.gone, origin, state.waiting, limits)


def _hold_change(state: HoldState | None, held: hold_decision.Decision) -> HoldChange | None:
    return None if state is None else HoldChange(state.waiting, held.waiting, held.departures)


def _logins_of_others(gathered: Gathered, held: hold_decision.Decision) -> set[str]:
    """Return the logins of those who leave that others are published with: out of scope, or waiting."""
    gone = [key for key in held.published if key.kind is RecordKind.PERSON and key not in held.roster.records]
    if not gone:
        return set()
    texts = gathered.published.texts
    waiting = (key for key in texts.keys() - held.published.keys() if key.kind is RecordKind.PERSON)
    others = gathered.logins | set(_logins(texts[key] for key in waiting))
    return set(_logins(texts[key] for key in gone)) & others if others else set()


def _logins(texts: Iterable[str]) -> Iterator[str]:
    return (login for text in texts if (login := published_login(text)) is not None)


def _left(orders: LeaveOrders | None) -> Iterator[int]:
    """Yield the persons of whom the source itself says that they have left.

    The source must agree in the eyes of every target of the owner, or one with days of grace would take back a person
    whom another one lets go.
    """
    if orders is None:
        return
    for person, known in orders.known.items():
        if (known or person in orders.facts.persons) and all(
            has_left(orders.facts, same, settings, local_day(orders.now, settings.zone))
            for same in with_same_national_id(orders.facts, [person])
            for settings in orders.settings
        ):
            yield person
