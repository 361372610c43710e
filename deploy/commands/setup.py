"""`imsfeed setup source` and `imsfeed setup state`: prepare the two databases; both may be run again at any time."""

from typing import Annotated

import psycopg
import typer

from consumers.database import sessions
from consumers.operations.offset_reset import reset_offsets
from deploy.commands.exit_codes import exits
from deploy.commands.printing import say
from deploy.state import migrate
from ims.errors import InvalidSettingsError
from ims.runtime.settings import read_settings
from producers.source import sessions as source_sessions
from producers.source import source_setup
from producers.source.open_transactions import OpenTransaction
from producers.source.source_words import unknown_words

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, without doing it.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(help="Prepare the source and the state database.", no_args_is_help=True)
    group.command(epilog=exits())(source)
    group.command(epilog=exits())(state)
    app.add_typer(group, name="setup")


def source(dry_run: DryRun = False) -> None:
    """Create what capture needs in the source: publication, slot, replica identity, imsfeed's own tables.

    Example: [bold]imsfeed setup source --dry-run[/bold]
    """
    settings = read_settings()
    with source_sessions.connect(settings.source(), "setup") as connection:
        if dry_run:
            statements = source_setup.plan(connection, settings)
        else:
            statements = source_setup.apply(connection, settings, report=report_waits)
        try:
            unknown = unknown_words(connection, settings)
        except psycopg.errors.InsufficientPrivilege as error:
            say(f"warning: the words of the source were not checked: {error.diag.message_primary}", error=True)
            unknown = []
    for statement in statements:
        say(statement if statement.endswith(";") else f"{statement};")
    if not statements:
        say("-- the source is set up already")
    for word in unknown:
        say(f"warning: {word}: its rows will be quarantined; map it in MAPPING_FILE (docs/mapping.md)", error=True)


def report_waits(transactions: list[OpenTransaction]) -> None:
    """Print the open transactions for which a new slot waits."""
    say("the new slot waits until these transactions of the source have ended:", error=True)
    for transaction in transactions:
        say(f"  {transaction}", error=True)


def state(
    dry_run: DryRun = False,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset-offsets",
            help="Also reset the topic's offsets, after Kafka has lost messages or the topic was recreated.",
        ),
    ] = False,
) -> None:
    """Bring the state database's schema up to date.

    Example: [bold]STATE_DSN=postgresql://imsfeed@db/imsfeed imsfeed setup state[/bold]
    """
    if dry_run and reset:
        raise InvalidSettingsError("--dry-run cannot be combined with --reset-offsets: a reset has nothing to show")
    settings = read_settings()
    for name in migrate.pending(settings.state()) if dry_run else migrate.migrate(settings.state()):
        say(name)
    if reset:
        with sessions.connect(settings.state(), "setup") as connection:
            partitions = reset_offsets(connection, settings.kafka_topic)
        say(f"offsets reset: {len(partitions)} partitions of {settings.kafka_topic}")
        say("materialize begins at the oldest message in Kafka; the messages before it are not in the state:")
        say("run `imsfeed resync all`")
