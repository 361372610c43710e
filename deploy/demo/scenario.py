"""The demo: starts everything, changes the source, shows how each change reaches the feed, and stops everything."""

import random
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from rich.console import Console

from consumers.database import sessions, targets_table
from deploy.demo.changes import OWNER, CaseWorker, CommittedChange
from deploy.demo.importer import Arrival, Importer
from deploy.demo.roster import DemoRoster, load, synthetic_owner
from deploy.demo.stack import MARKER, Stack, running_processes, running_servers
from deploy.state import migrate
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop, stop_on_signals
from ims.targets.target_settings import TargetSettings
from producers.source import source_setup

SCHEMA = Path(__file__).parents[1] / "source" / "schema.sql"
TARGET = TargetSettings(
    name="lms",
    owner=OWNER,
    enabled=True,
    accept_initial=True,
    include_without_national_id=True,
    allow_test_numbers=True,
    export_path="Eksport.xml",
)
_PAUSE_SECONDS = 1.0


def run(directory: Path, *, live: bool) -> None:
    """Run the demo, and print on the terminal what happens.

    Args:
        directory: where the files are left.
        live: make further changes until Ctrl-C.

    Raises:
        InvalidSettingsError: the directory contains files that no demo has made.
        LocalStackError: a server or process did not start, or a delta did not come.
    """
    _empty(directory)
    console = Console(highlight=False, soft_wrap=True)
    with stop_on_signals() as stop, ExitStack() as running:
        with console.status("starting PostgreSQL and a broker"):
            stack = running.enter_context(running_servers(directory))
        with console.status("creating a synthetic school owner"):
            roster = synthetic_owner(_today())
            _prepare(stack, roster)
        console.print(f"A synthetic school owner with {len(roster.persons)} persons is in the source.")
        with console.status("starting capture, materialize and compact; loading; writing the first snapshot"):
            running.enter_context(running_processes(stack))
            folder = stack.feed / (roster.owner.orgnr or "") / TARGET.name
            importer = Importer(folder, lambda: _check(stack, stop))
            counts = importer.first_manifest().snapshot.counts
        console.print(
            f"First snapshot: {counts.person} persons, {counts.group} groups, {counts.membership} memberships.\n"
        )
        arrivals = _show(stack, importer, console, stop, live=live)
    if arrivals:
        median = statistics.median(arrival.milliseconds for _, arrival in arrivals)
        console.print(f"\nStopped cleanly. The files are in {directory}; median of {len(arrivals)}: {median:.0f} ms.")
    for committed, arrival in arrivals:
        if committed.name == "leaver":
            # The last line, which scripts read too.
            console.print(f"leaver: {arrival.path} {arrival.milliseconds} ms after commit")
            break


def _empty(directory: Path) -> None:
    """Remove what an earlier demo has left, and nothing else."""
    if directory.exists() and any(directory.iterdir()) and not (directory / MARKER).exists():
        raise InvalidSettingsError(f"{directory} contains files of other programs; give an empty directory")
    shutil.rmtree(directory, ignore_errors=True)


def _check(stack: Stack, stop: Stop) -> None:
    if stop:
        raise KeyboardInterrupt
    stack.check()


def _prepare(stack: Stack, roster: DemoRoster) -> None:
    """Load the source, set both databases up, and create the importer's target."""
    with psycopg.connect(stack.source_dsn, autocommit=True) as source:
        source.execute(SCHEMA.read_bytes())
        load(source, roster)
        source_setup.apply(source, stack.settings)
    migrate.migrate(stack.state_dsn)
    with sessions.connect(stack.state_dsn, "demo") as state:
        targets_table.apply_settings(state, [TARGET], "demo")


def _show(
    stack: Stack, importer: Importer, console: Console, stop: Stop, *, live: bool
) -> list[tuple[CommittedChange, Arrival]]:
    arrivals: list[tuple[CommittedChange, Arrival]] = []
    with (
        psycopg.connect(stack.source_dsn, autocommit=True) as source,
        sessions.connect(stack.state_dsn, "demo") as state,
    ):
        worker = CaseWorker(source, state, _today(), random.Random(1))  # noqa: S311 - chooses persons of the demo
        changes = [worker.student_leaves, worker.student_joins, worker.name_changes, worker.teacher_stops]
        arrivals.extend(_make(change, importer, console) for change in changes if not stop)
        if live:
            _print_places(stack, importer, console)
        with suppress(KeyboardInterrupt):
            while live and not stop.wait(_PAUSE_SECONDS):
                arrivals.append(_make(worker.random_change, importer, console))
    return arrivals


def _make(
    change: Callable[[], CommittedChange], importer: Importer, console: Console
) -> tuple[CommittedChange, Arrival]:
    """Make a change, and wait until its delta has arrived."""
    since = importer.first_manifest().head_seq
    committed = change()
    committed_at = time.monotonic()
    console.print(f"[bold]committed[/bold]  {committed.text}")
    arrival = importer.await_delta(committed.person, since, committed_at)
    console.print(f"  {arrival.milliseconds:>4} ms  {arrival.path}: {arrival.records}")
    return committed, arrival


def _print_places(stack: Stack, importer: Importer, console: Console) -> None:
    console.print(f"\nFeed: {importer.folder}/manifest.json\nLogs: {stack.directory / 'logs'}")
    for name, url in stack.metrics.items():
        console.print(f"{name}: {url}")
    console.print("Changes go on until Ctrl-C.\n")


def _today() -> date:
    return datetime.now(ZoneInfo(TARGET.time_zone)).date()
