"""The settings of targets as the state database keeps them: what was written, and no more."""

from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

from consumers.database import targets_table
from consumers.database.targets_table import TargetRow, all_targets
from deploy.state.migrate import MIGRATIONS
from ims.targets.importer_profiles import PROFILE_KEYS
from ims.targets.written_settings import parse_toml
from tests.support.builders import a_target

LEAST = '[[target]]\nname = "lms"\nowner = 1\nenabled = true\n'


@pytest.fixture
def connection(state_dsn: str) -> Any:
    with psycopg.connect(state_dsn, autocommit=True) as connection:
        yield connection


def apply(connection: Any, text: str) -> list[str]:
    return targets_table.apply_settings(connection, parse_toml(LEAST + text), "a test")


def stored(connection: Any) -> TargetRow:
    (row,) = all_targets(connection)
    return row


def audited(connection: Any) -> set[str]:
    return {
        key
        for (key,) in connection.execute(
            "select setting from imsfeed.target_audit"
            " where changed_at = (select max(changed_at) from imsfeed.target_audit)"
        )
    }


def test_a_key_that_was_not_written_follows_the_importer(connection: Any) -> None:
    apply(connection, 'login = "email"')
    targets_table.set_settings(connection, "lms", {"importer": "moodle"}, "a test")
    settings = stored(connection).settings
    assert (settings.login, settings.person_id, settings.export_shape) == ("email", "running", "tombstones")
    assert settings.unwritten == {*PROFILE_KEYS} - {"login"}
    assert audited(connection) == {"importer", "person_id", "shared_login", "spell_out_markup", "export_shape"}


def test_a_line_taken_out_of_the_file_is_not_written_any_more(connection: Any) -> None:
    apply(connection, 'person_id = "national"')
    assert apply(connection, "") == ["changed 1/lms"]
    assert "person_id" in stored(connection).settings.unwritten
    assert apply(connection, "") == []


def test_settings_of_an_older_version_keep_their_values(connection: Any) -> None:
    older = a_target(person_id="running", login="feide", dialect="pifu")
    values = msgspec.to_builtins(older)
    del values["shared_login"]  # it is newer than the migration
    connection.execute("insert into imsfeed.target (owner_id, name, settings) values (1, 'lms', %s)", (Jsonb(values),))
    assert stored(connection).settings.unwritten == {"shared_login"}
    (migration,) = MIGRATIONS.glob("0025_*.sql")
    connection.execute(migration.read_text(encoding="utf-8").partition("alter table")[0].encode())
    settings = stored(connection).settings
    assert settings == older
    assert settings.unwritten == {*PROFILE_KEYS} - {"person_id", "dialect"}
