"""`imsfeed settings`: lists every setting of the processes, with default, unit and meaning."""

from typing import Annotated

import typer

from deploy.commands.exit_codes import exits
from deploy.commands.printing import Exact, print_table, say
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
        say(Exact(INTRODUCTION + "\n".join(rows)))
        return
    print_table(("Setting", "Default", "Unit", "Meaning"), descriptions())
