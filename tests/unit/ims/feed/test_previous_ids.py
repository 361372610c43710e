import msgspec
import pytest

from ims.errors import FeedError
from ims.feed.delta import between, delta_document
from ims.feed.previous_ids import former_ids, with_old_ids
from ims.records.model import PersonRecord, Record, RecordKey, UserId
from ims.records.vocabulary import RecStatus
from ims.xml.writer import fragment
from tests.unit.ims.xml.pifu_records import ANNA, NORWEGIAN, PIFU, TOR

RUNNING = msgspec.structs.replace(ANNA, id="1001", userids=(UserId("personLIN", "1001"),), old_id=None)
NUMBERED = msgspec.structs.replace(ANNA, old_id=None)


def published(*records: Record) -> dict[RecordKey, str]:
    return {record.key: fragment(record, dialect="pifu") for record in records}


def so_now(*records: Record) -> dict[RecordKey, Record]:
    return {record.key: record for record in records}


def old_id(records: dict[RecordKey, Record], person: PersonRecord) -> str | None:
    record = records[person.key]
    assert isinstance(record, PersonRecord)
    return record.old_id


def test_only_an_id_that_has_changed_has_a_former_one() -> None:
    assert former_ids({7: "1001", 8: "1002", 9: "1003"}, {7: "01810012345", 8: "1002", 10: "1004"}) == {
        "01810012345": "1001"
    }


def test_a_person_whose_id_changes_is_told_with_the_old_one() -> None:
    records = with_old_ids(published(RUNNING, TOR), so_now(NUMBERED, TOR, NORWEGIAN), {NUMBERED.id: RUNNING.id})
    assert records == so_now(ANNA, TOR, NORWEGIAN)


def test_an_old_id_is_told_for_as_long_as_the_person_has_the_new_one() -> None:
    renamed = msgspec.structs.replace(NUMBERED, family_name="Li")
    assert old_id(with_old_ids(published(ANNA), so_now(renamed), {}), renamed) == "1001"
    assert not between(published(ANNA), with_old_ids(published(ANNA), so_now(NUMBERED), {}), "pifu")


def test_an_id_that_changes_again_is_told_with_the_last_one_before() -> None:
    again = msgspec.structs.replace(NUMBERED, id="01810099999")
    assert old_id(with_old_ids(published(ANNA), so_now(again), {again.id: ANNA.id}), again) == ANNA.id


def test_an_id_that_changes_back_is_told_with_the_one_between() -> None:
    assert old_id(with_old_ids(published(ANNA), so_now(RUNNING), {RUNNING.id: ANNA.id}), RUNNING) == ANNA.id


def test_an_old_id_that_is_somebodys_own_is_not_told() -> None:
    other = msgspec.structs.replace(TOR, id="1001")
    records = with_old_ids(published(ANNA), so_now(NUMBERED, other), {})
    assert old_id(records, NUMBERED) is None
    changes = between(published(ANNA), records, "pifu").changes
    assert [(change.recstatus, change.record.key.id) for change in changes] == [
        (RecStatus.NEW, "1001"),
        (RecStatus.CHANGED, ANNA.id),
    ]


def test_two_persons_who_change_ids_with_each_other_are_not_taken_for_one() -> None:
    anna, tor = msgspec.structs.replace(NUMBERED, id=TOR.id), msgspec.structs.replace(TOR, id=NUMBERED.id)
    records = with_old_ids(published(NUMBERED, TOR), so_now(anna, tor), {TOR.id: NUMBERED.id, NUMBERED.id: TOR.id})
    assert (old_id(records, anna), old_id(records, tor)) == (None, None)


def test_a_text_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FeedError):
        with_old_ids({ANNA.key: '<person sourcedidtype="Old"/>'}, so_now(ANNA), {})


def test_the_delta_of_a_changed_id_says_new_and_old_and_takes_nothing_of_the_new_record_with_the_old() -> None:
    current = with_old_ids(published(RUNNING), so_now(NUMBERED), {NUMBERED.id: RUNNING.id})
    delta = between(published(RUNNING), current, "pifu")
    new, gone = delta.changes
    assert (new.recstatus, new.record) == (RecStatus.NEW, ANNA)
    assert gone.recstatus is RecStatus.GONE
    xml = delta_document(msgspec.structs.replace(PIFU, type="delta"), delta).decode()
    record = xml[xml.index('<person recstatus="3">') :]
    assert "<id>1001</id>" in record
    assert "sourcedidtype" not in record
    assert "feideID" not in record, "an importer that goes by it would remove the person who has just been renamed"


def test_the_national_id_that_somebody_has_now_does_not_go_with_the_old_record() -> None:
    running = msgspec.structs.replace(ANNA, id="1001", old_id=None)
    gone = between(published(running), so_now(ANNA), "pifu").changes[1]
    assert (gone.recstatus, gone.record) == (
        RecStatus.GONE,
        msgspec.structs.replace(running, login=None, userids=(), email="anna.bo@fjord.no", roles=()),
    )
