"""The answer to "is this person in the LMS yet?": in the feed or not, since when, why, and by which delta.

The person is named by the running number alone. Of the id by which the importer knows the person only the kind is
shown.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.reports.hold_texts import HeldFigure, held_lines
from ims.reports.reason_texts import Language, reason_text
from ims.reports.states import PersonState, Situation, explain_obstacle, person_state
from ims.reports.times import local_time
from ims.reports.warning_texts import warning_text
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning


class LastPublication(msgspec.Struct, frozen=True):
    """A delta that mentions the person: its number, when it was published, and the recstatus of each record in it."""

    seq: int
    at: datetime
    records: tuple[tuple[RecordKind, RecStatus], ...]


class Exported(msgspec.Struct, frozen=True):
    """A person's roles and memberships in the feed.

    Attributes:
        id_kind: the kind of the id by which the importer knows the person.
        roles: the roles at the schools; where the feed does not contain them, the roles in the groups.
        memberships: each group's name, and the role in it.
        since: when a delta published the person as new; ``None`` if no delta that is kept did.
    """

    id_kind: Literal["national id", "running number"]
    roles: tuple[InstitutionRole, ...]
    memberships: tuple[tuple[str, RoleType], ...]
    since: datetime | None


class PersonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A person's status at a target.

    Attributes:
        situation: why the target publishes nothing, or ``None`` if it does.
        held: the hold in which the person is; until it is decided, what was published of the person stays.
        exported: the person's roles and memberships in the feed, or ``None`` for a person who is not in it.
        excluded: the first exclusion reason and since when; ``None`` for a person who is in the feed or has not been
            evaluated yet.
        published: the newest delta that mentions the person, or ``None`` if none that is kept does.
        warnings: about the person's data, for a person who is in the feed.
        oldest_delta: number and time of the oldest delta that is kept, or ``None`` if there is none.
    """

    target: str
    situation: Situation | None
    zone: ZoneInfo
    person: int
    exported: Exported | None
    excluded: tuple[Reason, datetime] | None
    held: HeldFigure | None
    published: LastPublication | None
    oldest_delta: tuple[int, datetime] | None
    warnings: tuple[RecordWarning, ...] = ()


class _Words(NamedTuple):
    within: str
    without: str
    unknown: str
    since: str
    since_before: str
    since_first: str
    remedy: str
    groups: str
    no_groups: str
    published: str
    published_before: str
    never_published: str
    held: str
    held_out: str
    reason: str
    id_kinds: dict[str, str]
    roles: dict[InstitutionRole, str]
    group_roles: dict[RoleType, str]
    kinds: dict[RecordKind, str]
    recstatus: dict[RecStatus, str]


_WORDS: Final = {
    Language.ENGLISH: _Words(
        within="Person {person} is in the feed of {target}, as {roles}, under a {id_kind}.",
        without="Person {person} is not in the feed of {target}.",
        unknown="Person {person} has not been evaluated for {target} yet.",
        since="Since {at}.",
        since_before="Since before the oldest delta kept ({seq}, of {at}).",
        since_first="Since before the first delta.",
        remedy="How to correct it: {remedy}",
        groups="In these groups:",
        no_groups="In no group.",
        published="Last published in delta {seq}, of {at}: {records}.",
        published_before="Last published before the oldest delta kept ({seq}, of {at}).",
        never_published="No delta mentions the person.",
        held="Held: person {person} is still in the feed as published, and waits for an approval.",
        held_out="Held: nothing about person {person} is published until a person with the same id is decided on.",
        reason="By the administration system: {meaning} ({reason})",
        id_kinds={"national id": "national id", "running number": "running number"},
        roles={InstitutionRole.STUDENT: "learner", InstitutionRole.STAFF: "teacher"},
        group_roles={RoleType.LEARNER: "learner", RoleType.INSTRUCTOR: "teacher"},
        kinds={RecordKind.PERSON: "person", RecordKind.MEMBERSHIP: "membership"},
        recstatus={RecStatus.NEW: "new", RecStatus.CHANGED: "changed", RecStatus.GONE: "removed"},
    ),
    Language.BOKMAL: _Words(
        within="Person {person} er med i eksporten {target} som {roles}, med {id_kind}.",
        without="Person {person} er ikke med i eksporten {target}.",
        unknown="Person {person} er ikke vurdert for eksporten {target} ennå.",
        since="Siden {at}.",
        since_before="Siden før den eldste endringsfilen som er tatt vare på ({seq}, fra {at}).",
        since_first="Siden før den første endringsfilen.",
        remedy="Rettes slik: {remedy}",
        groups="I disse gruppene:",
        no_groups="Ikke i noen gruppe.",
        published="Sist nevnt i endringsfil {seq}, fra {at}: {records}.",
        published_before="Sist nevnt før den eldste endringsfilen som er tatt vare på ({seq}, fra {at}).",
        never_published="Ingen endringsfil nevner personen.",
        held="På vent: person {person} er fortsatt med i eksporten, og venter på godkjenning.",
        held_out="På vent: ingenting om person {person} eksporteres før det er avgjort hva som skjer med en annen"
        " person med samme id.",
        reason="Ifølge fagsystemet: {meaning} ({reason})",
        id_kinds={"national id": "fødselsnummer, D-nummer eller DUF-nummer", "running number": "løpenummer"},
        roles={InstitutionRole.STUDENT: "deltaker", InstitutionRole.STAFF: "lærer"},
        group_roles={RoleType.LEARNER: "deltaker", RoleType.INSTRUCTOR: "lærer"},
        kinds={RecordKind.PERSON: "person", RecordKind.MEMBERSHIP: "medlemskap"},
        recstatus={RecStatus.NEW: "ny", RecStatus.CHANGED: "endret", RecStatus.GONE: "fjernet"},
    ),
}


def explain(status: PersonStatus, language: Language) -> str:
    """Return the person's status in a few lines."""
    words = _WORDS[language]
    lines = [] if status.situation is None else [explain_obstacle(status.situation, language)]
    state = person_state(in_feed=status.exported is not None, held=status.held is not None, excluded=status.excluded)
    if status.held is not None:
        lines += _held(status, status.held, language)
    if status.exported is not None:
        lines += _within(status, status.exported, language)
    elif state is PersonState.EXCLUDED and status.excluded is not None:
        lines += _without(status, status.excluded, language)
    elif state is PersonState.NOT_PUBLISHED:
        lines.append(words.unknown.format(person=status.person, target=status.target))
    return "\n".join([*lines, _published(status, language)])


def _held(status: PersonStatus, held: HeldFigure, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    yield (words.held if status.exported is not None else words.held_out).format(person=status.person)
    yield from held_lines(held, language)
    if status.excluded is not None:
        reason = status.excluded[0]
        yield words.reason.format(meaning=reason_text(reason, language).meaning, reason=reason)


def _within(status: PersonStatus, exported: Exported, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    yield words.within.format(
        person=status.person,
        target=status.target,
        roles=" + ".join(words.roles[role] for role in exported.roles) or words.kinds[RecordKind.PERSON],
        id_kind=words.id_kinds[exported.id_kind],
    )
    if exported.since is not None:
        yield words.since.format(at=local_time(exported.since, status.zone, language))
    else:
        yield _before(status, words.since_before, words.since_first, language)
    yield words.groups if exported.memberships else words.no_groups
    for group, role in exported.memberships:
        yield f"  {visible(without_national_ids(group))}: {words.group_roles[role]}"
    for warning in status.warnings:
        text = warning_text(warning, language)
        yield f"{text.meaning} ({warning})"
        yield words.remedy.format(remedy=text.remedy)


def _without(status: PersonStatus, excluded: tuple[Reason, datetime], language: Language) -> Iterator[str]:
    words = _WORDS[language]
    reason, since = excluded
    text = reason_text(reason, language)
    yield words.without.format(person=status.person, target=status.target)
    yield f"{text.meaning} ({reason})"
    yield words.remedy.format(remedy=text.remedy)
    yield words.since.format(at=local_time(since, status.zone, language))


def _published(status: PersonStatus, language: Language) -> str:
    words, published = _WORDS[language], status.published
    if published is None:
        return _before(status, words.published_before, words.never_published, language)
    records = ", ".join(
        f"{count} x {words.kinds[kind]} {words.recstatus[recstatus]}"
        for (kind, recstatus), count in sorted(Counter(published.records).items())
    )
    at = local_time(published.at, status.zone, language)
    return words.published.format(seq=published.seq, at=at, records=records)


def _before(status: PersonStatus, before: str, never: str, language: Language) -> str:
    """Return *before*, with the oldest delta kept, for what no delta mentions; *never* if that delta is the first."""
    if status.oldest_delta is None or status.oldest_delta[0] == 1:
        return never
    seq, at = status.oldest_delta
    return before.format(seq=seq, at=local_time(at, status.zone, language))
