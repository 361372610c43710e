"""`imsfeed reconcile`: runs the nightly reconciliation of a target now."""

from typing import Annotated

import typer

from consumers.database import sessions
from consumers.database.clocks import checked_now
from consumers.database.targets_table import find_target
from consumers.reconciliation.results_store import Checked
from consumers.reconciliation.run import Run
from consumers.reconciliation.run import reconcile as reconcile_target
from deploy.commands.exit_codes import exits
from deploy.commands.printing import say, waiting
from ims.errors import FeedError
from ims.runtime.lifecycle import stop_on_signals
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import read_settings

_STEPS = {
    "files": "verifying the files",
    "rules": "comparing what was published with the facts",
    "source": "comparing the facts with the source",
}


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits("anything differs or could not be checked"))(reconcile)


def reconcile(target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")]) -> None:
    """Compare a target's files, what was published, the facts and the source with each other, as every night.

    Starts the same repairs as the nightly reconciliation.

    Example: [bold]imsfeed reconcile lms[/bold]
    """
    settings = read_settings()
    mapping = read_mapping(settings)
    with (
        stop_on_signals() as stop,
        sessions.connect(settings.state(), "reconciliation") as connection,
        waiting("reconciling") as shown,
    ):
        row = find_target(connection, target)
        found = reconcile_target(
            connection,
            settings,
            mapping,
            row.target_id,
            checked_now(connection),
            Run(stop.wait, lambda check: shown(f"{row.settings.name}: {_STEPS[check]}")),
        )
    for one in found:
        _print(one)
    failed = [one.check for one in found if one.outcome in {"differs", "unfinished"}]
    if failed:
        raise FeedError(f"not reconciled: {', '.join(failed)}")


def _print(one: Checked) -> None:
    count = "" if one.differences is None else f" ({one.differences} differences)"
    say(f"{one.check}: {one.outcome}{count}")
    for line in one.details:
        say(f"  {line}")
    if one.repair is not None:
        say(f"  repair: {one.repair}")
