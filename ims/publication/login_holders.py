"""Which logins a scope has, who else has them, and what becomes of a person who does not get the wanted one."""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from ims.records.logins import names_of, published_names
from ims.records.model import PersonRecord, Record, RecordKey, Subjects
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from ims.rules.roster import Roster
from ims.targets.target_settings import TargetSettings


class LoginHolders(msgspec.Struct, frozen=True):
    """Who has the logins that are published or wanted in a scope, besides the persons in it.

    Attributes:
        elsewhere: the running number of the person out of scope who is published with a login; of several the smallest.
        reserved: the persons who may have the login of a person who has left: that person, under every running number.
        same: the running numbers that have the national id of a person in scope, where that matters.
    """

    elsewhere: Mapping[str, int] = {}
    reserved: Mapping[str, AbstractSet[int]] = {}
    same: Mapping[int, AbstractSet[int]] = {}


def names_in(published: Mapping[RecordKey, str]) -> set[str]:
    """Return the logins and Feide names with which persons are published."""
    texts = (text for key, text in published.items() if key.kind is RecordKind.PERSON)
    return {name for text in texts for name in published_names(text).compared().both()}


def wanted_names(records: Mapping[RecordKey, Record], subjects: Subjects) -> dict[str, set[int]]:
    """Return the running numbers of the persons whose records have each login or Feide name."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for key, record in records.items():
        for name in names_of(record) if isinstance(record, PersonRecord) else ():
            wanted[name].add(subjects[key][0] or 0)
    return dict(wanted)


def leavers(
    published: Mapping[RecordKey, str], subjects: Subjects, roster: Roster, wanted: Mapping[str, AbstractSet[int]]
) -> set[int]:
    """Return the published persons who are current no more, and whose login is another running number's now."""
    current = roster.person_ids
    found = set()
    for key, text in published.items():
        person = subjects[key][0]
        if key.kind is RecordKind.PERSON and key not in roster.records and person is not None and person not in current:
            found |= {
                person for name in published_names(text).compared().both() if wanted.get(name, frozenset()) - {person}
            }
    return found


def with_logins(
    roster: Roster,
    records: dict[RecordKey, Record],
    denied: AbstractSet[int],
    published: Mapping[RecordKey, str],
    settings: TargetSettings,
) -> Roster:
    """Return the roster with the assigned logins, and a warning about each person who does not get one.

    If the target excludes such persons, those who were not published yet are excluded. One who was keeps the access:
    it must not depend on what is typed for another person.
    """
    if not denied:
        return msgspec.structs.replace(roster, records=records)
    kept = {person: key for key in records if (person := _published_person(key, roster, published)) is not None}
    out = {person for person in denied if person not in kept} if settings.shared_login == "exclude" else set[int]()
    reasons = {(RecordKind.PERSON, person): Reason.LOGIN_TAKEN for person in out}
    warnings = {
        key: (*roster.warnings.get(key, ()), RecordWarning.LOGIN_TAKEN)
        for key in ((RecordKind.PERSON, person) for person in denied if person not in out)
    }
    records = {key: record for key, record in records.items() if roster.subjects[key][0] not in out}
    return Roster(
        records,
        {key: roster.subjects[key] for key in records},
        roster.excluded | reasons,
        {key: of for key, of in roster.warnings.items() if key not in reasons} | warnings,
    )


def _published_person(key: RecordKey, roster: Roster, published: Mapping[RecordKey, str]) -> int | None:
    return roster.subjects[key][0] if key.kind is RecordKind.PERSON and key in published else None
