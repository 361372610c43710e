"""What a target's importer must be sent next, and what is then stored about the target: one pure function.

It reads no database and no clock: what has to be known is gathered before, and the decision is stored afterwards.
Deltas, plans, the nightly reconciliation and replays decide here and nowhere else.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from ims.feed.delta import Delta, between
from ims.feed.previous_ids import former_ids, with_old_ids
from ims.holds import decision as hold_decision
from ims.holds.decision import Origin, Waiting
from ims.holds.limits import Changed, Departure, Limits
from ims.holds.losses import Cause
from ims.holds.school_numbers import groups_without_school_number
from ims.publication.gathered import Format, Gathered, HoldState, LeaveOrders, Scope, Terms
from ims.publication.handovers import staged
from ims.publication.login_holders import with_logins
from ims.publication.logins import Assignment, Before, assigned
from ims.records.logins import published_login, without_names
from ims.records.model import MemberRecord, PersonRecord, Record, RecordKey, Subjects
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.rules.overrides import has_left, with_same_national_id
from ims.targets.schedule import local_day
from ims.xml.dialect import Dialect
from ims.xml.writer import fragment


class HoldChange(msgspec.Struct, frozen=True):
    """The persons and groups that waited for an approval and those that wait from now on, as far as they are in scope.

    Attributes:
        departures: the persons who leave, or are published under another id, and count against the limits from now on.
    """

    before: Waiting
    after: Waiting
    departures: list[Departure]


class Decision(msgspec.Struct, frozen=True):
    """What is published, and what is stored about it.

    Attributes:
        scope: the persons and groups that the decision is about.
        delta: what the importer is sent.
        subjects: the subjects of the current records, by running number.
        moved: the subjects of records that stay published and have other subjects now.
        excluded: the one exclusion reason of each person and group in scope that is not exported.
        warnings: the warnings about each person and group in scope that is exported.
        person_numbers: running numbers by ``sourcedid/id``, published and current.
        changed_ids: running numbers of the persons whose ``sourcedid/id`` has changed.
        holds: ``None`` if nothing waits, or holds do not apply.
        another_dialect: everything is published in another dialect than before.
        left: running numbers of the persons whose order to leave ends, since the source agrees.
        denied: by running number, the logins that persons in scope are published without, and who has each.
        unfinished: running numbers of the persons whose logins need another delta.
        former_logins: the logins that persons leave with or have no more, by running number.
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
    denied: Mapping[int, Mapping[str, int | None]] = {}
    unfinished: frozenset[int] = frozenset()
    former_logins: Mapping[str, int] = {}


def decide(gathered: Gathered, terms: Terms, before: Format, cause: Cause | None = None) -> Decision:
    """Decide what a target is sent about a closed set of persons and groups.

    Args:
        before: the format in which they were published.
        cause: ``SETTING`` if only the settings have changed, ``RESYNC`` if everything is compared because of a load.

    Raises:
        FeedError: a published text cannot be read.
    """
    settings, compared = terms.settings, gathered.compared
    held = _hold_back(gathered, terms, cause)
    if (before.source, before.dialect) != (terms.source, settings.dialect):
        # Waiting persons and groups are published in the new format as well: a file has one dialect and one source.
        held = held.with_held(compared.published, gathered.published.subjects, terms.source)
    assignment = _assigned(gathered, held, terms)
    records, denied, ids = assignment.records, assignment.denied, compared.published_ids
    roster = with_logins(held.roster, records, denied.keys(), compared.published, settings)
    former = former_ids(ids, roster.person_ids) if settings.dialect == "pifu" else None
    taken = _logins_of_others(gathered, held)

    stage = staged(roster.records, roster.subjects, assignment.handovers)
    current = stage.records
    if former is not None:
        current = with_old_ids(held.published, current, former, national_ids=settings.person_id == "national")
    delta = between(held.published, current, settings.dialect, taken, stage.handovers, settings.profile)
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
        denied=assignment.denied,
        former_logins=assignment.emptied | _left_with(delta, numbers_of(ids)),
        unfinished=stage.unfinished,
    )


def decide_urgent(gathered: Gathered, before: Format) -> Decision:
    """Decide the removal of persons who must leave immediately, whatever else is pending.

    Args:
        gathered: the persons; the roster has their exclusion reasons and no records.
        before: the format in which they were published, which is kept.
    """
    texts = {key: text for key, text in gathered.published.texts.items() if key.kind is not RecordKind.GROUP}
    delta = between(texts, {}, before.dialect, gathered.holders.elsewhere)
    numbers = numbers_of(gathered.published.person_ids)
    return Decision(
        scope=gathered.scope,
        delta=delta,
        subjects={},
        moved={},
        excluded=gathered.roster.excluded,
        warnings={},
        person_numbers=numbers,
        changed_ids=[],
        former_logins=_left_with(delta, numbers),
    )


def _left_with(delta: Delta, numbers: Mapping[str, int]) -> dict[str, int]:
    return {login: numbers[id_] for login, id_ in delta.names_left.items() if id_ in numbers}


def numbers_of(ids: Mapping[int, str]) -> dict[str, int]:
    """Return running numbers by ``sourcedid/id``, from ``sourcedid/id`` by running number."""
    return {id_: number for number, id_ in ids.items()}


def tombstones(delta: Delta, dialect: Dialect) -> dict[RecordKey, str]:
    """Return the text of each record that *delta* removes: of a changed role, that of the old role.

    A removed person has no login that another person in the delta takes: in a file that shows both, it would delete the
    account of the person who has it now. A membership whose member's account another id takes over is removed under
    that id too: who reads the file after it no longer knows the old one.
    """
    now = delta.names_now
    gone = {change.key: _without(change.record, now) for change in delta.changes if change.recstatus is RecStatus.GONE}
    for key, heir in delta.ahead.items():
        gone[RecordKey(RecordKind.MEMBERSHIP, key.id, heir)] = msgspec.structs.replace(gone[key], person=heir)
    return {key: fragment(record, RecStatus.GONE, dialect) for key, record in gone.items()}


def returned(delta: Delta) -> dict[RecordKey, str]:
    """Return the keys whose tombstones end because *delta* adds or changes their records, and a part of their texts.

    A tombstone ends if it has that part. For a membership it is the role: who comes back in another one has still lost
    the old one, and an importer that has not read of it would keep both (Moodle).
    """
    return {
        change.key: f'<role roletype="{change.record.role.value}"' if isinstance(change.record, MemberRecord) else ""
        for change in delta.changes
        if change.text is not None
    }


def with_tombstones(published: Mapping[RecordKey, str], removed: Mapping[RecordKey, str]) -> dict[RecordKey, str]:
    """Return the texts of a full file with tombstones; a removed role comes before the role that took its place."""
    return {**published, **{key: text + published.get(key, "") for key, text in removed.items()}}


def _without(record: Record, names: Collection[str]) -> Record:
    return without_names(record, names) if isinstance(record, PersonRecord) else record


def _hold_back(gathered: Gathered, terms: Terms, cause: Cause | None) -> hold_decision.Decision:
    """Return what is compared without the persons and groups that have to wait."""
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
    changed = None if state.changed is None else Changed(state.changed[0], published.group_ids(state.changed[1]))
    limits = Limits(terms.settings, state.departures, state.counts, state.now, changed)
    return hold_decision.decide(compared, state.losses, state.gone, origin, state.waiting, limits)


def _hold_change(state: HoldState | None, held: hold_decision.Decision) -> HoldChange | None:
    return None if state is None else HoldChange(state.waiting, held.waiting, held.departures)


def _assigned(gathered: Gathered, held: hold_decision.Decision, terms: Terms) -> Assignment:
    published = gathered.published
    before = Before(published.texts, published.subjects, published.texts.keys() - held.published.keys())
    reserve = terms.settings.login_reserved_days > 0
    return assigned(before, held.roster.records, held.roster.subjects, gathered.holders, reserve=reserve)


def _logins_of_others(gathered: Gathered, held: hold_decision.Decision) -> set[str]:
    """Return the leavers' logins that persons who are out of scope or waiting are published with."""
    gone = [key for key in held.published if key.kind is RecordKind.PERSON and key not in held.roster.records]
    if not gone:
        return set()
    texts = gathered.published.texts
    waiting = (key for key in texts.keys() - held.published.keys() if key.kind is RecordKind.PERSON)
    others = gathered.holders.elsewhere.keys() | set(_logins(texts[key] for key in waiting))
    return set(_logins(texts[key] for key in gone)) & others if others else set()


def _logins(texts: Iterable[str]) -> Iterator[str]:
    return (login for text in texts if (login := published_login(text)) is not None)


def _left(orders: LeaveOrders | None) -> Iterator[int]:
    """Yield the persons whose leaving the source itself confirms.

    It must confirm it by the settings of every target of the owner; otherwise a target with days of grace would export
    the person again.
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
