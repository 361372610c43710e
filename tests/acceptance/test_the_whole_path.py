"""The real commands as processes, on PostgreSQL and Kafka: from a commit in the source to a file."""

import random
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from kafka import KafkaProducer

from ims.records.model import MemberRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.installation import Installation, installed
from tests.support.waiting import until

STARTED = date(2020, 1, 1)


@pytest.fixture
def installation(source_dsn: str, state_dsn: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Installation]:
    with installed(source_dsn, state_dsn, kafka, topic, tmp_path) as installation:
        yield installation


def a_school_owner(learners: int = 4, groups: int = 3) -> list[Fact]:
    """Return an owner, a school, groups, a teacher 100, and learners, each in the group after the last one's."""
    return [
        an_owner(),
        a_school(1),
        *(a_group(n) for n in range(1, groups + 1)),
        a_person(100),
        an_employee(1, person=100),
        *(a_person(n) for n in range(1, learners + 1)),
        *(an_enrolment(n, person=n, group=1 + n % groups, starts_on=STARTED) for n in range(1, learners + 1)),
    ]


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def membership(group: int, person: int) -> RecordKey:
    return RecordKey(RecordKind.MEMBERSHIP, f"group-{group}", id_of(person))


def test_a_student_leaves_and_the_delta_is_written(installation: Installation) -> None:
    installation.write(*a_school_owner())
    installation.set_up(export_path="Eksport.xml")
    installation.start()
    manifest = installation.first_manifest()
    assert (manifest.snapshot.seq, manifest.head_seq, manifest.snapshot.counts.person) == (0, 0, 5)

    installation.write(an_enrolment(1, person=1, group=2, starts_on=STARTED, status="withdrawn"))
    (delta,) = until(installation.deltas, what="a delta")
    assert {(record.key, recstatus) for record, recstatus in delta} == {
        (RecordKey(RecordKind.PERSON, id_of(1)), RecStatus.GONE),
        (membership(2, 1), RecStatus.GONE),
    }
    text = (installation.target / "deltas/1.xml").read_text()
    assert '<role roletype="01" recstatus="3">\n        <status>0</status>' in text

    until(lambda: id_of(1) not in (installation.target / "Eksport.xml").read_text(), what="the leaver left Eksport.xml")
    assert installation.metric("compact", "imsfeed_end_to_end_seconds_count") == 1
    assert installation.imsfeed("snapshot", "--now", "lms").strip().endswith("-1.xml")
    assert "2 snapshots, 1 deltas" in installation.imsfeed("verify", str(installation.folder / "feed"))
    assert installation.stop() == {"capture": 0, "materialize": 0, "compact": 0}


def test_a_move_in_one_transaction_is_one_delta(installation: Installation) -> None:
    """Even if moves follow each other fast, every delta that ends a membership contains the new one too."""
    learners = 10
    installation.write(*a_school_owner(learners))
    installation.set_up(hold_hour_persons=learners, hold_day_persons=learners)
    installation.start()
    installation.first_manifest()
    chance = random.Random(1)
    serial = learners
    at = {n: (n, 1 + n % 3) for n in range(1, learners + 1)}
    for _ in range(60):
        person = chance.randint(1, learners)
        enrolment, group = at[person]
        serial, new = serial + 1, 1 + group % 3
        installation.write(
            an_enrolment(enrolment, person=person, group=group, starts_on=STARTED, status="moved"),
            an_enrolment(serial, person=person, group=new, starts_on=STARTED),
        )
        at[person] = (serial, new)
    expected = {membership(group, person) for person, (_, group) in at.items()}

    def published() -> set[RecordKey]:
        return {key for key in installation.published() if key.kind is RecordKind.MEMBERSHIP}

    until(lambda: published() == expected, what=f"the last moves were published; {installation.last_lines()}")
    for delta in installation.deltas():
        left = [r.person for r, status in delta if isinstance(r, MemberRecord) and status is RecStatus.GONE]
        came = [r.person for r, status in delta if isinstance(r, MemberRecord) and status is RecStatus.NEW]
        assert sorted(left) == sorted(came)
    assert installation.verification().problems == []


def test_stopping_any_process_in_the_middle_loses_nothing(installation: Installation) -> None:
    learners = 30
    installation.write(*a_school_owner(learners))
    installation.set_up(hold_hour_persons=learners, hold_day_persons=learners)
    installation.start()
    installation.first_manifest()
    chance = random.Random(2)
    enrolled = dict.fromkeys(range(1, learners + 1), True)
    for turn in range(12):
        name = ("capture", "materialize", "compact")[turn % 3]
        for n in chance.sample(sorted(enrolled), 8):
            enrolled[n] = not enrolled[n]
            status = "active" if enrolled[n] else "withdrawn"
            installation.write(an_enrolment(n, person=n, group=1 + n % 3, starts_on=STARTED, status=status))
            if n % 4 == 0 and name in installation.processes:
                by = signal.SIGTERM if turn < 9 else signal.SIGKILL
                # SIGTERM ends a process that has not installed its handler yet.
                assert installation.stop(name, by=by)[name] in {0, -by}
        if name not in installation.processes:
            installation.start(name)
    expected = {membership(1 + n % 3, n) for n, active in enrolled.items() if active}

    def published() -> set[RecordKey]:
        return {key for key in installation.published() if key.kind is RecordKind.MEMBERSHIP}

    until(
        lambda: published() == expected, within=60, what=f"the last changes were published; {installation.last_lines()}"
    )
    verification = installation.verification()
    assert verification.problems == []
    assert verification.deltas > 0


def test_bad_input_stops_nothing_and_is_counted_and_listed(installation: Installation, kafka: str, topic: str) -> None:
    installation.write(*a_school_owner())
    installation.set_up()
    installation.start()
    installation.first_manifest()

    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    for value in (
        b'{"op":"c","after":',
        b'{"op":"u","after":{"id":1}}',
        b'{"op":"?","source":{"schema":"a","table":"b"}}',
    ):
        producer.send(topic, value, partition=1).get(timeout=30)
    producer.close()
    with installation.source.transaction():
        installation.source.execute("update enrolment set ends_on = '5874897-12-31' where id = 2")
    installation.write(
        a_person(50, family_name=""), an_enrolment(50, person=50, group=1, starts_on=STARTED), a_group(60, school=99)
    )
    installation.write(a_person(3, given_name="Etter"))

    until(
        lambda: len(installation.deltas()) > 0, what=f"the change after them was published; {installation.last_lines()}"
    )
    status = installation.status()
    assert sorted(message["reason"] for message in status["quarantine"]) == [
        "impossible_value",
        "not_an_envelope",
        "not_json",
        "unknown_op",
    ]
    (target,) = status["targets"]
    excluded = {(one["kind"], one["id"]): one["reason"] for one in target["excluded"]}
    assert excluded == {("person", 50): "name_incomplete", ("group", 60): "school_unknown"}
    assert membership(3, 2) in installation.published(), "an unreadable change has removed nothing"
    quarantined = 'imsfeed_events_quarantined_total{reason="impossible_value"}'
    assert installation.metric("materialize", quarantined) == 1
    until(lambda: installation.metric("materialize", "imsfeed_quarantine_size") == 4, what="the quarantine is counted")


def test_every_process_reports_its_health_without_national_ids(installation: Installation) -> None:
    installation.write(*a_school_owner())
    installation.set_up()
    installation.start()
    installation.first_manifest()
    installation.write(a_person(2, family_name="Ny", national_id=id_of(200)))
    until(installation.deltas, what="a delta")
    for name in installation.processes:
        assert installation.get(name, "/healthz")[0] == 200
        assert until(lambda name=name: installation.get(name, "/readyz")[0] == 200, what=f"{name} is ready")  # type: ignore[misc]
    until(
        lambda: installation.metric("materialize", 'imsfeed_heartbeat_timestamp_seconds{partition="1"}') > 0,
        what="a heartbeat came through",
    )
    printed = [installation.get(name)[1] for name in installation.processes] + [
        installation.imsfeed("status", "--json")
    ]
    installation.stop()
    printed += [installation.log(name).read_text() for name in ("capture", "materialize", "compact")]
    for number in (*range(1, 5), 100, 200):
        assert not any(id_of(number) in text for text in printed)


def test_setup_is_idempotent_and_a_dry_run_changes_nothing(installation: Installation) -> None:
    planned = installation.imsfeed("setup", "source", "--dry-run")
    assert "create publication" in planned.lower()
    assert (
        installation.source.execute("select 1 from pg_replication_slots where database = current_database()").fetchall()
        == []
    )
    assert installation.imsfeed("setup", "source").lower().count("create publication") == 1
    assert "set up already" in installation.imsfeed("setup", "source")
    assert "set up already" in installation.imsfeed("setup", "source", "--dry-run")


def test_one_container_runs_all_three(installation: Installation) -> None:
    installation.write(*a_school_owner())
    installation.set_up()
    installation.start("run")
    installation.first_manifest()
    installation.write(an_enrolment(2, person=2, group=3, starts_on=STARTED, status="withdrawn"))
    until(installation.deltas, what=f"a delta; {installation.last_lines()}")
    assert installation.stop("run") == {"run": 0}


def test_a_new_load_finds_a_missed_leave(installation: Installation) -> None:
    """The slot was dropped before capture had read a leave: a new load finds it, and the operator approves it."""
    installation.write(*a_school_owner())
    installation.set_up()
    installation.start()
    installation.first_manifest()
    installation.stop("capture")
    slot = installation.environment["SOURCE_SLOT"]
    installation.source.execute("select pg_drop_replication_slot(%s)", (slot,))
    installation.source.execute("delete from enrolment where id = 1")
    assert "imsfeed resync all" in installation.imsfeed("capture", code=2)
    assert "requested" in installation.imsfeed("resync", "all", "--no-wait")
    installation.start("capture")
    (hold,) = until(lambda: installation.status()["targets"][0]["holds"], what=f"a hold; {installation.last_lines()}")
    assert (hold["cause"], hold["persons"], installation.deltas()) == ("resync", 1, [])
    decision = ("--digest", hold["digest"], "--reason", "the leave was missed")
    installation.imsfeed("holds", "approve", str(hold["hold_id"]), *decision)
    (delta,) = until(installation.deltas, what=f"a delta; {installation.last_lines()}")
    assert {(record.key, recstatus) for record, recstatus in delta} == {
        (RecordKey(RecordKind.PERSON, id_of(1)), RecStatus.GONE),
        (membership(2, 1), RecStatus.GONE),
    }
