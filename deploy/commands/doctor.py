"""`imsfeed doctor`: checks an installation, and names the fix for everything that it finds wrong."""

from typing import Annotated

import typer
from rich.text import Text

from deploy.commands.exit_codes import exits
from deploy.commands.printing import print_json, print_styled, printable, say, waiting
from deploy.doctor.all_checks import run_checks
from deploy.doctor.finding import Finding
from ims.errors import ImsfeedError
from ims.runtime.settings import read_settings

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red", "skipped": "dim"}


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits("a check found an error"))(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON, for scripts.")] = False,
) -> None:
    """Check servers, topic, publication, slot, schema, files, mail and this machine: one line each, with the fix.

    Changes nothing. What is not configured here is skipped. Warnings alone are no failure.

    Example: [bold]imsfeed doctor --json | jq '.[] | select(.status == "error")'[/bold]
    """
    settings = read_settings()
    with waiting("checking") as shown:
        found = run_checks(settings, lambda area: shown(f"checking: {area}"))
    if as_json:
        print_json(found)
    else:
        _print(found)
    errors = sum(finding.status == "error" for finding in found)
    if errors:
        raise ImsfeedError(f"{errors} of {len(found)} checks found an error")


def _print(found: list[Finding]) -> None:
    for finding in found:
        line = Text(f"{finding.status:<7} ", style=_STYLES[finding.status])
        line.append(printable(f"{finding.area}: {finding.check}: {finding.text}"), style="default")
        print_styled(line)
        if finding.fix and finding.status != "ok":
            say(f"{'':<7} → {finding.fix}")
