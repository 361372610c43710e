"""`imsfeed republish`: writes feeds again after their volume was lost, or the state database was restored."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated

import typer

from consumers.compact.process import UMASK
from consumers.database import sessions
from consumers.database.clocks import checked_now
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets, find_target
from consumers.feed.republish import begin_epoch, republish
from deploy.commands.arguments import caller
from deploy.commands.exit_codes import exits
from deploy.commands.printing import progress, say
from ims.errors import FeedError
from ims.runtime.settings import Settings, read_settings


def add_commands(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command(name="republish", epilog=exits("a target could not be republished"))(republish_)


def republish_(
    target: Annotated[str, typer.Argument(help="The target's name, OWNER/NAME, or all.")],
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="Begin a new epoch, so that every importer takes the snapshot again."),
    ] = False,
    of_owner: Annotated[
        int | None,
        typer.Option(help="With --new-epoch: the owner whose feed the folder has, if nothing in the folder says it."),
    ] = None,
) -> None:
    """Write a target's files again from the state database: the same deltas, a new snapshot, the manifest last.

    For a lost volume. Use --new-epoch for a state database that was restored from a backup, or recreated.

    Example: [bold]imsfeed republish lms[/bold]
    """
    settings = read_settings()
    os.umask(UMASK)
    failed = 0
    with sessions.connect(settings.state(), "republish") as connection:
        for row in _chosen(connection, target):
            try:
                done = _republished(connection, settings, row, new_epoch, of_owner)
                say(f"{row.owner_id}/{row.settings.name}: {done}")
            except (FeedError, OSError) as error:
                if target != "all":
                    raise
                say(f"{row.owner_id}/{row.settings.name}: {error}")
                failed += 1
    if failed:
        raise FeedError(f"{failed} targets were not republished")


def _chosen(connection: Connection, target: str) -> Iterable[TargetRow]:
    if target != "all":
        return [find_target(connection, target)]
    return [row for row in all_targets(connection) if row.position.head_seq is not None and row.state != "disabled"]


def _republished(
    connection: Connection, settings: Settings, row: TargetRow, new_epoch: bool, of_owner: int | None
) -> str:
    root, now = settings.feed_directory, checked_now(connection)
    if new_epoch:
        done = begin_epoch(connection, root, row.target_id, now, caller(), of_owner)
    else:
        done = republish(connection, root, row.target_id, now, caller(), partial(_with_progress, row.settings.name))
    snapshot = "the snapshot existed" if done.snapshot is None else f"new snapshot {done.snapshot}"
    return f"epoch {done.epoch}, sequence {done.head_seq}, {done.deltas} deltas, {snapshot}"


def _with_progress(name: str, numbers: Sequence[int]) -> Iterator[int]:
    with progress(f"deltas of {name}") as shown:
        for done, number in enumerate(numbers):
            shown(done, len(numbers))
            yield number
