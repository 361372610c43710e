"""The command `imsfeed`: its subcommands, and how their errors are shown to the operator.

The exit codes are those of :mod:`deploy.commands.exit_codes`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any

import psycopg
import typer
from kafka.errors import KafkaError
from typer.core import TyperGroup

from deploy.commands import (
    compare,
    demo,
    docs,
    doctor,
    emergency,
    feed,
    holds,
    mapping,
    plan,
    processes,
    quarantine,
    reconcile,
    replay,
    report,
    republish,
    resync,
    settings,
    setup,
    targets,
)
from deploy.commands.exit_codes import FAILED, INTERRUPTED, WRONG_SETTINGS
from deploy.commands.printing import printable, say
from ims.errors import ImsfeedError, OperatorNeededError, named_settings
from ims.identifiers.national_id import without_national_ids
from ims.runtime import failpoints
from ims.runtime.logs import configure, get_logger

_MODULES = (
    processes,
    setup,
    mapping,
    doctor,
    docs,
    resync,
    republish,
    quarantine,
    targets,
    plan,
    holds,
    feed,
    reconcile,
    report,
    emergency,
    settings,
    compare,
    replay,
    demo,
)


class _Commands(TyperGroup):
    """The commands, with the texts about wrong arguments made printable: they quote what was typed."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as of the base class
        """Read the arguments of `imsfeed` itself."""
        with _printable_errors():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as of the base class
        """Read the arguments of the command, and run it."""
        with _printable_errors():
            return super().invoke(ctx)


@contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        error.message = printable(error.message)
        raise


app = typer.Typer(
    name="imsfeed",
    cls=_Commands,
    help="Publishes persons, groups and memberships to LMSs as IMS Enterprise files: a full snapshot every day, and a "
    "delta within a second of each change.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in _MODULES:
    module.add_commands(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"imsfeed {version('imsfeed')}")
        raise typer.Exit


@app.callback()
def before_every_command(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Declare the options of `imsfeed` itself, which stand before the command."""


def main() -> None:
    """Run the command line and exit."""
    try:
        failpoints.arm(os.environ.get(failpoints.VARIABLE))
        app()
    except OperatorNeededError as error:
        _fail(str(error), WRONG_SETTINGS)
    except ImsfeedError as error:
        _fail(str(error), FAILED)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        _fail(f"not allowed: {error.diag.message_primary}; `imsfeed docs security` lists what each role may do", FAILED)
    except (psycopg.OperationalError, KafkaError, OSError) as error:
        # The first line of a driver's text says which server and why; it never quotes a row.
        text = (str(error).splitlines() or ["no more is known"])[0]
        _fail(f"{named_settings(error)}{type(error).__name__}: {text}", FAILED)
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # psycopg could not parse a DSN; its text would quote it, with the password.
        text = "SOURCE_DSN or STATE_DSN is not a valid DSN, such as postgresql://imsfeed@db.example/imsfeed"
        _fail(text, WRONG_SETTINGS)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)


def run() -> None:
    """Run the command line as a program of its own, and log an unexpected error without any values."""
    configure("command", "warning")
    try:
        main()
    except Exception:  # noqa: BLE001 - Python's own traceback would show the text in which PostgreSQL quotes a row
        get_logger(__name__).critical("uncaught exception", exc_info=True)
        sys.exit(1)


def _fail(text: str, code: int) -> None:
    lines = "\n".join(map(printable, without_national_ids(text).split("\n")))
    sys.stderr.write(f"imsfeed: {lines}\n")
    sys.exit(code)
