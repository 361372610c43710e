"""`imsfeed report` and `imsfeed why`: show who is not exported and why, for the case worker who can correct it."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.operations.exclusions_reader import read_report, read_status
from deploy.commands.exit_codes import exits
from deploy.commands.printing import say
from deploy.commands.private_file import private
from ims.identifiers.national_id import without_national_ids
from ims.reports.exclusion_page import as_html
from ims.reports.exclusion_report import as_csv
from ims.reports.person_status import explain
from ims.reports.reason_texts import Language
from ims.runtime.settings import read_settings

Target = Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")]


def _running_number(text: str) -> int:
    # The text is not quoted: if the case worker types a national id by mistake, no output may repeat it.
    if not text.isdecimal() or without_national_ids(text) != text:
        raise typer.BadParameter("it must be a running number (løpenummer): digits only, and no national id")
    return int(text)


class Format(StrEnum):
    """The report's file format."""

    HTML = "html"
    CSV = "csv"


_WRITERS: Final = {Format.HTML: as_html, Format.CSV: as_csv}


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command(epilog=exits())(report)
    app.command(epilog=exits())(why)


def report(
    target: Target,
    format_: Annotated[Format, typer.Option("--format", help="A web page, or a table for Excel.")] = Format.HTML,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write to this file, not stdout.")] = None,
    language: Annotated[Language, typer.Option(help="nb: Norwegian bokmål; en: English.")] = Language.BOKMAL,
) -> None:
    """List every person and group that is not exported, why, since when, and where to correct it.

    Contains names and running numbers, but no national ids. The file's mode is 0640, since it is personal data.

    Example: [bold]imsfeed report lms --out report.html[/bold]
    """
    with sessions.connect(read_settings().state(), "report") as connection:
        found = read_report(connection, find_target(connection, target), datetime.now(UTC))
    # Bytes, because the page declares UTF-8, and the terminal may use another encoding.
    data = _WRITERS[format_](found, language).encode()
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        with open(out, "wb", opener=private) as file:
            file.write(data)


def why(
    target: Target,
    person: Annotated[int, typer.Argument(parser=_running_number, help="The person's running number.")],
    language: Annotated[Language, typer.Option(help="nb: Norwegian bokmål; en: English.")] = Language.ENGLISH,
) -> None:
    """Show whether a person is in a feed, since when and in which role, or which rule excludes the person.

    Also says which delta last published a record of the person.

    Example: [bold]imsfeed why lms 1017[/bold]
    """
    with sessions.connect(read_settings().state(), "why") as connection:
        status = read_status(connection, find_target(connection, target), person)
    say(*explain(status, language).split("\n"))
