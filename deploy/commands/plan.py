"""`imsfeed plan`: what a change of a target's settings would do, before it is made."""

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from consumers.database import sessions
from consumers.database.targets_table import TargetRow, find_target
from consumers.publication.plan import Line, Plan
from consumers.publication.plan import plan as work_out
from deploy.commands.arguments import assignments
from ims.runtime.settings import read_settings
from ims.targets.target_settings import TargetSettings, changed

_STATES: Final = {
    "disabled": "The target is disabled: nothing of this is told until `imsfeed targets set {target} enabled=true`.",
    "stale": "The target would stand still, since the owner's organisation number is not the feed's: nothing is told.",
    "waiting": "Nothing can be published: the owner has no valid organisation number, or has not arrived.",
}


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command()(plan)


def plan(
    target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="As for `targets set`; none: as it stands.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many running numbers to show of each kind.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for scripts.")] = False,
) -> None:
    """Say what a target's importer would be told if its settings were changed so; nothing is changed.

    Without settings: what is still to be told with those in force. Persons are named by running number.

    Example: [bold]imsfeed plan lms scope=grunnskole grace_days=14[/bold]
    """
    with sessions.connect(read_settings().state(), "plan") as connection:
        row = find_target(connection, target)
        found = _worked_out(connection, row, changed(row.settings, assignments(changes or ())))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _print(found, show)


def _worked_out(connection: sessions.Connection, row: TargetRow, settings: TargetSettings) -> Plan:
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("working out", total=None)
        return work_out(
            connection,
            row,
            settings,
            datetime.now(UTC),
            lambda done, of: progress.update(task, completed=done, total=of),
        )


def _print(found: Plan, show: int) -> None:
    console = Console()
    if found.first:
        typer.echo("The target was never published; this would be its first publication.")
    if found.state == "disabled" or not found.worked_out:
        typer.echo(_STATES[found.state].format(target=f"{found.owner}/{found.target}"))
    if found.arriving:
        typer.echo("A transaction of the source has arrived in part: the numbers are not final.")
    table = Table("Records", "", "Count", "Whose")
    for line in found.changes:
        table.add_row(line.kind, line.what, str(line.count), _first(_whose(line), show))
    for title, persons in (
        ("persons losing their last membership", found.losing_last_membership),
        ("persons whose id changes", found.changed_ids),
    ):
        table.add_row(title, "", str(len(persons)), _first(persons, show))
    console.print(table)
    excluded = Table("Left out", "Reason", "Count", "Of these told before")
    for one in found.excluded:
        excluded.add_row(one.kind, one.reason, str(one.count), str(one.published))
    console.print(excluded)
    if not found.changes:
        typer.echo("Nothing would be told.")
    elif found.would_hold:
        what = "The first publication" if found.first else "What these settings take away"
        typer.echo(f"{what} would wait for an approval: `imsfeed holds list`.")


def _whose(line: Line) -> list[str] | list[int]:
    return line.groups if line.kind == "group" else line.persons


def _first(whose: list[str] | list[int], show: int) -> str:
    more = len(whose) - show
    return ", ".join(map(str, whose[:show])) + (f" and {more} more" if more > 0 else "")
