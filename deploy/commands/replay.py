"""`imsfeed replay` and `export-events`: what happened once, or might, without servers and without personal data."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.progress import open as open_with_progress
from rich.table import Table

from consumers.compact.process import UMASK
from consumers.materialize.kafka_source import KafkaSource
from consumers.replay import events_file, export_events
from consumers.replay.replay import Replay, Result
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import read_settings
from ims.targets.target_settings import parse_toml

_FILE = typer.Argument(exists=True, dir_okay=False, help="Change events, one JSON object a line.")


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command()(replay)
    app.command(name="export-events")(export)


def replay(
    events: Annotated[Path, _FILE],
    targets: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A targets.toml.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the feeds are written; new or empty.")],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends: 2026-10-15T12:00:00+02:00.")] = None,
    no_holds: Annotated[bool, typer.Option("--no-holds", help="Let nothing wait for an approval.")] = False,
) -> None:
    """Write the feeds that a file of change events leads to; needs neither Kafka nor PostgreSQL.

    The clock follows the file, so the same file always gives the same bytes. Nobody approves anything here: what waits
    stays as it was told, a first publication too, unless its target accepts it.

    Example: [bold]imsfeed replay events.jsonl --targets targets.toml --out feed[/bold]
    """
    end = None if until is None else _time(until)
    settings = parse_toml(targets.read_text(encoding="utf-8"))
    if out.exists() and any(out.iterdir()):
        raise InvalidSettingsError(f"{out} is not empty; a replay wants a folder of its own")
    os.umask(UMASK)
    with open_with_progress(
        events, "rb", description="replaying", console=Console(stderr=True), transient=True
    ) as lines:
        result = Replay(settings, out, str(events), holds=not no_holds).run(events_file.read(lines, str(events)), end)
    _print(result)


def export(
    owner: Annotated[int | None, typer.Option(help="Only this owner's changes (owner_id).")] = None,
    from_offset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTITION:OFFSET", help="Where a partition begins; else with what Kafka has. Repeatable."
        ),
    ] = None,
) -> None:
    """Write the topic's change events as a file for `imsfeed replay`, without personal data.

    National ids become synthetic ones, so that the replay's targets need [bold]allow_test_numbers = true[/bold].

    Example: [bold]imsfeed export-events --owner 1 > events.jsonl[/bold]
    """
    settings = read_settings()
    exporter = export_events.Exporter(read_mapping(settings), settings.source_epoch, secrets.token_bytes(32), owner)
    offsets = dict(map(_offset, from_offset or []))
    with _bar("exporting") as progress:
        for line in export_events.export(lambda: KafkaSource(settings), exporter, offsets, progress):
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


@contextmanager
def _bar(description: str) -> Iterator[Callable[[int], Callable[[], None]]]:
    """A progress bar on stderr: told how many there are, it gives back what is called at each."""
    with Progress(console=Console(stderr=True), transient=True) as bar:

        def begin(total: int) -> Callable[[], None]:
            task = bar.add_task(description, total=total)
            return lambda: bar.advance(task)

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
    console = Console()
    table = Table("Target", "State", "Snapshots", "Deltas", "Persons", "Groups", "Memberships")
    for target in result.targets:
        counts = (target.snapshots, target.deltas, *target.published.values())
        table.add_row(f"{target.owner}/{target.name}", target.state, *map(str, counts))
    console.print(table)
    for target in result.targets:
        for (kind, reason), number in target.excluded.items():
            console.print(f"{target.owner}/{target.name} left out: {kind.name.lower()} {reason.value} {number}")
        for cause, number in target.waiting.items():
            console.print(f"{target.owner}/{target.name} waiting for approval: {cause.value} {number} persons")
    console.print(f"{result.messages} messages, {result.duplicates} of them had been applied before")
    for why, number in result.refused.items():
        console.print(f"not applied, quarantined in life: {why} {number}")
