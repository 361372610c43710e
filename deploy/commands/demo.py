"""`imsfeed demo`: the whole path on this machine, and a student who leaves the feed in under a second."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from ims.errors import InvalidSettingsError


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command()(demo)


def demo(
    live: Annotated[bool, typer.Option("--live", help="Go on changing things until Ctrl-C.")] = False,
    directory: Annotated[Path, typer.Option(help="Where the files are left; emptied first.")] = Path(".imsfeed-demo"),
) -> None:
    """Start everything on this machine, change some things in the source, and show how each reaches the feed.

    Example: [bold]imsfeed demo --live[/bold]
    """
    try:
        # Only now: an image has no servers of its own.
        story = import_module("deploy.demo.story")
    except ModuleNotFoundError as error:
        raise InvalidSettingsError(f"the demo needs {error.name}; install imsfeed[local]") from None
    story.tell(directory, live=live)
