"""`imsfeed status`, `snapshot` and `verify`: look at the feeds, and make one whole now."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from consumers.compact.process import UMASK
from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.feed.feed_directory import prove_folder
from consumers.feed.feed_permissions import refuse_wide_feed
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import take_snapshot
from consumers.operations.status_report import StatusReport, TargetStatus, report
from ims.errors import FeedError
from ims.feed.manifest import MANIFEST
from ims.holds.losses import Cause
from ims.runtime.settings import read_settings

_SHOWN = 20


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    for command in (status, snapshot, verify):
        app.command()(command)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for scripts.")] = False,
) -> None:
    """Show where partitions and targets stand, who is left out and why, and what is in quarantine.

    Example: [bold]imsfeed status --json | jq .targets[].left_out[/bold]
    """
    with sessions.connect(read_settings().state(), "status") as connection:
        found = report(connection)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _print(found)


def snapshot(
    target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")],
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the scheduled hour.")] = False,
) -> None:
    """Write a target's full snapshot out of turn, for an importer that has lost its place.

    Example: [bold]imsfeed snapshot --now lms[/bold]
    """
    if not now:
        raise typer.BadParameter("snapshots come at their hour by themselves; say --now for one out of turn")
    settings = read_settings()
    os.umask(UMASK)
    refuse_wide_feed(settings.feed_directory)
    moment = datetime.now(UTC)
    with sessions.connect(settings.state(), "snapshot") as connection:
        row = find_target(connection, target)
        entry = take_snapshot(connection, settings.feed_directory, row.target_id, moment)
        write_manifest(connection, settings.feed_directory, row.target_id, moment)
    typer.echo(settings.feed_directory / (row.orgnr or "") / row.settings.name / entry.path)


def verify(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A feed directory, or a part of it.")],
) -> None:
    """Prove that feeds hold together: digests, chain, schema, and snapshot + deltas = next snapshot.

    Exits with 1 if anything is wrong.

    Example: [bold]imsfeed verify .imsfeed-demo/feed[/bold]
    """
    folders = sorted(path.parent for path in directory.rglob(MANIFEST))
    if not folders:
        raise FeedError(f"there is no {MANIFEST} in {directory} or below")
    console = Console(stderr=True)
    wrong = 0
    for folder in track(folders, "verifying", console=console, transient=True):
        proof = prove_folder(folder)
        wrong += len(proof.problems)
        typer.echo(f"{folder}: {proof.snapshots} snapshots, {proof.deltas} deltas, {proof.records} records")
        for problem in proof.problems:
            typer.echo(f"  {problem}")
    if wrong:
        raise FeedError(f"{wrong} problems found")


def _print(found: StatusReport) -> None:
    console = Console()
    _print_targets(console, found.targets)
    _print_exceptions(console, found.targets)
    partitions = Table("Topic", "Partition", "Next offset", "Heartbeat")
    for partition in found.partitions:
        offset = "forgotten" if partition.next_offset is None else partition.next_offset
        cells = (partition.partition, offset, _moment(partition.heartbeat_at))
        partitions.add_row(partition.topic, *map(str, cells))
    console.print(partitions)
    kinds = Counter(one.kind for one in found.suppressions)
    console.print(f"Suppressed: {kinds['suppressed']}; told to leave ahead of the source: {kinds['leave_now']}")
    waiting = [message for message in found.quarantine if message.healed_at is None]
    console.print(
        f"In quarantine: {len(waiting)}, and {len(found.quarantine) - len(waiting)} whose row was written since"
    )
    for message in waiting[:_SHOWN]:
        place = f"{message.topic}[{message.partition}]@{message.offset}"
        console.print(f"  {message.number}: {place} {message.reason}: {message.detail}")


def _print_targets(console: Console, found: Sequence[TargetStatus]) -> None:
    targets = Table("Target", "State", "Sequence", "Last delta", "Last snapshot", "Persons", "Groups", "Memberships")
    for target in found:
        counts = map(str, target.published.values())
        seq = "" if target.head_seq is None else str(target.head_seq)
        name = _name(target)
        targets.add_row(name, target.state, seq, _moment(target.head_at), _moment(target.snapshot_at), *counts)
    console.print(targets)
    for target in found:
        if target.standstill:
            console.print(f"{_name(target)} stands still: {target.standstill}")
        for hold in target.holds:
            who = "" if hold.cause is Cause.INITIAL else f": {hold.persons} persons, {hold.groups} groups"
            since = _moment(hold.began_at)
            console.print(f"{_name(target)} hold {hold.hold_id} {hold.state}: {hold.cause}, since {since}{who}")
        if target.warning:
            console.print(f"Warning: {target.warning}")
        for proof in target.proof:
            count = "" if proof.differences is None else f" ({proof.differences})"
            console.print(
                f"Proof of {_name(target)}, {proof.check}: {proof.outcome}{count}, {_moment(proof.proved_at)}"
            )


def _print_exceptions(console: Console, found: Sequence[TargetStatus]) -> None:
    """Who is left out, who is exported with a remark, whose id has changed: counted; --json lists them."""
    exceptions = Table("Target", "", "What", "Count")
    for target in found:
        left_out = Counter((one.kind, one.reason) for one in target.left_out)
        remarks = Counter((one.kind, one.remark) for one in target.remarks)
        for (kind, reason), count in sorted(left_out.items()):
            exceptions.add_row(_name(target), f"{kind} left out", reason, str(count))
        for (kind, remark), count in sorted(remarks.items()):
            exceptions.add_row(_name(target), f"{kind} exported", remark, str(count))
        if target.id_changes:
            exceptions.add_row(_name(target), "person exported", "id_changed", str(len(target.id_changes)))
    console.print(exceptions)


def _name(target: TargetStatus) -> str:
    return f"{target.owner}/{target.name}"


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.astimezone().isoformat(sep=" ", timespec="seconds")
