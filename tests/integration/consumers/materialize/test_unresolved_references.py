"""References to rows that have not arrived are counted beside materialize's work."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from consumers.database import sessions
from consumers.materialize.unresolved_references import UnresolvedCount
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from tests.support.waiting import until


@pytest.fixture
def metrics() -> MaterializeMetrics:
    return MaterializeMetrics(CollectorRegistry())


@pytest.fixture
def counting(state_dsn: str, metrics: MaterializeMetrics) -> Iterator[UnresolvedCount]:
    counting = UnresolvedCount(Settings.model_validate({"state_dsn": state_dsn}), metrics)
    yield counting
    counting.close()


def test_unresolved_references_are_counted_once_a_minute(
    state_dsn: str, counting: UnresolvedCount, metrics: MaterializeMetrics
) -> None:
    insert = (
        "insert into imsfeed.course_group (owner_id, id, school_id, code, name, programme, kind, active, source_epoch)"
        " values (1, %s, 7, 'B', 'Norsk', 'norsk', 'class', true, 1)"
    )
    with sessions.connect(state_dsn, "test") as connection:
        connection.execute(insert, (1,))
        counting.look(100.0)
        until(lambda: metrics.unresolved_references._value.get() == 1, what="the group without a school is counted")
        connection.execute(insert, (2,))
        counting.look(159.0)
        counting.look(160.0)
        until(lambda: metrics.unresolved_references._value.get() == 2, what="the other one is counted")


def test_a_running_count_ends_with_the_process(state_dsn: str, counting: UnresolvedCount) -> None:
    with sessions.connect(state_dsn, "test") as connection, connection.transaction():
        connection.execute("lock table imsfeed.enrolment in access exclusive mode")
        counting.look(100.0)
        waiting = (
            "select count(*) from pg_stat_activity"
            " where application_name = 'imsfeed count' and datname = current_database()"
        )
        with sessions.connect(state_dsn, "watch") as watch:
            locked = f"{waiting} and wait_event_type = 'Lock'"
            until(lambda: watch.execute(locked.encode()).fetchone() == (1,), what="the count waits for the lock")
            counting.close()
            until(
                lambda: watch.execute(waiting.encode()).fetchone() == (0,),
                what="the count has ended although the lock is held",
            )
