"""`imsfeed leave-now` and `suppress`: remove a person from every feed before the administration system does."""

from typing import Annotated, Final

import typer

from consumers.database import sessions
from consumers.facts.suppressions import Kind
from consumers.operations.emergencies import Affected, Ordered, order, undo
from deploy.commands.arguments import caller, whole_number
from deploy.commands.exit_codes import exits
from deploy.commands.printing import say
from ims.errors import InvalidSettingsError
from ims.runtime.settings import read_settings

_LARGEST: Final = 2**63 - 1

Owner = Annotated[int, typer.Argument(parser=whole_number, metavar="OWNER", help="owner_id of the school owner.")]
Person = Annotated[int, typer.Argument(min=0, max=_LARGEST, help="The person's running number.")]
Reason = Annotated[str, typer.Option(help="The reason, for the audit. No national ids.")]
Name = Annotated[str | None, typer.Option(help="Who orders it, for the audit; the logged-in user unless given.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    epilog = exits("there is nothing to undo")
    app.command(name="leave-now", epilog=epilog)(leave_now)
    app.command(epilog=epilog)(suppress)


def leave_now(
    owner: Owner,
    person: Person,
    reason: Reason,
    name: Name = None,
    undo_: Annotated[bool, typer.Option("--undo", help="Undo the order.")] = False,
) -> None:
    """Remove a person from every feed of the owner now, before the administration system does.

    The order ends by itself when the administration system removes the person too; a later enrolment counts as usual.

    Example: [bold]imsfeed leave-now 1 1042 --reason "expelled, case 26/117" --name "Kari Nordmann"[/bold]
    """
    _order("leave_now", owner, person, name or caller(), reason, undoing=undo_)


def suppress(
    owner: Owner,
    person: Person,
    reason: Reason,
    name: Name = None,
    undo_: Annotated[
        bool, typer.Option("--undo", help="Undo the suppression; --name must be another person than who ordered it.")
    ] = False,
) -> None:
    """Remove a person from every feed of the owner now and for good, as for a protected identity not registered yet.

    The suppression stays in force, regardless of changes in the administration system, until another person undoes it.

    Example: [bold]imsfeed suppress 1 1042 --reason "address is to be protected" --name "Kari Nordmann"[/bold]
    """
    if undo_ and name is None:
        raise InvalidSettingsError("--undo needs --name: another person than the one who ordered it must undo it")
    _order("suppressed", owner, person, name or caller(), reason, undoing=undo_)


_DESCRIBED: Final[dict[Kind, str]] = {"leave_now": "removed ahead of the source", "suppressed": "suppressed"}


def _order(kind: Kind, owner: int, person: int, who: str, reason: str, *, undoing: bool) -> None:
    with sessions.connect(read_settings().state(), "emergency") as connection:
        done = (undo if undoing else order)(connection, kind, owner, person, who, reason)
    say(f"person {person} of owner {owner} is {'no longer ' * undoing}{_DESCRIBED[kind]}{_earlier(done)}")
    if not done.known:
        say("The source has sent no such person; check the running number.")
    if kind == "leave_now" and not undoing:
        say(
            "The order ends by itself once the source has no place for the person any more, now or on a later day;"
            " until then no place, old or new, brings the person in again."
        )
    for affected in done.targets:
        say(f"  {affected.target.settings.name}: {_undone(affected) if undoing else _removed(affected)}")
    for name in done.unreadable:
        say(f"  {name}: its settings cannot be read, and nothing is published; inform the importer yourself")
    if not done.targets and not done.unreadable:
        say("  The owner has no target; the order also applies to targets added later.")
    say(f"`imsfeed why TARGET {person}` says which delta has published it.")


def _earlier(done: Ordered) -> str:
    return f" already, since {done.since:%Y-%m-%d %H:%M} UTC, by {done.ordered_by}" if done.repeated else ""


def _removed(affected: Affected) -> str:
    state = affected.target.state
    if state == "waiting":
        return "waiting: nothing is published yet, and nothing about this person will be"
    if not affected.has_person:
        return "does not have the person"
    if state == "ok" and affected.failing is not None:
        return f"the feed cannot be updated ({affected.failing}) and still HAS the person; inform the importer yourself"
    if state == "ok":
        return "the next delta removes the person, within seconds if compact is running"
    return f"{state}: nothing is published, and the feed still HAS the person; inform the importer yourself"


def _undone(affected: Affected) -> str:
    state = affected.target.state
    return (
        "evaluates the person again, within seconds if compact is running" if state == "ok" else f"{state}: no change"
    )
