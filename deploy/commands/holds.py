"""`imsfeed holds`: shows the removals and first publications that wait for an approval, and decides on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.holds import open_holds
from consumers.holds.open_holds import Hold
from consumers.operations import approvals, holds_report
from consumers.operations.approvals import SHORTEST_DIGEST
from consumers.operations.holds_report import Details, HeldPerson
from deploy.commands.arguments import caller, whole_number
from deploy.commands.exit_codes import exits
from deploy.commands.printing import Exact, moment, print_json, print_table, say
from ims.runtime.settings import read_settings

Number = Annotated[
    int, typer.Argument(parser=whole_number, metavar="HOLD", help="The hold's number, as `holds list` shows it.")
]
Reason = Annotated[str, typer.Option("--reason", help="The reason, for the audit.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Who decides, for the audit; the logged-in user unless given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON, for scripts.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(
        help="Show what waits for an approval, and approve or reject it: first publications, and removals that are too "
        "many at a time or that no case worker decided on.",
        no_args_is_help=True,
    )
    group.command(name="list", epilog=exits())(list_)
    group.command(epilog=exits())(show)
    group.command(epilog=exits("the hold has changed"))(approve)
    group.command(epilog=exits())(reject)
    app.add_typer(group, name="holds")


def list_(as_json: AsJson = False) -> None:
    """List the open holds, the oldest first.

    Example: [bold]imsfeed holds list[/bold]
    """
    with _state() as connection:
        found = open_holds.open_holds(connection)
    if as_json:
        print_json(found)
        return
    if not found:
        say("No hold is open.")
        return
    print_table(
        ("Hold", "Target", "Cause", "State", "Since", "Persons", "Groups", "Digest"),
        [
            (one.hold_id, one.target, one.cause, one.state, moment(one.began_at), one.persons, one.groups, _short(one))
            for one in found
        ],
    )


def show(hold: Number, as_json: AsJson = False) -> None:
    """Show each person in a hold, by running number, and what the person would lose.

    For a first publication, which has too many persons to list, their number is shown.

    Example: [bold]imsfeed holds show 3[/bold]
    """
    with _state() as connection:
        found = holds_report.read_hold(connection, hold, datetime.now(UTC))
    if as_json:
        print_json(found)
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
    """Approve a hold, so that the next delta publishes what it contains.

    If the hold no longer contains exactly what was reviewed, it is not approved: show it again.

    Example: [bold]imsfeed holds approve 3 --digest 09af97b18353 --reason "term is over"[/bold]
    """
    with _state() as connection:
        moment = datetime.now(UTC)
        approved = approvals.approve(connection, hold, digest.lower(), name or caller(), reason, moment)
    say(f"approved hold {hold}: {_counted(approved)}; the next delta publishes it")


def reject(hold: Number, reason: Reason, name: Name = None) -> None:
    """Reject a hold: the importer keeps what it has until the source changes, and no more reminders are sent.

    Example: [bold]imsfeed holds reject 3 --reason "wrong import, will be corrected"[/bold]
    """
    with _state() as connection:
        rejected = approvals.reject(connection, hold, name or caller(), reason, datetime.now(UTC))
    say(f"rejected hold {hold}: {_counted(rejected)}; the importer keeps these until the source changes")


@contextmanager
def _state() -> Iterator[Connection]:
    with sessions.connect(read_settings().state(), "holds") as connection:
        yield connection


def _print(found: Details) -> None:
    hold = found.hold
    say(
        f"Hold {hold.hold_id} of {hold.target}: {hold.cause}, {hold.state}, since {moment(hold.began_at)}",
        f"It contains: {_counted(found)}",
        f"Digest: {hold.digest}",
    )
    if found.persons:
        print_table(("Person", "Loses"), [(held.person, _loss(held)) for held in found.persons])
    say(*(f"group {id_}: removed" for id_ in found.groups))


def _loss(held: HeldPerson) -> str:
    loses = held.loses
    parts = [
        *(["everything: removed from the feed"] if loses.gone else []),
        *(["the last membership"] if loses.last and not loses.gone else []),
        *([f"membership in {', '.join(loses.groups)}"] if loses.groups else []),
        *(["the id under which the person was published"] if loses.id_changed else []),
    ]
    return "; ".join(parts) or "nothing; waits for another person's id"


def _counted(found: Details) -> str:
    if found.would_publish is not None:
        totals = found.would_publish
        return f"a first publication of {totals.person} persons, {totals.group} groups, {totals.membership} memberships"
    memberships = sum(len(held.loses.groups) for held in found.persons)
    removed = sum(held.loses.gone for held in found.persons)
    changed = sum(held.loses.id_changed for held in found.persons)
    return (
        f"{len(found.persons)} persons ({removed} removed, {changed} with another id), {memberships} memberships,"
        f" {len(found.groups)} groups removed"
    )


def _short(hold: Hold) -> Exact:
    return Exact(hold.digest[:SHORTEST_DIGEST])
