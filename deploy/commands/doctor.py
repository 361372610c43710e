"""`imsfeed doctor`: everything that can be wrong, before it is."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from deploy.doctor.examination import examine
from deploy.doctor.finding import Finding
from ims.errors import ImsfeedError
from ims.runtime.settings import read_settings

_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red", "not looked at": "dim"}


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for scripts.")] = False,
) -> None:
    """Check servers, topic, publication, slot, schema, files, mail and this machine: one line each, with the fix.

    Changes nothing. What is not configured here is passed over. Exits with 1 if anything is wrong, 0 with warnings.

    Example: [bold]imsfeed doctor --json | jq '.[] | select(.status == "wrong")'[/bold]
    """
    settings = read_settings()
    with Console(stderr=True).status("looking") as progress:
        found = examine(settings, lambda area: progress.update(f"looking at the {area}"))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _print(found)
    wrong = sum(finding.status == "wrong" for finding in found)
    if wrong:
        raise ImsfeedError(f"{wrong} of {len(found)} checks found something wrong")


def _print(found: list[Finding]) -> None:
    console = Console(soft_wrap=True)
    for finding in found:
        line = Text(f"{finding.status:<13} ", style=_STYLES[finding.status])
        line.append(f"{finding.area}: {finding.check}: {finding.text}", style="default")
        console.print(line)
        if finding.fix and finding.status != "ok":
            console.print(Text(f"{'':<13} → {finding.fix}"))
