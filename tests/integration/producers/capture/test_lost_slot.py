"""A slot that is lost, or can no longer be confirmed: capture recovers, and the facts are those of the source."""

from ims.runtime.settings import Settings
from producers.source import source_setup
from producers.source.catalog import Connection
from tests.support.capturing import Topic, add_persons, capturing, persons_in, persons_of
from tests.support.waiting import until


def same_as_the_source(source: Connection, published: Topic) -> None:
    until(lambda: persons_in(published.facts()) == persons_of(source), what="the facts are what the source has")


def test_a_resync_of_all_recovers_from_a_dropped_slot(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1, 2)
    with capturing(settings):
        until(lambda: len(published.rows()) == 2, what="both are published")
    source.execute("select pg_drop_replication_slot(%s)", [settings.source_slot])
    source.execute("delete from person where id = 1")
    source_setup.apply(source, settings, reload=True)
    with capturing(settings):
        same_as_the_source(source, published)


def test_a_resync_of_all_recovers_from_an_invalidated_slot(
    source: Connection, settings: Settings, published: Topic
) -> None:
    add_persons(source, 1, 2)
    with capturing(settings):
        until(lambda: len(published.rows()) == 2, what="both are published")
    source.execute("alter system set max_slot_wal_keep_size = '1MB'")
    try:
        source.execute("select pg_reload_conf()")
        source.execute("delete from person where id = 1")
        for _ in range(3):
            source.execute("create table filling as select 1")
            source.execute("select pg_switch_wal()")
            source.execute("drop table filling")
        source.execute("checkpoint")
        lost = "select wal_status from pg_replication_slots where slot_name = %s"
        until(lambda: source.execute(lost, [settings.source_slot]).fetchone() == ("lost",), what="the slot is lost")
    finally:
        source.execute("alter system reset max_slot_wal_keep_size")
        source.execute("select pg_reload_conf()")
    source_setup.apply(source, settings, reload=True)
    with capturing(settings):
        same_as_the_source(source, published)


def test_losing_the_heartbeats_session_restarts_the_stream(
    source: Connection, settings: Settings, published: Topic
) -> None:
    """Otherwise a source that shuts down would wait for confirmations that can no longer come."""
    slow = settings.model_copy(update={"heartbeat_seconds": 1000})
    with capturing(slow) as running:
        kill = (
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = %s and datname = %s"
        )
        source.execute(kill, ["imsfeed heartbeat", source.info.dbname])
        until(lambda: running.value("replication_reconnects_total") >= 1, what="it begins again")
        add_persons(source, 1)
        until(lambda: published.rows() == [(1, "c", 1)], what="the person is published")
