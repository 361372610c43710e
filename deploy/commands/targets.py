"""`imsfeed targets`: shows and changes the settings of the targets while everything is running."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from consumers.database import sessions, targets_table
from deploy.commands.arguments import assignments, caller
from deploy.commands.exit_codes import exits
from deploy.commands.printing import Exact, say
from ims.runtime.settings import read_settings
from ims.runtime.text_files import read_text
from ims.targets.importer_deadline import settings_warning
from ims.targets.settings_changes import changes_by_file, described
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import read_tables, to_toml

Name = Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME where several owners have it.")]


def _file_or_stdin(text: str) -> Path:
    if text != "-" and not Path(text).is_file():
        raise typer.BadParameter(f"there is no file {text}")
    return Path(text)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(help="Show and change the settings of the targets.", no_args_is_help=True)
    group.command(epilog=exits())(apply)
    group.command(epilog=exits())(show)
    group.command(name="set", epilog=exits())(set_)
    app.add_typer(group, name="targets")


def apply(
    file: Annotated[
        Path, typer.Argument(parser=_file_or_stdin, metavar="FILE", help="A targets.toml; - for standard input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Create or change the targets that FILE describes, and show each key before and after.

    Other targets, and keys that the file does not have, stay as they are.

    Example: [bold]imsfeed targets apply targets.toml --dry-run[/bold]
    """
    tables = read_tables(sys.stdin.read() if str(file) == "-" else read_text(file))
    with sessions.connect(read_settings().state(), "targets") as connection, connection.transaction():
        rows, unreadable = targets_table.read_targets(connection)
        in_force = {(row.owner_id, row.settings.name): row.settings for row in rows}
        changes = changes_by_file(in_force, {(row.owner_id, row.name) for row in unreadable}, tables)
        if not dry_run:
            targets_table.apply_settings(connection, [one.after for one in changes], caller())
    for change in changes:
        say(*described(change))
    if not any(change.is_change for change in changes):
        say("nothing to change")
    elif dry_run:
        say("nothing was changed: --dry-run")
    _warn(change.after for change in changes)


def show(name: Annotated[str | None, typer.Argument(help="Only this target.")] = None) -> None:
    """Print the settings as TOML, as `targets apply` reads them.

    Example: [bold]imsfeed targets show > targets.toml[/bold]
    """
    with sessions.connect(read_settings().state(), "targets") as connection:
        rows = targets_table.all_targets(connection) if name is None else [targets_table.find_target(connection, name)]
    say(Exact(to_toml([row.settings for row in rows]).removesuffix("\n")))


def set_(
    name: Name,
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="VALUE is JSON; anything else is a text.")
    ],
) -> None:
    """Change settings of one target; they apply from its next delta on.

    Example: [bold]imsfeed targets set lms enabled=true snapshot_hour=3[/bold]
    """
    with sessions.connect(read_settings().state(), "targets") as connection:
        settings = targets_table.set_settings(connection, name, assignments(changes), caller())
    say(Exact(to_toml([settings]).removesuffix("\n")))
    _warn([settings])


def _warn(targets: Iterable[TargetSettings]) -> None:
    for warning in filter(None, map(settings_warning, targets)):
        say(f"warning: {warning}", error=True)
