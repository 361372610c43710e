"""`imsfeed resync`: have the source's rows told anew, those of one owner or all, and wait until they are."""

import re
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import psycopg
import typer
from rich.console import Console

from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop, stop_on_signals
from ims.runtime.settings import Settings, read_settings
from producers.loads import resync_requests
from producers.source import catalog, source_setup
from producers.source.catalog import Connection

_LOOK_SECONDS: Final = 0.5
_SILENT_SECONDS: Final = 30.0
_SILENT_BEATS: Final = 3


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command()(resync)


class Look(NamedTuple):
    """What a look at a resync saw, in words, and whether it is done."""

    text: str
    done: bool


def resync(
    owner: Annotated[str, typer.Argument(metavar="OWNER|all", help="The owner_id, or `all`.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask for it, and do not wait until it is done.")] = False,
) -> None:
    """Have capture tell an owner's rows anew, as of now, while changes go on; what is not there any more goes.

    `all` loads every table under a new slot: for a slot that is lost or was moved, a changed mapping, a source restored
    from a backup, or a new topic. Asking needs the source only; capture does it when it runs.

    Example: [bold]imsfeed resync 1[/bold]
    """
    if owner != "all" and not re.fullmatch(r"-?\d{1,18}", owner):
        raise typer.BadParameter("it is the number of an owner, or `all`", param_hint="OWNER|all")
    settings = read_settings()
    with psycopg.connect(settings.source(), autocommit=True) as connection:
        look = _ask_all(connection, settings) if owner == "all" else _ask(connection, settings, int(owner))
        if no_wait:
            typer.echo("asked for; capture does it at one of its next heartbeats, or when it starts")
            return
        with stop_on_signals() as stop:
            _wait(connection, settings, look, stop)


def _ask(connection: Connection, settings: Settings, owner: int) -> Callable[[], Look]:
    if not catalog.exists(connection, "imsfeed.resync") or catalog.loaded(connection, settings.source_slot) is None:
        raise InvalidSettingsError("the source is not set up for it; run `imsfeed setup source`")
    number = resync_requests.ask(connection, settings.source_slot, owner)

    def look() -> Look:
        standing = resync_requests.standing(connection, number)
        if standing.done_at is not None:
            return Look(f"owner {owner}: {standing.rows} rows told anew", done=True)
        if standing.began_at is None:
            return Look(
                "waits for a heartbeat of capture, and for transactions of the source that run long", done=False
            )
        return Look(f"owner {owner}: {standing.rows} rows sent", done=False)

    return look


def _ask_all(connection: Connection, settings: Settings) -> Callable[[], Look]:
    known = catalog.loaded(connection, settings.source_slot)
    before = 0 if known is None else known.epoch
    source_setup.apply(connection, settings, reload=True)

    def look() -> Look:
        loaded = catalog.loaded(connection, settings.source_slot)
        if loaded is None or loaded.epoch == before:
            return Look("waits for a heartbeat of capture", done=False)
        if loaded.loaded_at is None:
            return Look(f"every table: {loaded.rows} rows sent", done=False)
        return Look(f"every table: {loaded.rows} rows told anew", done=True)

    return look


def _wait(connection: Connection, settings: Settings, look: Callable[[], Look], stop: Stop) -> None:
    """Show how it goes until it is done.

    Raises:
        typer.Exit: asked to stop first; what was asked for stays asked for.
    """
    console = Console(stderr=True)
    silent = False
    with console.status("") as line:
        while not (seen := look()).done:
            line.update(seen.text)
            was_silent, silent = silent, _is_silent(connection, settings)
            if silent and not was_silent:
                console.print("capture does not answer: see that it runs, and its log; the request stays")
            if stop.wait(_LOOK_SECONDS):
                console.print("not waiting any longer; the request stays, and capture does it when it can")
                raise typer.Exit(130)
    typer.echo(seen.text)


def _is_silent(connection: Connection, settings: Settings) -> bool:
    """Whether capture's last heartbeat is long past, by the source's clock."""
    row = connection.execute("select extract(epoch from clock_timestamp() - max(beat_at)) from imsfeed.heartbeat")
    (age,) = row.fetchone() or (None,)
    return age is None or age > max(_SILENT_SECONDS, _SILENT_BEATS * settings.heartbeat_seconds)
