"""`imsfeed mapping check`: says what the mapping would make of the live source, before anything is published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from consumers.operations.mapping_check import MappingCheck, check_mapping
from consumers.reconciliation import source_reader
from consumers.reconciliation.source_reader import SourceReader
from deploy.commands.exit_codes import exits
from deploy.commands.printing import print_table, say
from ims.errors import InvalidSettingsError
from ims.records.vocabulary import RecordKind
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings, read_settings, secret_text
from ims.runtime.text_files import read_text
from ims.targets.written_settings import parse_toml
from producers.source import catalog, source_schema
from producers.source.captured_table import HEARTBEAT, owner_columns

_TARGETS = typer.Option(
    exists=True, dir_okay=False, help="A targets.toml; each owner with the usual settings unless given."
)


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    group = typer.Typer(help="Check the mapping of the source.", no_args_is_help=True)
    group.callback()(_mapping)
    group.command(epilog=exits())(check)
    app.add_typer(group, name="mapping")


def _mapping() -> None:
    """Keep `check` a subcommand: typer would make a group's only command the group itself."""


def check(targets: Annotated[Path | None, _TARGETS] = None) -> None:
    """Check MAPPING_FILE against the live source: which rows would be quarantined or excluded, and why.

    It only reads, through SOURCE_DSN or RECONCILE_SOURCE_DSN, and needs no other server. It exits with 2 if the mapping
    itself is wrong: a table or column that does not exist, a type that cannot be read, a word that it does not know.

    Example: [bold]MAPPING_FILE=mapping.toml imsfeed mapping check[/bold]
    """
    settings = read_settings()
    mapping = read_mapping(settings)
    wanted = [] if targets is None else parse_toml(read_text(targets))
    dsn = secret_text(settings.source_dsn) or secret_text(settings.reconcile_source_dsn) or settings.source()
    with source_reader.connect(dsn) as connection:
        if wrong := _schema_problems(connection, settings):
            raise InvalidSettingsError(f"the mapping does not fit the source: {'; '.join(wrong)}; see docs/mapping.md")
        source = SourceReader(connection, settings.source_schema, settings.source_publication, mapping)
        today = datetime.now(UTC).astimezone(ZoneInfo("Europe/Oslo")).date()
        found = check_mapping(source, wanted, today, lambda table: say(f"reading {table.value}", error=True))
    _print(found)
    if found.wrong:
        raise InvalidSettingsError(f"the mapping is wrong: {'; '.join(found.wrong)}; see docs/mapping.md")


def _schema_problems(connection: catalog.Connection, settings: Settings) -> list[str]:
    """Return what is wrong with the tables and columns that the mapping names."""
    names = [name for name in owner_columns(settings) if name != HEARTBEAT]
    found = catalog.tables(connection, names)
    missing = [f"the source has no table {name}" for name in names if name not in found]
    wanted = source_schema.wanted_columns(settings)
    return missing + [
        problem for name, table in found.items() for problem in source_schema.problems(name, wanted[name], table.types)
    ]


def _print(found: MappingCheck) -> None:
    rows = [(one.table.value, one.rows, sum(one.refused.values())) for one in found.tables]
    print_table(("Table", "Rows", "Quarantined"), rows)
    for one in found.tables:
        for (reason, detail), number in sorted(one.refused.items(), key=lambda item: -item[1]):
            say(f"{one.table.value} quarantined: {reason} {number} ({detail})")
    for target in found.targets:
        counts = ", ".join(f"{target.records.get(kind, 0)} {kind.name.lower()}s" for kind in RecordKind)
        say(f"{target.owner}/{target.name} would have {counts}")
        for (kind, why), number in sorted(target.excluded.items(), key=lambda item: -item[1]):
            say(f"{target.owner}/{target.name} excluded: {kind.name.lower()} {why.value} {number}")
