"""`imsfeed holds`: what waits for an approval before an importer is told that it is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.holds import open_holds
from consumers.holds.open_holds import Hold
from consumers.operations import approvals, holds_report
from consumers.operations.approvals import SHORTEST_DIGEST
from consumers.operations.holds_report import Details, HeldPerson
from deploy.commands.arguments import caller
from ims.runtime.settings import read_settings

Number = Annotated[int, typer.Argument(metavar="HOLD", help="The hold's number, as `holds list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]
Name = Annotated[str | None, typer.Option("--name", help="Who decides, for the audit; else the user's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything, for scripts.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(
        help="Show and decide what waits for an approval: removals that are too many, or that nobody decided on.",
        no_args_is_help=True,
    )
    group.command(name="list")(list_)
    for command in (show, approve, reject):
        group.command()(command)
    app.add_typer(group, name="holds")


def list_(as_json: AsJson = False) -> None:
    """List what waits, the oldest first.

    Example: [bold]imsfeed holds list[/bold]
    """
    with _state() as connection:
        found = open_holds.open_holds(connection)
    if as_json:
        _print_json(found)
        return
    table = Table("Hold", "Target", "Cause", "State", "Since", "Persons", "Groups", "Digest")
    for hold in found:
        counts = (str(hold.persons), str(hold.groups))
        table.add_row(str(hold.hold_id), hold.target, hold.cause, hold.state, _since(hold), *counts, _short(hold))
    Console().print(table if found else "Nothing waits.")


def show(hold: Number, as_json: AsJson = False) -> None:
    """Show everybody a hold keeps back, by running number, and what they would lose; a first publication is counted.

    Example: [bold]imsfeed holds show 3[/bold]
    """
    with _state() as connection:
        found = holds_report.read_hold(connection, hold, datetime.now(UTC))
    if as_json:
        _print_json(found)
    else:
        _print(found)


def approve(
    hold: Number,
    digest: Annotated[
        str, typer.Option(help=f"The digest that `holds show` shows, or {SHORTEST_DIGEST} digits of it.")
    ],
    reason: Reason,
    name: Name = None,
) -> None:
    """Let what a hold keeps back be told now, if it is still exactly what was looked at.

    Exits with 1 if it is not: then look again.

    Example: [bold]imsfeed holds approve 3 --digest 09af97b18353 --reason "term is over"[/bold]
    """
    with _state() as connection:
        moment = datetime.now(UTC)
        approved = approvals.approve(connection, hold, digest.lower(), name or caller(), reason, moment)
    typer.echo(f"approved hold {hold}: {_counted(approved)}; the next cut tells it")


def reject(hold: Number, reason: Reason, name: Name = None) -> None:
    """Leave what a hold keeps back as it is until the source changes, and send no more reminders.

    Example: [bold]imsfeed holds reject 3 --reason "wrong import, being mended"[/bold]
    """
    with _state() as connection:
        rejected = approvals.reject(connection, hold, name or caller(), reason, datetime.now(UTC))
    typer.echo(f"rejected hold {hold}: {_counted(rejected)}; it stays as it was told until the source changes")


@contextmanager
def _state() -> Iterator[Connection]:
    with sessions.connect(read_settings().state(), "holds") as connection:
        yield connection


def _print(found: Details) -> None:
    console, hold = Console(), found.hold
    console.print(f"Hold {hold.hold_id} of {hold.target}: {hold.cause}, {hold.state}, since {_since(hold)}")
    console.print(f"It keeps back: {_counted(found)}")
    console.print(f"Digest: {hold.digest}", soft_wrap=True)
    if found.persons:
        table = Table("Person", "Loses")
        for held in found.persons:
            table.add_row(str(held.person), _loses(held))
        console.print(table)
    for id_ in found.groups:
        console.print(f"group {id_}: gone")


def _loses(held: HeldPerson) -> str:
    loses = held.loses
    said = [
        *(["everything: no longer told"] if loses.gone else []),
        *(["the last membership"] if loses.last and not loses.gone else []),
        *([f"membership in {', '.join(loses.groups)}"] if loses.groups else []),
        *(["the id they were told under"] if loses.id_changed else []),
    ]
    return "; ".join(said) or "nothing; waits for another person's id"


def _counted(found: Details) -> str:
    if found.would_publish is not None:
        totals = found.would_publish
        return f"a first publication of {totals.person} persons, {totals.group} groups, {totals.membership} memberships"
    memberships = sum(len(held.loses.groups) for held in found.persons)
    gone = sum(held.loses.gone for held in found.persons)
    changed = sum(held.loses.id_changed for held in found.persons)
    return (
        f"{len(found.persons)} persons ({gone} gone, {changed} with another id), {memberships} memberships,"
        f" {len(found.groups)} groups gone"
    )


def _since(hold: Hold) -> str:
    return hold.began_at.astimezone().isoformat(sep=" ", timespec="seconds")


def _short(hold: Hold) -> str:
    return hold.digest[:SHORTEST_DIGEST]


def _print_json(found: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
