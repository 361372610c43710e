"""`imsfeed report` and `imsfeed why`: who is not exported and why, for the case worker who can mend it."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.operations.exclusions_reader import read_report, read_status
from deploy.commands.private_file import private
from ims.identifiers.national_id import without_national_ids
from ims.reports.exclusion_page import as_html
from ims.reports.exclusion_report import as_csv
from ims.reports.person_status import explain
from ims.reports.reason_texts import Language
from ims.runtime.settings import read_settings

Target = Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")]


def _running_number(text: str) -> int:
    # Whoever types a national id here shall not find it again in what the command says.
    if not text.isdecimal() or without_national_ids(text) != text:
        raise typer.BadParameter("a running number (løpenummer) is wanted: digits only, and no national id")
    return int(text)


class Format(StrEnum):
    """How the report is written."""

    HTML = "html"
    CSV = "csv"


_WRITERS: Final = {Format.HTML: as_html, Format.CSV: as_csv}


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    for command in (report, why):
        app.command()(command)


def report(
    target: Target,
    format_: Annotated[Format, typer.Option("--format", help="A web page, or a table for Excel.")] = Format.HTML,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write this file, not stdout.")] = None,
    language: Annotated[Language, typer.Option(help="nb: Norwegian bokmål; en: English.")] = Language.BOKMAL,
) -> None:
    """List every person and group that is not exported, why, since when, and where to mend it.

    Names and running numbers, no national ids. The file is 0640: it is personal data all the same.

    Example: [bold]imsfeed report lms --out report.html[/bold]
    """
    with sessions.connect(read_settings().state(), "report") as connection:
        found = read_report(connection, find_target(connection, target), datetime.now(UTC))
    # Bytes, because the page says that it is UTF-8, whatever this terminal uses.
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
    """Say whether a person is in a feed, since when and as what, or by which rule not; and which delta told it.

    Exits with 1 if nothing is known of the person.

    Example: [bold]imsfeed why lms 1017[/bold]
    """
    with sessions.connect(read_settings().state(), "why") as connection:
        status = read_status(connection, find_target(connection, target), person)
    typer.echo(explain(status, language))
