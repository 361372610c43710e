"""`imsfeed plan`: shows what a change of a target's settings would publish, before the change is made."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from consumers.database import sessions
from consumers.database.targets_table import TargetRow, find_target
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import open_holds
from consumers.publication.plan import Line, Plan
from consumers.publication.plan import plan as make_plan
from deploy.commands.arguments import assignments
from deploy.commands.exit_codes import exits
from deploy.commands.printing import print_json, print_table, progress, say
from ims.reports.reason_texts import Language
from ims.reports.states import Situation, explain_obstacle
from ims.runtime.settings import read_settings
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import changed


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits())(plan)


def plan(
    target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE...]", help="As for `targets set`; the settings in force unless given."),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many running numbers to show on each line.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, for scripts.")] = False,
) -> None:
    """Show what would be published to a target's importer with changed settings; nothing is changed.

    Without settings, shows what the next delta would publish. Persons are named by running number.

    Example: [bold]imsfeed plan lms scope=grunnskole grace_days=14[/bold]
    """
    with sessions.connect(read_settings().state(), "plan") as connection:
        row = find_target(connection, target)
        settings = changed(row.settings, assignments(changes or ()))
        found = _planned(connection, row, settings)
        obstacle = obstacle_at(row, open_holds(connection, row.target_id), settings)
    if as_json:
        print_json(found)
    else:
        _print(found, obstacle, show)


def _planned(connection: sessions.Connection, row: TargetRow, settings: TargetSettings) -> Plan:
    with progress("planning") as done:
        return make_plan(connection, row, settings, datetime.now(UTC), done)


def _print(found: Plan, obstacle: Situation | None, show: int) -> None:
    if found.first:
        say("Nothing has been published to the target yet; this would be its first publication.")
    if obstacle is not None and (found.state == "disabled" or not found.worked_out):
        say(explain_obstacle(obstacle, Language.ENGLISH))
    if found.arriving:
        say("Only a part of a source transaction has arrived: the numbers are not final.")
    lines: list[tuple[str, str, int, str]] = [
        (line.kind, line.what, line.count, _first(_subjects(line), show)) for line in found.changes
    ]
    lines += [
        (title, "", len(persons), _first(persons, show))
        for title, persons in (
            ("persons losing their last membership", found.losing_last_membership),
            ("persons whose id changes", found.changed_ids),
        )
    ]
    print_table(("Records", "", "Count", "Running numbers or ids"), lines)
    print_table(
        ("Excluded", "Reason", "Count", "Of these published now"),
        [(one.kind, one.reason, one.count, one.published) for one in found.excluded],
    )
    if not found.changes:
        say("Nothing would be published.")
    elif found.would_hold:
        what = "The first publication" if found.first else "What these settings remove"
        say(f"{what} would wait for an approval: `imsfeed holds list`.")


def _subjects(line: Line) -> list[str] | list[int]:
    return line.groups if line.kind == "group" else line.persons


def _first(subjects: list[str] | list[int], show: int) -> str:
    more = len(subjects) - show
    return ", ".join(map(str, subjects[:show])) + (f" and {more} more" if more > 0 else "")
