"""`imsfeed leave-now` and `suppress`: a person must be gone before the administration system says so."""

from typing import Annotated, Final

import typer

from consumers.database import sessions
from consumers.facts.suppressions import Kind
from consumers.operations.emergencies import Affected, Ordered, order, undo
from deploy.commands.arguments import caller
from ims.errors import InvalidSettingsError
from ims.runtime.settings import read_settings

_LARGEST: Final = 2**63 - 1

Owner = Annotated[int, typer.Argument(min=0, max=_LARGEST, help="owner_id of the school owner.")]
Person = Annotated[int, typer.Argument(min=0, max=_LARGEST, help="The person's running number.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit. No national ids.")]
Name = Annotated[str | None, typer.Option(help="Who orders it, for the audit; else who is logged in here.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command(name="leave-now")(leave_now)
    app.command()(suppress)


def leave_now(
    owner: Owner,
    person: Person,
    reason: Reason,
    name: Name = None,
    undo_: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
) -> None:
    """Tell every importer of the owner at once that a person is gone, before the administration system says so.

    It ends by itself when the administration system agrees; from then on a new enrolment counts as usual.

    Example: [bold]imsfeed leave-now 1 1042 --reason "expelled, case 26/117" --name "Kari Nordmann"[/bold]
    """
    _order("leave_now", owner, person, name or caller(), reason, taken_back=undo_)


def suppress(
    owner: Owner,
    person: Person,
    reason: Reason,
    name: Name = None,
    undo_: Annotated[bool, typer.Option("--undo", help="Take it back; by another person, named by --name.")] = False,
) -> None:
    """Take a person out of every feed of the owner at once and for good: a protected identity not registered yet.

    It holds whatever the administration system says, until another person takes it back.

    Example: [bold]imsfeed suppress 1 1042 --reason "address is to be protected" --name "Kari Nordmann"[/bold]
    """
    if undo_ and name is None:
        raise InvalidSettingsError("--undo needs --name: another person than the one who ordered it takes it back")
    _order("suppressed", owner, person, name or caller(), reason, taken_back=undo_)


_SAID: Final[dict[Kind, str]] = {"leave_now": "told to leave", "suppressed": "suppressed"}


def _order(kind: Kind, owner: int, person: int, who: str, reason: str, *, taken_back: bool) -> None:
    with sessions.connect(read_settings().state(), "emergency") as connection:
        done = (undo if taken_back else order)(connection, kind, owner, person, who, reason)
    typer.echo(f"person {person} of owner {owner} is {'no longer ' * taken_back}{_SAID[kind]}{_earlier(done)}")
    if not done.known:
        typer.echo("The administration system has told of no such person; check the number.")
    for affected in done.targets:
        typer.echo(f"  {affected.target.settings.name}: {_again(affected) if taken_back else _gone(affected)}")
    if not done.targets:
        typer.echo("  The owner has no target; one that is made later is told the same.")
    typer.echo(f"`imsfeed why TARGET {person}` says which delta has told it.")


def _earlier(done: Ordered) -> str:
    return f" already, since {done.since:%Y-%m-%d %H:%M} UTC, by {done.ordered_by}" if done.repeated else ""


def _gone(affected: Affected) -> str:
    state = affected.target.state
    if state == "waiting":
        return "waiting: nothing is published yet, and nothing of this person will be"
    if not affected.has_person:
        return "does not have the person"
    if state == "ok":
        return "the next delta says that the person is gone, within seconds if compact runs"
    return f"{state}: its feed stands still WITH the person; tell the importer yourself"


def _again(affected: Affected) -> str:
    state = affected.target.state
    return "looks at the person anew, at once if compact runs" if state == "ok" else f"{state}: tells nothing now"
