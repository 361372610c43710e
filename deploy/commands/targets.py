"""`imsfeed targets`: the settings of the importers, read and changed while everything runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from consumers.database import sessions, targets_table
from deploy.commands.arguments import assignments, caller
from ims.runtime.settings import read_settings
from ims.targets.importer_deadline import settings_warning
from ims.targets.target_settings import TargetSettings, parse_toml, to_toml

Name = Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME where several owners have it.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(help="Show and change the settings of the targets.", no_args_is_help=True)
    group.command()(apply)
    group.command()(show)
    group.command(name="set")(set_)
    app.add_typer(group, name="targets")


def apply(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A targets.toml.")]) -> None:
    """Make the targets what FILE says; targets that it does not name stay as they are.

    Example: [bold]imsfeed targets apply targets.toml[/bold]
    """
    targets = parse_toml(file.read_text(encoding="utf-8"))
    with sessions.connect(read_settings().state(), "targets") as connection:
        said = targets_table.apply_settings(connection, targets, caller())
    typer.echo("\n".join(said) or "nothing to change")
    _warn(targets)


def show(name: Annotated[str | None, typer.Argument(help="Only this target.")] = None) -> None:
    """Print the settings as TOML, as `targets apply` reads them.

    Example: [bold]imsfeed targets show > targets.toml[/bold]
    """
    with sessions.connect(read_settings().state(), "targets") as connection:
        rows = targets_table.all_targets(connection) if name is None else [targets_table.find_target(connection, name)]
    typer.echo(to_toml([row.settings for row in rows]), nl=False)


def set_(
    name: Name,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="VALUE as in JSON; else it is a text.")],
) -> None:
    """Change settings of one target; they count from its next cut on.

    Example: [bold]imsfeed targets set lms enabled=true snapshot_hour=3[/bold]
    """
    with sessions.connect(read_settings().state(), "targets") as connection:
        settings = targets_table.set_settings(connection, name, assignments(changes), caller())
    typer.echo(to_toml([settings]), nl=False)
    _warn([settings])


def _warn(targets: Iterable[TargetSettings]) -> None:
    for warning in filter(None, map(settings_warning, targets)):
        typer.echo(f"warning: {warning}", err=True)
