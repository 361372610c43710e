"""`imsfeed status`, `snapshot` and `verify`: show the feeds' state, write a snapshot, and verify the files."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from consumers.compact.process import UMASK
from consumers.database import sessions
from consumers.database.clocks import checked_now
from consumers.database.targets_table import find_target
from consumers.feed.feed_directory import verify_folder
from consumers.feed.feed_permissions import check_permissions
from consumers.feed.importer_play import play_folder
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import take_snapshot
from consumers.holds.holds_store import MANY_PROTECTED
from consumers.operations.status_report import StatusReport, TargetStatus, report
from deploy.commands.exit_codes import DIFFERENCES, exits
from deploy.commands.printing import moment, print_json, print_table, progress, say
from ims.errors import FeedError
from ims.feed.manifest import MANIFEST
from ims.feed.verification import Verification
from ims.holds.losses import Cause
from ims.runtime.settings import read_settings
from ims.targets.importer_profiles import PROFILES, importer_named

_SHOWN = 20


def add_commands(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command(epilog=exits())(status)
    app.command(epilog=exits())(snapshot)
    more = f", {DIFFERENCES} if the importer would have something wrong"
    app.command(epilog=exits("a feed has a problem", more))(verify)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, for scripts.")] = False,
) -> None:
    """Show the state of targets and partitions, how many records are excluded and why, and what is in quarantine.

    Example: [bold]imsfeed status --json | jq .targets[].excluded[/bold]
    """
    with sessions.connect(read_settings().state(), "status") as connection:
        found = report(connection)
    if as_json:
        print_json(found)
    else:
        _print(found)


def snapshot(
    target: Annotated[str, typer.Argument(help="The target's name, or OWNER/NAME.")],
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the scheduled hour; required.")] = False,
) -> None:
    """Write a full snapshot of a target now, for an importer that needs a fresh start.

    Example: [bold]imsfeed snapshot --now lms[/bold]
    """
    if not now:
        raise typer.BadParameter("compact writes snapshots at their scheduled hour; use --now for one in between")
    settings = read_settings()
    os.umask(UMASK)
    check_permissions(settings.feed_directory)
    with sessions.connect(settings.state(), "snapshot") as connection:
        moment = checked_now(connection)
        row = find_target(connection, target)
        entry = take_snapshot(connection, settings.feed_directory, row.target_id, moment)
        write_manifest(connection, settings.feed_directory, row.target_id, moment)
    say(settings.feed_directory / (row.position.orgnr or "") / row.settings.name / entry.path)


def verify(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A feed directory, or a part of it.")],
    as_importer: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help=f"Also play this importer over each feed: {', '.join(PROFILES)}."),
    ] = None,
) -> None:
    """Verify feeds from their files alone: digests, chain, schema, and snapshot + deltas = next snapshot.

    With --as-importer, says what that importer would have wrong after reading everything: who has no access, who has
    kept it, whose name is another. It holds a feed's records in memory.

    Example: [bold]imsfeed verify feed/310000000/moodle --as-importer moodle[/bold]
    """
    importer = None if as_importer is None else importer_named(as_importer)
    folders = sorted(path.parent for path in directory.rglob(MANIFEST))
    if not folders:
        raise FeedError(f"there is no {MANIFEST} in {directory} or below")
    problems = differences = 0
    for folder in folders:
        verification = _verified(folder)
        problems += len(verification.problems)
        counts = f"{verification.snapshots} snapshots, {verification.deltas} deltas, {verification.records} records"
        say(f"{folder}: {counts}")
        for problem in verification.problems:
            say(f"  {problem}")
        if importer is not None and not verification.problems:
            played = play_folder(folder, importer)
            differences += len(played)
            for line in played or ["nothing is wrong at the end"]:
                say(f"  as {importer}: {line}")
    if problems:
        raise FeedError(f"{problems} problems found")
    if differences:
        raise typer.Exit(DIFFERENCES)


def _verified(folder: Path) -> Verification:
    """Verify one feed, with a progress bar on stderr if that is a terminal."""
    with progress(f"verifying {folder.name}") as done:
        return verify_folder(folder, done)


def _print(found: StatusReport) -> None:
    for clock in found.clocks:
        say(f"CLOCK: {clock.text}")
    _print_targets(found.targets)
    for row in found.unreadable:
        say(f"{row.owner_id}/{row.name} FAILS: its settings cannot be read: {row.why}")
    _print_exceptions(found.targets)
    print_table(
        ("Topic", "Partition", "Next offset", "Heartbeat"),
        [
            (
                one.topic,
                one.partition,
                "reset" if one.next_offset is None else one.next_offset,
                moment(one.heartbeat_at),
            )
            for one in found.partitions
        ],
    )
    kinds = Counter(one.kind for one in found.suppressions)
    say(f"Suppressed: {kinds['suppressed']}; removed ahead of the source: {kinds['leave_now']}")
    for word, messages in found.unknown_words.items():
        say(f"UNKNOWN WORD: {word}: {messages} messages in quarantine; map it in MAPPING_FILE (docs/mapping.md)")
    waiting = [message for message in found.quarantine if message.resolved_at is None]
    say(f"In quarantine: {len(waiting)}, and {len(found.quarantine) - len(waiting)} resolved")
    for message in waiting[:_SHOWN]:
        place = f"{message.topic}[{message.partition}]@{message.offset}"
        say(f"  {message.number}: {place} {message.reason}: {message.detail}")


def _print_targets(found: Sequence[TargetStatus]) -> None:
    rows = []
    for target in found:
        seq = "" if target.head_seq is None else target.head_seq
        times = (moment(target.head_at), moment(target.snapshot_at))
        rows.append((_name(target), target.state, seq, *times, *target.published.values()))
    print_table(
        ("Target", "State", "Sequence", "Last delta", "Last snapshot", "Persons", "Groups", "Memberships"), rows
    )
    for target in found:
        if target.not_published:
            say(f"{_name(target)}: {target.not_published}")
        for one in target.errors:
            say(
                f"{_name(target)} FAILS ({one.part}) since {moment(one.since)}: {one.error};"
                f" tried {one.attempts} times, last {moment(one.tried_at)}"
            )
        for hold in target.holds:
            size = "" if hold.cause is Cause.INITIAL else f": {hold.persons} persons, {hold.groups} groups"
            since = moment(hold.began_at)
            say(f"{_name(target)} hold {hold.hold_id} {hold.state}: {hold.cause}, since {since}{size}")
            say(f"  still in the feed until decided: `imsfeed holds show {hold.hold_id}`, then `holds approve`")
        if target.left_protected > MANY_PROTECTED:
            say(f"{_name(target)}: {target.left_protected} persons left in a day because they are protected")
        if target.warning:
            say(f"Warning: {target.warning}")
        for result in target.reconciliation:
            count = "" if result.differences is None else f" ({result.differences})"
            at = moment(result.reconciled_at)
            say(f"Reconciliation of {_name(target)}, {result.check}: {result.outcome}{count}, {at}")


def _print_exceptions(found: Sequence[TargetStatus]) -> None:
    """Print counts of the excluded, of those exported with a warning, and of changed ids; --json lists them."""
    rows: list[tuple[str, str, str, int]] = []
    for target in found:
        excluded = Counter((one.kind, one.reason) for one in target.excluded)
        warnings = Counter((one.kind, one.warning) for one in target.warnings)
        for (kind, reason), count in sorted(excluded.items()):
            rows.append((_name(target), f"{kind} excluded", reason, count))
        for (kind, warning), count in sorted(warnings.items()):
            rows.append((_name(target), f"{kind} exported", warning, count))
        if target.id_changes:
            rows.append((_name(target), "person exported", "id_changed", len(target.id_changes)))
    print_table(("Target", "", "Reason or warning", "Count"), rows)


def _name(target: TargetStatus) -> str:
    return f"{target.owner}/{target.name}"
