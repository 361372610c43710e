"""`imsfeed settings`: lists every setting of the processes, with default, unit and meaning."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.exit_codes import exits
from ims.runtime.settings import descriptions

INTRODUCTION = """\
# Settings

Every setting is an environment variable, or a file of that name in the directory that `SECRETS_DIRECTORY` names.
This page is written by `make docs` from the definitions in `ims/runtime/settings.py`.

| Setting | Default | Unit | Meaning |
|---|---|---|---|
"""


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits())(settings)


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """List every setting with its default, unit and meaning; the values in force are not shown.

    Example: [bold]imsfeed settings[/bold]
    """
    if markdown:
        rows = (
            f"| `{s.name}` | {f'`{s.default}`' if s.default else ''} | {s.unit} | {s.meaning} |" for s in descriptions()
        )
        typer.echo(INTRODUCTION + "\n".join(rows))
        return
    table = Table("Setting", "Default", "Unit", "Meaning", box=None, padding=(0, 2, 0, 0))
    for setting in descriptions():
        table.add_row(*setting)
    Console().print(table)
