"""The export of the topic as a file without personal data that replays like the original."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.materialize.kafka_source import OffsetLostError
from consumers.replay import events_file
from consumers.replay.events_file import MessageLine
from consumers.replay.export_events import Exporter, export
from consumers.replay.pseudonyms import KEPT, Pseudonyms
from consumers.replay.replay import Replay, Result
from consumers.replay.substitute_ids import SubstituteIds
from ims.errors import InvalidSettingsError
from ims.identifiers import compact
from ims.identifiers.national_id import NationalId, kind_of
from ims.source.events import UNAVAILABLE
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, REFERENCE_MAPPING, SourceMapping, parse_mapping
from tests.support.builders import (
    a_birth_number,
    a_d_number,
    a_debezium_event,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.events import START, Scenario
from tests.support.memory.capture import MemoryTopic

WRONG = a_birth_number(7)[:-1] + str((int(a_birth_number(7)[-1]) + 1) % 10)
NUMBERS = [a_birth_number(1), a_birth_number(2), a_d_number(3), a_duf_number(4), WRONG, "204012345678", "99999912345"]


@pytest.fixture
def scenario() -> Scenario:
    """Return persons with every kind of national id, one of them twice, changes, and messages that are refused."""
    scenario = Scenario()
    scenario.commit(0, an_owner(), a_school(1), a_group(1, code="Kari K", name="Enetime Kari"), op="r", whole=False)
    people = [
        a_person(n, national_id=number, given_name=f"Ola{n}", mobile=f"9912345{n}", email=None)
        for n, number in enumerate([*NUMBERS, NUMBERS[0]], 1)
    ]
    scenario.commit(0, *people, an_employee(1, person=2), op="r", whole=False)
    scenario.commit(0, *(an_enrolment(n, person=n) for n in range(1, 9)), op="r")
    scenario.commit(1, a_person(1, given_name="Ola1", national_id=a_birth_number(9)))
    scenario.commit(2, an_enrolment(3, person=3), op="d")
    scenario.commit(3, a_person(4, given_name=" ", feide_name=f"{NUMBERS[3]}@fjordvik.example"))
    return scenario


def topic_of(scenario: Scenario, *values: bytes) -> MemoryTopic:
    topic = MemoryTopic(2)
    for text in scenario.text:
        (line,) = events_file.read([text], "events")
        assert isinstance(line, MessageLine)
        topic.append(line.partition, line.value)
    for value in values:
        topic.append(0, value)
    return topic


def exported(
    topic: MemoryTopic,
    mapping: SourceMapping = REFERENCE_MAPPING,
    owner: int | None = None,
    from_offsets: Mapping[int, int] | None = None,
) -> list[bytes]:
    exporter = Exporter(mapping, 0, b"key", owner)
    return [*export(lambda: copy_of(topic), exporter, from_offsets or {}, lambda _: lambda: None)]


def copy_of(topic: MemoryTopic) -> MemoryTopic:
    copy = MemoryTopic(0, limit=3)
    copy._log = topic._log
    return copy


def replay(lines: list[bytes], root: Path) -> Result:
    return Replay([a_target(group_id="{code}")], root).run(events_file.read(lines, "events"))


def test_nothing_of_the_original_is_in_the_file(scenario: Scenario) -> None:
    text = b"".join(exported(topic_of(scenario, b"Ola1 in no JSON", b'{"op":"c","after":{"name":"Ola1"}}'))).decode()
    for original in ("Ola", "Testesen", "99123", "fjordvik.example", "Kari", "Ada", *NUMBERS, a_birth_number(9)):
        assert original not in text, original
    assert "Given 1" in text
    assert "Family 1" in text


def test_the_file_replays_to_the_same_counts(scenario: Scenario, tmp_path: Path) -> None:
    end = START + timedelta(seconds=4)

    def late(lsn: int, **source: Any) -> dict[str, Any]:
        at = int(end.timestamp() * 1000)
        return {"lsn": lsn, "sequence": None, "epoch": 1, "ts_ms": at} | source

    values = [
        b'{"no":"envelope","op":"c"}',
        a_debezium_event("x"),
        a_debezium_event("c", after={}, source={"ts_ms": 10**18}),
        a_debezium_event("c", after={"id": 1}, source=late(1001, table="grades")),
        a_debezium_event("c", after={"owner_id": 1, "id": 1, "starts_on": "Ola"}, source=late(1002, table="enrolment")),
        a_debezium_event("t", source=late(1003)),
        a_debezium_event("d", before={"owner_id": 1, "id": 2}, source=late(1004, table="enrolment")),
        a_debezium_event("d", before={"owner_id": 1, "id": 9}, source=late(900, table="enrolment")),
        b'{"status":"BEGIN"}',
    ]
    original = [*scenario.text, *(events_file.message_line(end, value) for value in values)]
    original.append(events_file.raw_line(end, "{"))
    first = replay(original, tmp_path / "one")
    second = replay(exported(topic_of(scenario, *values, b"{")), tmp_path / "two")
    assert first.refused == {
        "impossible_value": 2,
        "not_an_envelope": 1,
        "not_json": 1,
        "truncate": 1,
        "unknown_op": 1,
        "unknown_table": 1,
    }
    assert second.refused == first.refused
    assert second.duplicates == first.duplicates == 1
    assert second.targets == first.targets
    assert first.targets[0].deltas == 4


def test_partitions_keep_their_order_and_are_merged_by_time() -> None:
    scenario = Scenario()
    scenario.commit(5, a_person(1))
    scenario.commit(3, a_person(2))
    scenario.commit(4, a_person(3), partition=1)
    scenario.commit(6, a_person(4), partition=1)
    found = [json.loads(line) for line in exported(topic_of(scenario))]
    assert [(one["at"][17:19], one.get("partition", 0), one["value"]["after"]["id"]) for one in found] == [
        ("04", 1, 3),
        ("05", 0, 1),
        ("05", 0, 2),
        ("06", 1, 4),
    ]


def test_only_one_owner_is_written_and_its_transactions_end(scenario: Scenario) -> None:
    scenario.commit(9, a_person(1), an_owner(owner_id=3))
    scenario.commit(10, an_owner(owner_id=3), a_person(2))
    topic = topic_of(scenario, b"no JSON")
    found = [json.loads(line)["value"] for line in exported(topic, owner=1)][-2:]
    assert [one["after"]["id"] for one in found] == [1, 2]
    assert [one["transaction"]["last"] for one in found] == [True, True]
    assert exported(topic, owner=4) == []


def test_heartbeats_are_not_written(scenario: Scenario) -> None:
    beat = a_debezium_event("u", after={"partition": 0}, source={"schema": "imsfeed", "table": "heartbeat"})
    assert exported(topic_of(scenario, beat)) == exported(topic_of(scenario))


def test_a_partition_may_begin_later(scenario: Scenario) -> None:
    topic = topic_of(scenario)
    assert len(exported(topic, from_offsets={0: len(scenario.text) - 1})) == 1
    with pytest.raises(OffsetLostError):
        exported(topic, from_offsets={0: 999})
    with pytest.raises(InvalidSettingsError, match="no partition 7"):
        exported(topic, from_offsets={7: 0})


def test_another_schema_is_written_by_our_names() -> None:
    mapping = parse_mapping('[person]\ntable = "elev"\ncolumns = { given_name = "fornavn" }')
    topic = MemoryTopic(1)
    row = {"owner_id": 1, "id": 1, "fornavn": "Kari", "hemmelig": "Kari"}
    for table in ("elev", "person"):
        topic.append(0, a_debezium_event("c", after=row, source={"table": table}))
    found = [json.loads(line)["value"] for line in exported(topic, mapping=mapping)]
    assert [(one["source"]["table"], one["after"]) for one in found] == [
        ("person", {"owner_id": 1, "id": 1, "given_name": "Given 1"}),
        ("unmapped person", {}),
    ]


def test_a_deleted_rows_key_may_be_the_message_key() -> None:
    topic = MemoryTopic(1)
    topic.append(0, a_debezium_event("d"), b'{"owner_id":1,"id":5,"name":"Kari"}')
    (line,) = exported(topic)
    assert json.loads(line)["value"]["before"] == {"owner_id": 1, "id": 5}


def test_every_column_is_either_kept_or_replaced() -> None:
    pseudonyms = Pseudonyms(b"key")
    for table, columns in COLUMNS.items():
        assert KEPT[table] | pseudonyms.replaced(table) == set(columns), table
        assert not KEPT[table] & pseudonyms.replaced(table)


def test_the_same_original_is_replaced_by_the_same_text() -> None:
    pseudonyms = Pseudonyms(b"key")
    rows = [
        pseudonyms.row(Table.PERSON, {"given_name": name, "email": mail, "feide_name": feide})
        for name, mail, feide in (
            ("Kari", "kari@a.no", "KARI@a.no"),
            (" Kari", "ola@a.no", None),
            ("Ola", None, "ola@a.no"),
            (" ", "", UNAVAILABLE),
        )
    ]
    assert rows == [
        {"given_name": "Given 1", "email": "user1@example.org", "feide_name": "user1@example.org"},
        {"given_name": "Given 1", "email": "user2@example.org", "feide_name": None},
        {"given_name": "Given 2", "email": None, "feide_name": "user2@example.org"},
        {"given_name": "", "email": "", "feide_name": UNAVAILABLE},
    ]


def test_a_number_in_a_kept_text_is_replaced() -> None:
    row = Pseudonyms(b"key").row(Table.COURSE_GROUP, {"kind": f"class {NUMBERS[0][:6]} {NUMBERS[0][6:]}"})
    assert row["kind"].startswith("class ")
    assert NUMBERS[0][6:] not in row["kind"]


def test_an_unknown_word_stays_unknown_without_its_letters() -> None:
    assert Pseudonyms(b"key").row(Table.ENROLMENT, {"status": "Kari", "role": "learner"}) == {
        "status": "unknown",
        "role": "learner",
    }


def test_a_login_with_a_national_id_gets_the_substitute() -> None:
    row = Pseudonyms(b"key").row(Table.PERSON, {"national_id": NUMBERS[0], "feide_name": f"{NUMBERS[0]}@fjordvik.no"})
    assert row["feide_name"] == f"{row['national_id']}@example.org"


def test_an_unknown_column_is_dropped() -> None:
    assert Pseudonyms(b"key").row(Table.PERSON, {"id": 7, "diagnosis": "Kari"}) == {"id": 7}


def test_a_value_that_is_impossible_stays_impossible_and_unknown() -> None:
    row = {"owner_id": "Kari", "protected": ["Kari"], "birth_date": "Kari", "given_name": True}
    assert set(Pseudonyms(b"key").row(Table.PERSON, row).values()) == {"\0"}
    dates = {"starts_on": "2026-10-15T00:00:00 Kari", "ends_on": "infinity"}
    assert Pseudonyms(b"key").row(Table.ENROLMENT, dates) == {"starts_on": "\0", "ends_on": None}


def test_another_run_gives_other_numbers() -> None:
    assert SubstituteIds(b"one").instead_of(NUMBERS[0]) != SubstituteIds(b"two").instead_of(NUMBERS[0])


@given(
    st.one_of(
        st.sampled_from(NUMBERS),
        st.integers(0, 10**11 - 1).map("{:011}".format),
        st.integers(0, 10**12 - 1).map("{:012}".format),
        st.text(max_size=20),
    )
)
def test_a_substitute_id_is_as_valid_as_the_original(number: str) -> None:
    synthetic = SubstituteIds(b"key").instead_of(number)
    for strict in (True, False):
        kinds = [kind_of(NationalId(one), allow_test_numbers=True, duf_check=strict) for one in (number, synthetic)]
        assert kinds[0] == kinds[1]
    assert bool(synthetic) == bool(compact(number))


class UnluckyIds(SubstituteIds):
    """Substitute ids with the same first choice for every number."""

    def _chance(self, number: str, attempt: int) -> int:
        assert number
        return attempt


def test_two_numbers_never_have_one_substitute() -> None:
    ids = UnluckyIds(b"key")
    for numbers in ([a_birth_number(n) for n in range(50)], [a_duf_number(n) for n in range(50)]):
        assert len({ids.instead_of(number) for number in numbers}) == 50
