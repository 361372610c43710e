"""The command `imsfeed`: every subcommand, and how their errors reach the person who typed them.

Exit codes: 0 done; 1 it failed, the text says what and what to do; 2 wrong settings or arguments; 3 done, and what was
compared is not the same; 130 interrupted.
"""

import sys

import psycopg
import typer
from kafka.errors import KafkaError

from deploy.commands import compare, demo, feed, holds, processes, replay, report, settings, setup, targets
from ims.errors import ImsfeedError, InvalidSettingsError

app = typer.Typer(
    name="imsfeed",
    help="Publishes who belongs where to LMSs as IMS Enterprise files: a full snapshot a day, and deltas within a "
    "second of a change.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (processes, setup, targets, feed, holds, report, settings, compare, replay, demo):
    module.add_commands(app)


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except InvalidSettingsError as error:
        _fail(str(error), 2)
    except ImsfeedError as error:
        _fail(str(error), 1)
    except (psycopg.OperationalError, KafkaError, OSError) as error:
        # The first line of a driver's text says which server and why; a row's content is never in it.
        _fail(f"{type(error).__name__}: {(str(error).splitlines() or ['no more is known'])[0]}", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(text: str, code: int) -> None:
    sys.stderr.write(f"imsfeed: {text}\n")
    sys.exit(code)
