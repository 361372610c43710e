"""A table that is partitioned in the source is captured under its own name."""

from collections.abc import Iterator

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from ims.source.facts import Table
from producers.source import preflight, sessions, source_setup
from producers.source.catalog import Connection
from tests.support.capturing import Topic, capturing
from tests.support.waiting import until

PARTITIONED = """
drop table enrolment;
create table enrolment (
    owner_id integer not null, id bigint not null, person_id bigint not null, group_id bigint not null,
    role text not null, starts_on date not null, ends_on date, status text not null default 'active',
    primary key (owner_id, id, starts_on)
) partition by range (starts_on);
create table enrolment_2025 partition of enrolment for values from ('2025-08-01') to ('2026-08-01');
create table enrolment_2026 partition of enrolment for values from ('2026-08-01') to ('2027-08-01');
insert into enrolment (owner_id, id, person_id, group_id, role, starts_on) values
    (1, 1, 1, 7, 'learner', '2025-09-01'), (1, 2, 2, 7, 'learner', '2026-09-01'), (1, 3, 3, 7, 'learner', '2026-09-01')
"""


@pytest.fixture
def source(settings: Settings) -> Iterator[Connection]:
    with sessions.connect(settings.source(), "test") as connection:
        connection.execute("insert into owner values (1, null, 'Fjordvik')")
        connection.execute(PARTITIONED)
        yield connection


def enrolments(published: Topic) -> dict[int, tuple[str, str]]:
    """Return start and status of the enrolments in the facts."""
    rows = published.facts().rows(Table.ENROLMENT)
    return {key.id: (str(row["starts_on"]), row["status"]) for key, row in rows.items()}


def in_source(source: Connection) -> dict[int, tuple[str, str]]:
    rows = source.execute("select id, starts_on::text, status from enrolment").fetchall()
    return {number: (starts_on, status) for number, starts_on, status in rows}


@pytest.mark.parametrize("identity", ["default", "full"])
def test_rows_are_loaded_changed_and_moved_between_partitions(
    source: Connection, settings: Settings, published: Topic, identity: str
) -> None:
    source.execute(f"alter table enrolment replica identity {identity}".encode())
    source_setup.apply(source, settings)
    with capturing(settings):
        until(lambda: enrolments(published) == in_source(source), what="the rows are loaded")
        assert len(enrolments(published)) == 3
        source.execute("update enrolment set status = 'ended' where id = 1")
        source.execute("update enrolment set starts_on = '2025-10-01' where id = 2")
        source.execute("delete from enrolment where id = 3")
        source.execute(
            "create table enrolment_2027 partition of enrolment for values from ('2027-08-01') to (maxvalue)"
        )
        if identity == "full":
            source.execute("alter table enrolment_2027 replica identity full")
        source.execute(
            "insert into enrolment (owner_id, id, person_id, group_id, role, starts_on)"
            " values (1, 4, 4, 7, 'learner', '2027-09-01')"
        )
        until(lambda: enrolments(published) == in_source(source), what="the facts are the source's")
    assert enrolments(published)[1] == ("2025-09-01", "ended")
    assert {change.table for _, change in published.read()} == {"owner", "enrolment"}


def test_a_publication_of_partitions_is_changed_to_their_table(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("update imsfeed.capture set loaded_at = now()")
    source.execute("alter publication imsfeed set (publish_via_partition_root = false)")
    with pytest.raises(InvalidSettingsError, match=r"enrolment is not in it.*imsfeed setup source"):
        preflight.check(source, settings)
    assert source_setup.apply(source, settings)[0] == (
        'alter publication "imsfeed" set (publish_via_partition_root = true)'
    )
    assert preflight.check(source, settings).needs_load
    assert source_setup.plan(source, settings) == []


def test_a_partition_with_a_weaker_identity_is_refused_and_fixed(source: Connection, settings: Settings) -> None:
    source.execute("alter table enrolment drop constraint enrolment_pkey, add primary key (id, starts_on)")
    assert {
        'alter table "public"."enrolment" replica identity full',
        "alter table public.enrolment_2025 replica identity full",
        "alter table public.enrolment_2026 replica identity full",
    } < set(source_setup.apply(source, settings))
    source.execute("alter table enrolment_2026 replica identity default")
    with pytest.raises(InvalidSettingsError, match=r"replica identity of public\.enrolment"):
        preflight.check(source, settings)
    assert source_setup.apply(source, settings) == ["alter table public.enrolment_2026 replica identity full"]
    assert preflight.check(source, settings).needs_load
