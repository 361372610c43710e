"""`imsfeed compare`: shows what would change for an importer that has been reading another exporter's file."""

import csv as csv_module
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from consumers.database import sessions, targets_table
from consumers.database.targets_table import TargetRow
from consumers.facts import facts_reader
from deploy.commands.exit_codes import DIFFERENCES, exits
from deploy.commands.printing import Exact, print_table, reading, say, waiting
from deploy.commands.private_file import private
from ims.records.text import visible
from ims.runtime.settings import read_settings
from ims.source.facts import Facts
from ims.switchover.comparison import KINDS, Comparison, DifferenceType, compare
from ims.switchover.comparison_rows import Row, reasons, rows_of, summary
from ims.switchover.existing_file import read_old_file
from ims.switchover.group_templates import likely_templates
from ims.switchover.matching import OldRoster, collect, match_records
from ims.switchover.settings_search import Step, candidates, search_settings, tally
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings

_LARGE = 4 * 1024 * 1024
"""Size in bytes from which reading a file takes long enough for a progress bar."""


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    more = f", {DIFFERENCES} if the importer would see a change"
    app.command(name="compare", epilog=exits(more=more))(compare_)


def compare_(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A full file as the importer reads it now.")],
    target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write every difference to this file; no national ids.")
    ] = None,
    search: Annotated[
        bool,
        typer.Option("--search-settings/--no-search-settings", help="Look for settings that remove the differences."),
    ] = True,
) -> None:
    """Show what would change for an importer on the day it switches over from the file that it reads now.

    The target need not be enabled.

    Example: [bold]imsfeed compare Eksport.xml lms --csv changes.csv[/bold]
    """
    file = _read(old)
    facts, row = _facts(target)
    settings = row.settings
    orgnr = row.position.orgnr or targets_table.valid_orgnr(row.owner.registered, settings) or ""
    today = local_day(datetime.now(UTC), settings.zone)
    templates = list(dict.fromkeys((settings.group_id, *likely_templates(file, facts))))
    matches = match_records(file, facts, templates)

    def compared(tried: TargetSettings) -> Comparison:
        return compare(file, matches, facts, tried, orgnr=orgnr, today=today)

    found = compared(settings)
    _print(found, settings)
    if csv is not None:
        _write(csv, rows_of(found.differences, facts))
    if not any(found.old.values()):
        say("The file has no person, group or membership in it: no settings can be found from it.")
    elif found.differences and search:
        values = candidates(file, facts, found, settings, templates)
        with waiting("searching settings"):
            steps = search_settings(settings, values, lambda tried: tally(compared(tried)))
        _print_steps(steps, target)
    if found.differences:
        raise typer.Exit(DIFFERENCES)


def _read(path: Path) -> OldRoster:
    with reading(path, path.name, shown=path.stat().st_size >= _LARGE) as stream:
        return collect(read_old_file(stream))


def _facts(target: str) -> tuple[Facts, TargetRow]:
    """Return all facts of the target's owner, in memory: any person may have to be matched with any other."""
    with sessions.connect(read_settings().state(), "compare") as connection, sessions.repeatable_read(connection):
        row = targets_table.find_target(connection, target)
        everything = facts_reader.everything(connection, row)
        return facts_reader.read_facts(connection, row.owner_id, everything.persons, everything.groups), row


def _print(found: Comparison, settings: TargetSettings) -> None:
    counts = summary(found)
    shown = [what for what in DifferenceType if any(counts[kind][what] for kind in KINDS)]
    print_table(
        ("", "In the file", "In imsfeed", *(what.value.replace("_", " ") for what in shown)),
        [
            (kind, found.old.get(kind, ""), found.new.get(kind, ""), *(counts[kind][what] or "" for what in shown))
            for kind in KINDS
        ],
    )
    missing = reasons(found)
    if missing:
        rows = [(kind, reason, count) for (kind, reason), count in sorted(missing.items())]
        print_table(("Missing", "Reason", "Count"), rows)
    if not settings.enabled:
        say("The target is not enabled; it was compared as if it were.")
    say(f"{len(found.differences)} differences")


def _print_steps(steps: list[Step], target: str) -> None:
    if not steps:
        say("No setting that was tried leaves fewer differences.")
    for step in steps:
        argument = shlex.quote(f"{step.key}={_value(step.value)}")
        # Not masked: a list of running numbers may look like a national id, and the line is to be run as it is.
        say(Exact(f"imsfeed targets set {target} {visible(argument)}  # {step.before} -> {step.after} differences"))


def _value(value: Any) -> str:  # noqa: ANN401 - of the key's own type
    """Return a value in the form in which `imsfeed targets set` takes it."""
    text = msgspec.json.encode(value).decode()
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return text


def _write(path: Path, rows: list[Row]) -> None:
    with open(path, "w", encoding="utf-8-sig", newline="", opener=private) as stream:
        writer = csv_module.writer(stream)
        writer.writerow(Row.__struct_fields__)
        for row in rows:
            writer.writerow([_cell(visible(value)) for value in msgspec.structs.astuple(row)])


def _cell(value: str) -> str:
    # A spreadsheet would evaluate such a cell as a formula (CWE-1236).
    return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
