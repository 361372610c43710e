"""`imsfeed replay` and `export-events`: writes feeds from a file of change events, and such a file from the topic."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from consumers.compact.process import UMASK
from consumers.materialize.kafka_source import KafkaSource
from consumers.replay import events_file, export_events
from consumers.replay.replay import Replay, Result
from deploy.commands.arguments import whole_number
from deploy.commands.exit_codes import exits
from deploy.commands.printing import print_table, progress, reading, say
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import read_settings
from ims.runtime.text_files import lines_of, read_text
from ims.source.mapping import REFERENCE_MAPPING, parse_mapping
from ims.targets.written_settings import parse_toml

_FILE = typer.Argument(exists=True, dir_okay=False, help="Change events, one JSON object on each line.")


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command(epilog=exits())(replay)
    app.command(name="export-events", epilog=exits())(export)


def replay(
    events: Annotated[Path, _FILE],
    targets: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A targets.toml.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the feeds; new or empty.")],
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the replay ends, such as 2026-10-15T12:00:00+02:00.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A mapping file; the reference schema unless given."),
    ] = None,
    no_holds: Annotated[bool, typer.Option("--no-holds", help="Hold nothing for an approval.")] = False,
) -> None:
    """Write the feeds that result from a file of change events; needs neither Kafka nor PostgreSQL.

    The clock follows the file, so the same file always gives the same bytes. A replay has no approvals: without
    --no-holds, a hold stays closed, and a first publication waits unless its target has accept_initial = true.

    Example: [bold]imsfeed replay events.jsonl --targets targets.toml --out feed[/bold]
    """
    end = None if until is None else _time(until)
    settings = parse_toml(read_text(targets))
    mapped = REFERENCE_MAPPING if mapping is None else parse_mapping(read_text(mapping))
    if out.exists() and any(out.iterdir()):
        raise InvalidSettingsError(f"{out} is not empty; a replay needs a folder of its own")
    os.umask(UMASK)
    with reading(events, "replaying") as lines:
        replaying = Replay(settings, out, str(events), holds=not no_holds, mapping=mapped)
        result = replaying.run(events_file.read(lines_of(lines, str(events)), str(events)), end)
    _print(result)


def export(
    owner: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="OWNER", help="Only this owner's changes (owner_id).")
    ] = None,
    from_offset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTITION:OFFSET",
            help="First offset of a partition; the oldest in Kafka unless given. Repeatable.",
        ),
    ] = None,
) -> None:
    """Write the topic's change events as a file for `imsfeed replay`, without personal data.

    National ids are replaced by synthetic ones, so the replay's targets need [bold]allow_test_numbers = true[/bold].

    Example: [bold]imsfeed export-events --owner 1 > events.jsonl[/bold]
    """
    settings = read_settings()
    exporter = export_events.Exporter(read_mapping(settings), settings.source_epoch, secrets.token_bytes(32), owner)
    offsets = dict(map(_offset, from_offset or []))
    with _bar("exporting") as begin:
        for line in export_events.export(lambda: KafkaSource(settings), exporter, offsets, begin):
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


@contextmanager
def _bar(description: str) -> Iterator[Callable[[int], Callable[[], None]]]:
    """Show a progress bar on stderr; yield a function that takes the total and returns one to call for each item."""
    with progress(description) as shown:

        def begin(total: int) -> Callable[[], None]:
            done = count(1)
            return lambda: shown(next(done), total)

        yield begin


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidSettingsError(f"--until {text!r} is not a time with its zone, such as 2026-10-15T12:00:00+02:00")
    return at


def _offset(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise InvalidSettingsError(f"--from-offset {text!r} is not PARTITION:OFFSET, such as 3:120000")
    return int(partition), int(offset)


def _print(result: Result) -> None:
    print_table(
        ("Target", "State", "Snapshots", "Deltas", "Persons", "Groups", "Memberships"),
        [
            (f"{one.owner}/{one.name}", one.state, one.snapshots, one.deltas, *one.published.values())
            for one in result.targets
        ],
    )
    for target in result.targets:
        for (kind, reason), number in target.excluded.items():
            say(f"{target.owner}/{target.name} excluded: {kind.name.lower()} {reason.value} {number}")
        for cause, number in target.waiting.items():
            say(f"{target.owner}/{target.name} held for approval: {cause.value} {number} persons")
    say(f"{result.messages} messages, {result.duplicates} of them duplicates")
    for reason_text, number in result.refused.items():
        say(f"not applied, in production quarantined: {reason_text} {number}")
