"""The stream, with doubles of the replication connection and of the Kafka producer."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from kafka.future import Future
from prometheus_client import CollectorRegistry

from ims.errors import InvalidSettingsError
from ims.runtime import kafka_internals
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.capture.process import run
from producers.capture.stream import Stream
from producers.events.change_events import ChangeStream
from producers.events.ordered_events import Origin
from producers.events.publisher import Publisher
from producers.source.captured_table import CapturedTable, TableName
from producers.source.pgoutput import ProtocolError
from producers.source.replication import Data, Keepalive
from tests.unit.producers.source import pgoutput_bytes as pg
from tests.unit.producers.source.pgoutput_bytes import PERSON

NAME = TableName("public", "person")


class Walsender:
    """A double of the replication connection; the test puts messages on it."""

    def __init__(self) -> None:
        self.arriving: list[Data | Keepalive] = []
        self.confirmed: list[int] = []
        self.waits: list[tuple[float, bool]] = []

    def read(self, limit: int) -> Iterator[Data | Keepalive]:
        while self.arriving and limit:
            limit -= 1
            yield self.arriving.pop(0)

    def confirm(self, lsn: int, _now: float) -> None:
        self.confirmed.append(lsn)

    def wait(self, seconds: float, *, for_data: bool = True) -> None:
        self.waits.append((seconds, for_data))

    def end(self, _seconds: float) -> bool:
        assert not self.arriving
        return True


class Producer:
    """A double of the Kafka producer; the test acknowledges its messages."""

    def __init__(self) -> None:
        self.futures: list[Any] = []

    def send(self, _topic: str, **_: Any) -> Any:
        self.futures.append(Future())
        return self.futures[-1]

    def flush(self, timeout: float) -> None:
        assert timeout > 0
        self.acknowledge()

    def acknowledge(self) -> None:
        for future in self.futures:
            if not future.is_done:
                future.success(None)


class Confirmation:
    """A double that stores each position immediately, unless the test sets ``stored``."""

    def __init__(self) -> None:
        self.stored: int | None = None

    def confirmable(self, lsn: int) -> int:
        return lsn if self.stored is None else min(lsn, self.stored)


class Load:
    """A double of an owner's load, with a snapshot at 1500."""

    point = 1_500

    def __init__(self, rig: "Rig") -> None:
        self.rig = rig
        self.sent_after: int | None = None
        self.closed = False

    def send(self, _sender: Publisher, _metrics: CaptureMetrics) -> None:
        self.sent_after = len(self.rig.producer.futures)

    def close(self) -> None:
        self.closed = True


class Rig:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.walsender = Walsender()
        self.producer = Producer()
        metrics = CaptureMetrics(self.registry)
        changes = ChangeStream(Origin("adm", 1), {NAME: CapturedTable(NAME, "owner_id", ("id",), ())}, 4)
        list(changes.feed(1, pg.relation()))
        self.confirmation = Confirmation()
        sender = Publisher(self.producer, "changes", metrics)
        walsender, confirmation = cast("Any", self.walsender), cast("Any", self.confirmation)
        self.stream = Stream(walsender, sender, changes, 2, metrics, confirmation)
        self.load = Load(self)

    def turn(self, *arriving: bytes | Keepalive) -> None:
        items = (item if isinstance(item, Keepalive) else Data(900, item) for item in arriving)
        self.walsender.arriving.extend(items)
        self.stream.turn()

    def lag(self) -> float:
        return self.registry.get_sample_value("imsfeed_source_lag_seconds") or 0


@pytest.fixture
def rig() -> Rig:
    return Rig()


ASKED = Keepalive(2_000, reply_requested=True)
A_PERSON = pg.insert(PERSON, pg.a_person())


def test_an_idle_keepalive_is_confirmed_in_the_same_turn(rig: Rig) -> None:
    rig.turn(ASKED)
    assert rig.walsender.confirmed == [2_000]


def test_a_keepalive_in_the_middle_of_a_transaction_confirms_nothing(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, ASKED)
    rig.producer.acknowledge()
    rig.turn(ASKED)
    assert set(rig.walsender.confirmed) == {0}


def test_a_keepalive_after_a_commit_waits_for_the_commits_messages(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, pg.commit(1_048), ASKED)
    assert set(rig.walsender.confirmed) == {0}
    rig.producer.acknowledge()
    rig.turn(ASKED)
    assert rig.walsender.confirmed[-1] == 2_000


def test_only_a_stored_position_is_confirmed(rig: Rig) -> None:
    rig.confirmation.stored = 700
    rig.turn(ASKED)
    rig.stream.finish()
    assert rig.walsender.confirmed == [700, 700]


def test_owner_rows_precede_the_first_commit_after_their_snapshot(rig: Rig) -> None:
    rig.stream.load_when_reached(cast("Any", rig.load))
    rig.turn(pg.begin(1_400), A_PERSON, pg.commit(1_499), pg.begin(1_500))
    assert (rig.load.sent_after, rig.load.closed, rig.stream.is_loading) == (1, True, False)
    rig.turn(A_PERSON, pg.commit(1_600))
    assert len(rig.producer.futures) == 2


def test_a_commit_inside_the_snapshot_does_not_start_the_load(rig: Rig) -> None:
    rig.stream.load_when_reached(cast("Any", rig.load))
    rig.turn(pg.begin(1_400), A_PERSON, Keepalive(2_000, reply_requested=False), pg.commit(1_499))
    assert rig.load.sent_after is None


def test_a_keepalive_of_an_idle_source_starts_the_load(rig: Rig) -> None:
    rig.stream.load_when_reached(cast("Any", rig.load))
    rig.turn(Keepalive(1_499, reply_requested=False))
    assert rig.stream.is_loading
    rig.turn(Keepalive(1_500, reply_requested=False))
    assert rig.load.sent_after == 0


def test_closing_the_stream_closes_a_load_not_reached(rig: Rig) -> None:
    rig.stream.load_when_reached(cast("Any", rig.load))
    rig.stream.close()
    assert (rig.load.closed, rig.load.sent_after) == (True, None)


def test_a_report_is_sent_without_a_request(rig: Rig) -> None:
    rig.turn()
    assert rig.walsender.confirmed == [0]


def test_reading_pauses_while_too_many_messages_are_in_flight(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, A_PERSON, A_PERSON)
    rig.turn(A_PERSON)
    assert len(rig.walsender.arriving) == 1
    assert rig.walsender.waits[-1][1] is False


def test_messages_before_an_error_are_sent(rig: Rig) -> None:
    with pytest.raises(ProtocolError):
        rig.turn(pg.begin(), A_PERSON, pg.commit(1_048), b"no message")
    assert len(rig.producer.futures) == 1


def test_reading_resumes_when_messages_are_acknowledged(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, A_PERSON, A_PERSON)
    rig.turn(A_PERSON)
    rig.producer.acknowledge()
    rig.turn()
    assert all(seconds < 0.1 for seconds, _ in rig.walsender.waits)
    rig.turn()
    assert not rig.walsender.arriving


def test_the_lag_is_the_age_of_the_oldest_unacknowledged_message(rig: Rig) -> None:
    rig.turn(pg.begin(committed_us=0), A_PERSON, pg.commit(1_048), ASKED)
    assert rig.lag() > 0
    rig.producer.acknowledge()
    rig.turn()
    assert rig.lag() == 0


def test_a_transaction_read_in_part_counts_as_lag(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, pg.commit(1_048))
    rig.producer.acknowledge()
    rig.turn(pg.begin(1_100))
    assert rig.lag() > 0


def test_finishing_waits_for_kafka_and_confirms_what_it_has(rig: Rig) -> None:
    rig.turn(pg.begin(), A_PERSON, pg.commit(1_048), pg.begin(1_100), A_PERSON)
    rig.stream.finish()
    assert rig.walsender.confirmed[-1] == 1_048


def test_capture_refuses_to_start_without_the_fast_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_internals, "checksum_is_compiled", lambda _record_util: False)
    with pytest.raises(InvalidSettingsError, match="crc32c"):
        run(Settings(source_dsn=None), Stop(), CaptureMetrics(CollectorRegistry()), lambda _ready: None)


def test_capture_refuses_to_start_without_a_source() -> None:
    with pytest.raises(InvalidSettingsError, match="SOURCE_DSN"):
        run(Settings(source_dsn=None), Stop(), CaptureMetrics(CollectorRegistry()), lambda _ready: None)
