"""`imsfeed demo`: runs the whole path on this machine, and shows how each change reaches the feed."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.exit_codes import exits
from ims.errors import InvalidSettingsError


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits())(demo)


def demo(
    live: Annotated[bool, typer.Option("--live", help="Make further changes until Ctrl-C.")] = False,
    directory: Annotated[Path, typer.Option(help="Where the files are left; emptied first.")] = Path(".imsfeed-demo"),
) -> None:
    """Start all servers and processes on this machine, change the source, and show how each change reaches the feed.

    Example: [bold]imsfeed demo --live[/bold]
    """
    try:
        # Imported only here: the production image lacks the servers of the extra "local".
        scenario = import_module("deploy.demo.scenario")
    except ModuleNotFoundError as error:
        raise InvalidSettingsError(f"the demo needs {error.name}; install imsfeed[local]") from None
    scenario.run(directory, live=live)
