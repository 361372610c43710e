"""`imsfeed quarantine`: shows the messages that could not be applied, applies them again, or discards them."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from consumers.database import sessions
from consumers.database.mapping_record import differing_partitions
from consumers.database.sessions import Connection
from consumers.materialize import quarantine, quarantine_store
from consumers.materialize.quarantine import Description, QuarantineError
from consumers.materialize.quarantine_store import QuarantinedMessage
from deploy.commands.arguments import caller, whole_number
from deploy.commands.exit_codes import exits
from deploy.commands.printing import moment, print_json, print_table, progress, say
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings, read_settings
from ims.source.mapping import SourceMapping

Number = Annotated[
    int, typer.Argument(parser=whole_number, metavar="NUMBER", help="The message's number, as `list` shows it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON, for scripts.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Who does it, for the audit; the logged-in user unless given.")
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    group = typer.Typer(
        help="Show messages that could not be applied, and apply them again or discard them.", no_args_is_help=True
    )
    group.command(name="list", epilog=exits())(list_)
    group.command(epilog=exits())(show)
    group.command(epilog=exits("a message stays in quarantine"))(replay)
    group.command(epilog=exits())(discard)
    app.add_typer(group, name="quarantine")


def list_(as_json: AsJson = False) -> None:
    """List the messages in quarantine: place in the topic, reason, since when, and whether a later change resolved it.

    Example: [bold]imsfeed quarantine list[/bold]
    """
    with sessions.connect(read_settings().state(), "quarantine") as connection:
        found = quarantine_store.all_quarantined(connection)
    if as_json:
        print_json(found)
    elif not found:
        say("no message is in quarantine")
    else:
        _print(found)


def show(number: Number, as_json: AsJson = False) -> None:
    """Show what a message is about: table, running numbers, columns, position in the source; never a value of the row.

    Example: [bold]imsfeed quarantine show 17[/bold]
    """
    settings = read_settings()
    with sessions.connect(settings.state(), "quarantine") as connection:
        quarantined = quarantine.find(connection, number)
        about = quarantine.describe(connection, number, read_mapping(settings), settings.source_epoch)
    if as_json:
        shown = {**msgspec.to_builtins(quarantined), "about": msgspec.to_builtins(about)}
        print_json(shown)
    else:
        say(*(f"{label}: {value}" for label, value in _lines(quarantined, about)))


def replay(
    numbers: Annotated[
        list[int] | None, typer.Argument(parser=whole_number, metavar="[NUMBER]...", help="The messages' numbers.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every unresolved message, the newest first.")] = False,
    name: Name = None,
) -> None:
    """Apply messages again, after the mapping was corrected or imsfeed was upgraded.

    A message is refused if its row has been written since: it would overwrite the row with older values.

    Example: [bold]imsfeed quarantine replay --all[/bold]
    """
    if bool(numbers) == everything:
        raise InvalidSettingsError("give the numbers of the messages to apply again, or --all")
    settings = read_settings()
    mapping, by = read_mapping(settings), name or caller()
    remaining = 0
    with sessions.connect(settings.state(), "quarantine") as connection:
        if differing_partitions(connection, settings.kafka_topic, mapping.digest):
            raise InvalidSettingsError(
                "materialize makes the facts with another mapping than this command has; restart materialize with the"
                " corrected MAPPING_FILE, and give this command the same one"
            )
        waiting = [
            quarantined.number
            for quarantined in quarantine_store.all_quarantined(connection)
            if quarantined.resolved_at is None
        ]
        # The newest of a row resolves those before it, which would set the row back.
        chosen = waiting[::-1] if everything else numbers or []
        with progress("applying") as shown:
            for done, number in enumerate(chosen):
                shown(done, len(chosen))
                if everything and quarantine.find(connection, number).resolved_at is not None:
                    say(f"message {number}: resolved by a newer one of the same row")
                    continue
                remaining += not _replayed(connection, settings, mapping, number, by)
    if remaining:
        applied = len(chosen) - remaining
        raise QuarantineError(f"{applied} of {len(chosen)} messages were applied; {remaining} stay in quarantine")


def _replayed(connection: Connection, settings: Settings, mapping: SourceMapping, number: int, by: str) -> bool:
    """Apply one message again and say what came of it; return True if it was applied."""
    try:
        refused = quarantine.replay(connection, number, mapping, settings.kafka_partitions, settings.source_epoch, by)
    except (QuarantineError, InvalidSettingsError) as error:
        say(error)
        return False
    say(f"message {number}: {'applied' if refused is None else f'{refused.reason}: {refused.detail}'}")
    return refused is None


def discard(
    numbers: Annotated[
        list[int] | None, typer.Argument(parser=whole_number, metavar="[NUMBER]...", help="The messages' numbers.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="The reason, for the audit. No personal data.")] = "",
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Every message whose row has been written since, instead of NUMBERS.")
    ] = False,
    name: Name = None,
) -> None:
    """Remove messages from quarantine for good; the audit keeps who, why and where, but not the messages.

    Example: [bold]imsfeed quarantine discard 17 --reason "corrected in the source"[/bold]
    """
    if bool(numbers) == resolved:
        raise InvalidSettingsError("give the numbers of the messages to discard, or --resolved")
    if not reason.strip():
        raise InvalidSettingsError("give the reason with --reason TEXT")
    with sessions.connect(read_settings().state(), "quarantine") as connection:
        if resolved:
            numbers = [
                quarantined.number
                for quarantined in quarantine_store.all_quarantined(connection)
                if quarantined.resolved_at is not None
            ]
        for number in numbers or ():
            quarantine.discard(connection, number, reason, name or caller())
            say(f"message {number}: discarded")


def _print(found: Sequence[QuarantinedMessage]) -> None:
    print_table(
        ("Number", "Place", "Reason", "Detail", "Since", "Resolved"),
        [
            (
                one.number,
                f"{one.topic}[{one.partition}]@{one.offset}",
                one.reason,
                one.detail,
                moment(one.quarantined_at),
                moment(one.resolved_at),
            )
            for one in found
        ],
    )


def _lines(quarantined: QuarantinedMessage, about: Description) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [
        ("message", quarantined.number),
        ("place", f"{quarantined.topic}[{quarantined.partition}]@{quarantined.offset}, {about.size} bytes"),
        ("reason", f"{quarantined.reason}: {quarantined.detail}"),
        ("in quarantine since", moment(quarantined.quarantined_at)),
        ("resolved", "no" if quarantined.resolved_at is None else moment(quarantined.resolved_at)),
        ("key", "yes" if about.has_key else "none, so it cannot be applied again"),
    ]
    if about.table is not None:
        lines += [
            ("table", about.table),
            ("operation", about.op),
            ("position (epoch, commit LSN, ordinal)", about.position),
            ("owner", about.owner_id),
            ("row", about.id),
            ("columns", ", ".join(about.columns) or "none that are mapped"),
            ("other columns", about.unmapped),
        ]
    return lines
