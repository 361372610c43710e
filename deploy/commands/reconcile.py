"""`imsfeed reconcile`: the nightly proof of a target, now."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.reconciliation.results_store import Checked
from consumers.reconciliation.run import Run
from consumers.reconciliation.run import reconcile as prove_target
from ims.errors import FeedError
from ims.runtime.lifecycle import stop_on_signals
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import read_settings

_DOES = {
    "files": "adding up the last snapshot from its files",
    "rules": "applying the rules to the facts anew",
    "source": "comparing the facts with the source",
}


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command()(reconcile)


def reconcile(target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")]) -> None:
    """Prove a target: its files add up, what is told follows from the facts, and the facts are the source's.

    Sets the same repairs going as the nightly proof does. Exits with 1 if anything differs or could not be looked at.

    Example: [bold]imsfeed reconcile lms[/bold]
    """
    settings = read_settings()
    mapping = read_mapping(settings)
    console = Console(stderr=True)
    with (
        stop_on_signals() as stop,
        sessions.connect(settings.state(), "reconciliation") as connection,
        console.status("proving") as progress,
    ):
        row = find_target(connection, target)
        found = prove_target(
            connection,
            settings,
            mapping,
            row.target_id,
            datetime.now(UTC),
            Run(stop.wait, lambda check: progress.update(f"{row.settings.name}: {_DOES[check]}")),
        )
    for one in found:
        _print(one)
    wrong = [one.check for one in found if one.outcome in {"differs", "unfinished"}]
    if wrong:
        raise FeedError(f"not proved: {', '.join(wrong)}")


def _print(one: Checked) -> None:
    count = "" if one.differences is None else f" ({one.differences} differences)"
    typer.echo(f"{one.check}: {one.outcome}{count}")
    for line in one.details:
        typer.echo(f"  {line}")
    if one.repair is not None:
        typer.echo(f"  repair: {one.repair}")
