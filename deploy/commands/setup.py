"""`imsfeed setup source` and `imsfeed setup state`: prepare the two databases, as often as one likes."""

from typing import Annotated

import psycopg
import typer

from deploy import migrations
from ims.runtime.settings import read_settings
from producers import source_setup

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(help="Prepare the source and the state database.", no_args_is_help=True)
    group.command()(source)
    group.command()(state)
    app.add_typer(group, name="setup")


def source(dry_run: DryRun = False) -> None:
    """Create what capture needs in the source: publication, slot, replica identity, imsfeed's own tables.

    Example: [bold]imsfeed setup source --dry-run[/bold]
    """
    settings = read_settings()
    with psycopg.connect(settings.source(), autocommit=True) as connection:
        statements = (source_setup.plan if dry_run else source_setup.apply)(connection, settings)
    for statement in statements:
        typer.echo(statement if statement.endswith(";") else f"{statement};")
    if not statements:
        typer.echo("-- the source is set up already")


def state(dry_run: DryRun = False) -> None:
    """Bring the state database's schema up to date.

    Example: [bold]STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed setup state[/bold]
    """
    dsn = read_settings().state()
    for name in migrations.pending(dsn) if dry_run else migrations.migrate(dsn):
        typer.echo(name)
