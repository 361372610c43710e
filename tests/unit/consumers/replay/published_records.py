"""Keys of records, and the records that a replay publishes."""

from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from tests.support.builders import (
    a_person,
)
from tests.support.events import Replayer

HOUR = 3600.0


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def member(group: int, person: int) -> RecordKey:
    return RecordKey(RecordKind.MEMBERSHIP, f"group-{group}", id_of(person))


def person(number: int) -> RecordKey:
    return RecordKey(RecordKind.PERSON, id_of(number))


def said(replayer: Replayer, seq: int) -> set[tuple[RecordKey, RecStatus | None]]:
    return {(record.key, recstatus) for record, recstatus in replayer.delta(seq)}
