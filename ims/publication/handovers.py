"""Logins that pass from one person to another, divided between two deltas where one cannot do it.

Within a delta the record that gives a login up comes before the one that takes it (:mod:`ims.feed.login_order`). There
is no such order if two persons swap their logins, or several pass them round: one of them is published under a third
name first.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from ims.feed.login_order import Handover
from ims.records.logins import as_compared, without_names
from ims.records.model import PersonRecord, Record, RecordKey, Subjects
from ims.records.vocabulary import RecordKind

INTERIM: Final = "imsfeed-{person}"
"""The third name. It would not do to take the login away: Moodle keeps the old one, and stops at the taker's."""


class Stage(msgspec.Struct, frozen=True):
    """What one delta can do.

    Attributes:
        records: the current records, some of them with another login than they will have.
        handovers: the logins that pass in this delta, without a cycle.
        unfinished: running numbers of the persons whose logins need another delta.
    """

    records: Mapping[RecordKey, Record]
    handovers: list[Handover]
    unfinished: frozenset[int] = frozenset()


def staged(records: Mapping[RecordKey, Record], subjects: Subjects, handovers: list[Handover]) -> Stage:
    """Return the records of which one delta can be made: in each cycle of handovers one person has a third name."""
    to_break = _in_cycles(handovers)
    if not to_break:
        return Stage(records, handovers)
    changed, taken = dict(records), _taken(handovers)
    for id_ in to_break:
        key = RecordKey(RecordKind.PERSON, id_)
        changed[key] = _interim(changed[key], taken[id_], subjects[key][0] or 0)
    unfinished = frozenset(subjects[RecordKey(RecordKind.PERSON, id_)][0] or 0 for id_ in to_break)
    return Stage(changed, [one for one in handovers if one.taker not in to_break], unfinished)


def _taken(handovers: Collection[Handover]) -> Mapping[str, AbstractSet[str]]:
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for one in handovers:
        taken[one.taker].add(one.login)
    return taken


def _interim(record: Record, taken: AbstractSet[str], person: int) -> Record:
    if not isinstance(record, PersonRecord):
        return record
    has_login = record.login is not None and as_compared(record.login) in taken
    record = without_names(record, taken)
    return msgspec.structs.replace(record, login=INTERIM.format(person=person)) if has_login else record


def _in_cycles(handovers: Collection[Handover]) -> set[str]:
    """Return takers without whose handovers there is no cycle: one of each cycle; in time linear in the handovers."""
    after: defaultdict[str, set[str]] = defaultdict(set)
    for one in handovers:
        after[one.giver].add(one.taker)
    found: set[str] = set()
    done: set[str] = set()
    for start in sorted(after):
        path: dict[str, list[str]] = {}
        to_visit = [start]
        while to_visit:
            id_ = to_visit[-1]
            if id_ in done or id_ in found:
                to_visit.pop()
                continue
            if id_ not in path:
                path[id_] = sorted(after.get(id_, ()))
            following = path[id_].pop() if path[id_] else None
            if following is None:
                done.add(id_)
                del path[id_]
                to_visit.pop()
            elif following in path:
                found.add(following)
            elif following not in done:
                to_visit.append(following)
    return found
