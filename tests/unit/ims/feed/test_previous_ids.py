import msgspec
import pytest

from ims.errors import FeedError
from ims.feed.delta import between, delta_document
from ims.feed.previous_ids import former_ids, with_old_ids
from ims.records.model import PersonRecord, Record, RecordKey, UserId
from ims.records.vocabulary import RecStatus
from ims.xml.writer import fragment
from tests.support.builders import a_birth_number
from tests.unit.ims.xml.pifu_records import ANNA, NORWEGIAN, PIFU, TOR

RUNNING = msgspec.structs.replace(ANNA, id="1001", userids=(UserId("personLIN", "1001"),), old_id=None)
NUMBERED = msgspec.structs.replace(ANNA, old_id=None)


def published(*records: Record) -> dict[RecordKey, str]:
    return {record.key: fragment(record, dialect="pifu") for record in records}


def current(*records: Record) -> dict[RecordKey, Record]:
    return {record.key: record for record in records}


def old_id(records: dict[RecordKey, Record], person: PersonRecord) -> str | None:
    record = records[person.key]
    assert isinstance(record, PersonRecord)
    return record.old_id


def test_only_a_changed_id_has_a_former_one() -> None:
    assert former_ids({7: "1001", 8: "1002", 9: "1003"}, {7: "01810012345", 8: "1002", 10: "1004"}) == {
        "01810012345": "1001"
    }


def test_a_person_whose_id_changes_is_published_with_the_old_one() -> None:
    records = with_old_ids(published(RUNNING, TOR), current(NUMBERED, TOR, NORWEGIAN), {NUMBERED.id: RUNNING.id})
    assert records == current(ANNA, TOR, NORWEGIAN)


def test_an_old_id_is_published_while_the_new_one_lasts() -> None:
    renamed = msgspec.structs.replace(NUMBERED, family_name="Li")
    assert old_id(with_old_ids(published(ANNA), current(renamed), {}), renamed) == "1001"
    assert not between(published(ANNA), with_old_ids(published(ANNA), current(NUMBERED), {}), "pifu")


def test_an_id_that_changes_again_has_the_last_previous_one() -> None:
    again = msgspec.structs.replace(NUMBERED, id="01810099999")
    assert old_id(with_old_ids(published(ANNA), current(again), {again.id: ANNA.id}), again) == ANNA.id


def test_an_id_that_changes_back_has_the_intermediate_one() -> None:
    assert old_id(with_old_ids(published(ANNA), current(RUNNING), {RUNNING.id: ANNA.id}), RUNNING) == ANNA.id


def test_an_old_id_that_another_person_has_is_not_published() -> None:
    other = msgspec.structs.replace(TOR, id="1001")
    records = with_old_ids(published(ANNA), current(NUMBERED, other), {})
    assert old_id(records, NUMBERED) is None
    changes = between(published(ANNA), records, "pifu").changes
    assert [(change.recstatus, change.record.key.id) for change in changes] == [
        (RecStatus.NEW, "1001"),
        (RecStatus.CHANGED, ANNA.id),
    ]


def test_two_persons_who_exchange_ids_have_no_old_ids() -> None:
    anna, tor = msgspec.structs.replace(NUMBERED, id=TOR.id), msgspec.structs.replace(TOR, id=NUMBERED.id)
    records = with_old_ids(published(NUMBERED, TOR), current(anna, tor), {TOR.id: NUMBERED.id, NUMBERED.id: TOR.id})
    assert (old_id(records, anna), old_id(records, tor)) == (None, None)


def test_a_published_text_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FeedError):
        with_old_ids({ANNA.key: '<person sourcedidtype="Old"/>'}, current(ANNA), {})


def test_a_removed_old_id_keeps_no_userids_of_the_new_record() -> None:
    records = with_old_ids(published(RUNNING), current(NUMBERED), {NUMBERED.id: RUNNING.id})
    delta = between(published(RUNNING), records, "pifu")
    new, gone = delta.changes
    assert (new.recstatus, new.record) == (RecStatus.NEW, ANNA)
    assert gone.recstatus is RecStatus.GONE
    xml = delta_document(msgspec.structs.replace(PIFU, type="delta"), delta).decode()
    record = xml[xml.index('<person recstatus="3">') :]
    assert "<id>1001</id>" in record
    assert "sourcedidtype" not in record
    assert "feideID" not in record, "an importer that matches by Feide name would remove the renamed person"


def test_a_removed_old_id_keeps_no_national_id_in_use() -> None:
    running = msgspec.structs.replace(ANNA, id="1001", old_id=None)
    gone = between(published(running), current(ANNA), "pifu").changes[1]
    assert (gone.recstatus, gone.record) == (
        RecStatus.GONE,
        msgspec.structs.replace(running, login=None, userids=(), email="anna.bo@fjord.no", roles=()),
    )


def test_an_old_id_that_is_a_national_id_goes_with_the_setting() -> None:
    number = a_birth_number(7)
    running = msgspec.structs.replace(RUNNING, old_id=number)
    for before, former in ((published(running), {}), (published(NUMBERED), {RUNNING.id: number})):
        kept = with_old_ids(before, current(RUNNING), former)
        assert old_id(kept, RUNNING) == number
        assert old_id(with_old_ids(before, current(RUNNING), former, national_ids=False), RUNNING) is None
    assert old_id(with_old_ids(published(ANNA), current(NUMBERED), {}, national_ids=False), NUMBERED) == "1001"
