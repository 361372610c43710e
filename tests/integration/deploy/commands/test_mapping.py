"""`imsfeed mapping check`, `setup source` and capture on a source with Norwegian tables, columns and words."""

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from ims.source.facts import Table
from ims.source.mapping import FactKey, SourceMapping, parse_mapping
from producers.source import preflight, source_setup
from producers.source.captured_table import CapturedTable
from producers.source.catalog import Connection
from producers.source.sessions import connect
from producers.source.table_rows import rows_of
from tests.integration.deploy.commands import norwegian_source
from tests.support.capturing import Topic, capturing, settings_of
from tests.support.waiting import until

TARGETS = '[[target]]\nname = "lms"\nowner = 1\nallow_test_numbers = true\n'


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(norwegian_source.example(), encoding="utf-8")
    return path


@pytest.fixture
def school(source_dsn: str) -> str:
    with connect(source_dsn, "test") as source:
        norwegian_source.create(source)
    return source_dsn


def run(dsn: str, mapping: Path | None, *arguments: str) -> Result:
    environment = {"SOURCE_DSN": dsn, "SOURCE_SLOT": "test_mapping", "SOURCE_PUBLICATION": "test_mapping"}
    environment |= {} if mapping is None else {"MAPPING_FILE": str(mapping)}
    return CliRunner().invoke(app, arguments, env=environment)


def execute(dsn: str, query: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(query.encode())


def test_the_example_of_the_page_publishes_a_norwegian_source(school: str, mapping: Path, tmp_path: Path) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text(TARGETS)
    result = run(school, mapping, "mapping", "check", "--targets", str(targets))
    assert result.exit_code == 0, result.output
    assert "1/lms would have 2 persons, 1 groups, 2 memberships" in result.output
    assert "1/lms excluded: person person_protected 1" in result.output
    assert "quarantined:" not in result.output


def test_words_that_the_mapping_does_not_know_are_named(school: str, mapping: Path) -> None:
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace('ELEV = "learner", ', "").replace("J = true, N = false, ", "N = false, "))
    result = run(school, mapping, "mapping", "check")
    assert isinstance(result.exception, InvalidSettingsError)
    assert "enrolment.role has the unknown word 'ELEV'" in str(result.exception)
    assert "enrolment quarantined: unknown_word 2 (enrolment.role has the unknown word 'ELEV')" in result.output
    assert "person.protected has the unknown word 'J'" in str(result.exception)
    result = run(school, mapping, "setup", "source", "--dry-run")
    assert result.exit_code == 0
    assert "warning: enrolment.role has the unknown word 'ELEV' (2 rows)" in result.output
    assert "warning: person.protected has the unknown word 'J' (1 rows)" in result.output
    result = run(school, mapping, "doctor")
    assert "enrolment.role has the unknown word 'ELEV' (2 rows)" in result.output


def test_a_column_that_does_not_exist_is_a_wrong_mapping(school: str, mapping: Path) -> None:
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace('"fornavn"', '"fornamn"').replace('"plass"', '"plassar"'))
    result = run(school, mapping, "mapping", "check")
    assert isinstance(result.exception, InvalidSettingsError)
    assert "has no column fornamn (person.given_name)" in str(result.exception)
    assert "the source has no table public.plassar" in str(result.exception)


def test_a_single_wrong_row_is_counted_and_no_wrong_mapping(source_dsn: str) -> None:
    execute(source_dsn, "alter table person alter birth_date type text")
    execute(source_dsn, "insert into person values (1, 1, null, 'A', 'B', 'soon'), (1, 2, null, 'A', 'B', null)")
    execute(source_dsn, "alter table course_group alter starts_on type timestamp")
    execute(source_dsn, "insert into course_group values (1, 1, 1, 'A', 'A', 'norsk', 'x', '0044-03-15 BC')")
    execute(source_dsn, "insert into course_group values (1, 2, 1, 'A', 'A', 'norsk', 'x')")
    result = run(source_dsn, None, "mapping", "check")
    assert result.exit_code == 0, result.output
    assert "course_group quarantined: impossible_value 1 (course_group.starts_on is not a date)" in result.output
    assert "person quarantined" not in result.output
    assert "1/usual-settings excluded: person name_incomplete" not in result.output
    assert "1/usual-settings excluded: group owner_without_number 1" in result.output


def test_capture_puts_a_constant_owner_into_partition_and_key(
    school: str, mapping: Path, kafka: str, topic: str
) -> None:
    settings = settings_of(school, kafka, topic).model_copy(update={"mapping_file": mapping})
    mapped = parse_mapping(norwegian_source.example())
    with connect(school, "test") as source:
        source_setup.apply(source, settings)
        published = Topic(settings)
        with capturing(settings):
            source.execute("update plass set status = 'SLUTTET' where id = 1")
            source.execute("delete from plass where id = 2")
            until(lambda: _statuses(published, mapped) == {1: "ended", 3: "active"}, what="both changes arrive")
        partitions = {partition for partition, change in published.read() if change.schema == "public"}
        keys = {message.key for _, message in published.messages if b"plass" in (message.key or b"")}
        published.close()
    assert partitions == {1 % settings.kafka_partitions}
    assert b'{"table":"plass","owner_id":1,"id":2}' in keys


def _statuses(published: Topic, mapped: SourceMapping) -> dict[int, str]:
    rows = published.facts(mapped).rows(Table.ENROLMENT)
    return {key.id: row["status"] for key, row in rows.items() if key == FactKey(1, key.id)}


def test_a_resync_of_the_constant_owner_reads_every_row(school: str, mapping: Path) -> None:
    settings = Settings(
        source_dsn=school, mapping_file=mapping, source_slot="test_rows", source_publication="test_rows"
    )
    with connect(school, "test") as source:
        assert not [statement for statement in source_setup.apply(source, settings) if "replica identity" in statement]
        assert source_setup.plan(source, settings) == []
        tables = {name.table: table for name, table in preflight.check(source, settings).tables.items()}
        assert _numbers(source, tables["plass"], 1) == [1, 2, 3]
        assert _numbers(source, tables["plass"], 2) == []
        source.execute("select pg_drop_replication_slot('test_rows')")


def _numbers(source: Connection, table: CapturedTable, owner: int) -> list[int]:
    with source.transaction():
        return [row["id"] for rows in rows_of(source, table, owner) for row in rows]
