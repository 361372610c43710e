"""Short forms for tests of the feed: keys of records, and the changes of the next delta."""

from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord
from tests.support.builders import a_person
from tests.support.pipeline import Pipeline

Entries = set[tuple[RecordKey, RecStatus | None]]
"""The entries of a delta: key and recstatus of each record."""


def id_of(number: int) -> str:
    """Return the national id of person *number* as built by :func:`a_person`."""
    national_id = a_person(number).national_id
    assert national_id is not None
    return national_id.reveal()


def person(number: int) -> RecordKey:
    """Return the key of a person."""
    return RecordKey(RecordKind.PERSON, id_of(number))


def group(id_: str) -> RecordKey:
    """Return the key of a group."""
    return RecordKey(RecordKind.GROUP, id_)


def member(group_id: str, number: int) -> RecordKey:
    """Return the key of a person's membership."""
    return RecordKey(RecordKind.MEMBERSHIP, group_id, id_of(number))


def changes(records: list[ReadRecord]) -> Entries:
    """Return what a delta's records say: which key is new, changed or deleted."""
    return {(record.key, recstatus) for record, recstatus in records}


def approved(pipeline: Pipeline) -> Entries:
    """Approve everything on hold, and return the changes of the one delta that follows; before it there is none."""
    assert next_delta(pipeline) == set()
    before = pipeline.manifest().head_seq
    pipeline.approve()
    assert pipeline.manifest().head_seq == before + 1
    return {(record.key, recstatus) for record, recstatus in pipeline.delta(before + 1)}


def next_delta(pipeline: Pipeline, **later: float) -> Entries:
    """Let time pass, and return the changes of the one delta that follows, or none if there is no delta."""
    before = pipeline.manifest().head_seq
    pipeline.compact(**later or {"seconds": 1})
    after = pipeline.manifest().head_seq
    assert after in {before, before + 1}
    return {(record.key, recstatus) for record, recstatus in pipeline.delta(after)} if after > before else set()
