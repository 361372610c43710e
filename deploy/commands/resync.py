"""`imsfeed resync`: requests that capture sends the rows of one owner, or all rows, again; and waits until it has."""

from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import typer
from psycopg import sql

from deploy.commands.arguments import whole_number
from deploy.commands.exit_codes import INTERRUPTED, exits
from deploy.commands.printing import say, waiting
from deploy.commands.setup import report_waits
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop, stop_on_signals
from ims.runtime.settings import Settings, read_settings
from producers.loads import resync_requests
from producers.source import catalog, sessions, source_setup
from producers.source.captured_table import HEARTBEAT, owner_columns
from producers.source.catalog import Connection
from producers.source.open_transactions import OpenTransaction, open_transactions

_POLL_SECONDS: Final = 0.5
_SILENT_SECONDS: Final = 30.0
_SILENT_BEATS: Final = 3


def add_commands(app: typer.Typer) -> None:
    """Add this command to *app*."""
    app.command(epilog=exits(more=f", {INTERRUPTED} if interrupted while it waits"))(resync)


class Progress(NamedTuple):
    """The progress of a resync: a text to show, whether it is done, and whether it has not begun."""

    text: str
    done: bool
    waiting: bool = False


def resync(
    owner: Annotated[str, typer.Argument(metavar="OWNER|all", help="The owner_id, or `all`.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Make the request, and do not wait until it is done.")] = (
        False
    ),
) -> None:
    """Make capture send all rows of an owner again while changes go on; what no longer exists is removed.

    `all` loads every table under a new slot: for a slot that was lost or moved, a changed mapping, a source restored
    from a backup, or a new topic. The request needs only the source; capture carries it out when it is running.

    Example: [bold]imsfeed resync 1[/bold]
    """
    if owner != "all":
        try:
            whole_number(owner)
        except typer.BadParameter:
            text = "it must be the number of an owner, or `all`; no national id"
            raise typer.BadParameter(text, param_hint="OWNER|all") from None
    settings = read_settings()
    with sessions.connect(settings.source(), "resync") as connection:
        progress = _request_all(connection, settings) if owner == "all" else _request(connection, settings, int(owner))
        if no_wait:
            say("requested; capture begins at one of its next heartbeats, or when it starts")
            return
        with stop_on_signals() as stop:
            _wait(connection, settings, progress, stop)


def _request(connection: Connection, settings: Settings, owner: int) -> Callable[[], Progress]:
    """Request the resync of one owner, and return a function that reads its progress."""
    if not catalog.exists(connection, "imsfeed.resync") or catalog.load_state(connection, settings.source_slot) is None:
        raise InvalidSettingsError("the source is not set up for a resync; run `imsfeed setup source`")
    _require_known_owner(connection, settings, owner)
    number = resync_requests.add(connection, settings.source_slot, owner)

    def progress() -> Progress:
        status = resync_requests.read_status(connection, number)
        if status.done_at is not None:
            return Progress(f"owner {owner}: {status.rows} rows sent, complete", done=True)
        if status.began_at is None:
            text = "waiting for capture's heartbeat, and for open transactions of the source"
            return Progress(text, done=False, waiting=True)
        return Progress(f"owner {owner}: {status.rows} rows sent", done=False)

    return progress


def _require_known_owner(connection: Connection, settings: Settings, owner: int) -> None:
    for name, column in owner_columns(settings).items():
        query = sql.SQL("select exists (select from {} where {} = {})").format(
            sql.Identifier(name.schema, name.table), sql.Identifier(column), owner
        )
        if name != HEARTBEAT and connection.execute(query).fetchone() == (True,):
            return
    raise InvalidSettingsError(
        f"the source has no owner {owner}, nor any row of it; if its rows were removed while nothing captured that, run"
        " `imsfeed resync all`"
    )


def _request_all(connection: Connection, settings: Settings) -> Callable[[], Progress]:
    """Request a load of every table, and return a function that reads its progress."""
    known = catalog.load_state(connection, settings.source_slot)
    before = 0 if known is None else known.epoch
    source_setup.apply(connection, settings, reload=True, report=report_waits)

    def progress() -> Progress:
        loaded = catalog.load_state(connection, settings.source_slot)
        if loaded is None or loaded.epoch == before:
            return Progress("waiting for capture's heartbeat", done=False)
        if loaded.loaded_at is None:
            return Progress(f"every table: {loaded.rows} rows sent", done=False, waiting=not loaded.rows)
        return Progress(f"every table: {loaded.rows} rows sent, complete", done=True)

    return progress


def _wait(connection: Connection, settings: Settings, read_progress: Callable[[], Progress], stop: Stop) -> None:
    """Show the progress until the resync is done.

    Raises:
        typer.Exit: asked to stop before that; the request stays.
    """
    silent = False
    named: list[OpenTransaction] = []
    with waiting("resync") as shown:
        while not (progress := read_progress()).done:
            shown(progress.text)
            was_silent, silent = silent, _is_silent(connection, settings)
            if silent and not was_silent:
                say(
                    "capture does not answer: check that it is running, and read its log; the request stays", error=True
                )
            waits_for = open_transactions(connection) if progress.waiting else []
            if waits_for and waits_for != named:
                named = waits_for
                say("it waits until these transactions of the source have ended:", error=True)
                for one in waits_for:
                    say(f"  {one}", error=True)
            if stop.wait(_POLL_SECONDS):
                say("stopped waiting; the request stays, and capture carries it out when it can", error=True)
                raise typer.Exit(INTERRUPTED)
    say(progress.text)


def _is_silent(connection: Connection, settings: Settings) -> bool:
    """Return True if capture's last heartbeat is too old, by the source's clock."""
    row = connection.execute("select extract(epoch from clock_timestamp() - max(beat_at)) from imsfeed.heartbeat")
    (age,) = row.fetchone() or (None,)
    return age is None or age > max(_SILENT_SECONDS, _SILENT_BEATS * settings.heartbeat_seconds)
