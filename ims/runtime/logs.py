"""Logs: one JSON line for each event on stderr, without personal data.

An event is a short lower-case phrase with its figures as fields: ``log.info("slot created", slot=name)``. No code of
ours logs a row's contents, but errors quote them: PostgreSQL writes ``Key (national_id)=(...) already exists`` and
``Failing row contains (...)``, and a parser quotes what it could not read. Therefore, for every line of every logger:

* of errors of those libraries only the type and the SQLSTATE are logged, never the text; except libpq's own text about
  a connection that cannot be made or is lost, which is about the server and us, and says what to fix;
* tracebacks have file, line and function, never local variables or source lines;
* a text is dropped from ``DETAIL:`` or ``CONTEXT:`` on;
* whatever reads as a national id in a text is masked (:func:`ims.identifiers.national_id.without_national_ids`).
"""

import contextlib
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.stdlib import LoggerFactory, ProcessorFormatter
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from ims.errors import named_settings
from ims.identifiers.national_id import without_national_ids

_QUOTE_VALUES: Final = frozenset({"psycopg", "kafka", "lxml", "pydantic_core"})
"""Libraries whose errors quote the values that they were given."""
_QUOTED_ROW = re.compile(r"\b(DETAIL|CONTEXT):.*", re.DOTALL)


def configure(process: str, level: str) -> None:
    """Send every log line of this process, the libraries' too, to stderr as JSON; call it once, first of all.

    Args:
        process: name of the process, a field of every line.
        level: the least severe level that is logged: debug, info, warning or error.
    """
    severity = logging.getLevelNamesMapping()[level.upper()]
    handler = _Stderr()
    handler.addFilter(_without_quotes)
    handler.setFormatter(_formatter(process))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(severity)
    logging.getLogger("psycopg").setLevel(max(severity, logging.WARNING))
    # Whatever goes wrong with Kafka is an error that we report once, with the setting to check. The client itself
    # writes five lines a second while no broker answers, and buries ours.
    debugging = severity <= logging.DEBUG
    logging.getLogger("kafka").setLevel(logging.WARNING if debugging else logging.CRITICAL)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=LoggerFactory(),
    )
    sys.excepthook = lambda _kind, error, _trace: _uncaught(error)
    threading.excepthook = lambda thread: _uncaught(thread.exc_value)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger for the module *name*. It may be made before :func:`configure` is called."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _Stderr(logging.Handler):
    """Writes to what is stderr at that moment, and never raises an error to its caller."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - the standard library would print the call's arguments, personal data included
            place = f"{record.pathname}:{record.lineno}"
            line = json.dumps({"level": "error", "event": "log call is wrong", "place": place})
        with contextlib.suppress(OSError, ValueError):  # stderr is closed
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _formatter(process: str) -> ProcessorFormatter:
    def in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        logger = event["_record"].name
        first = {key: event.pop(key) for key in ("timestamp", "level")}
        return {**first, "process": process, "logger": logger, "event": event.pop("event"), **event}

    return ProcessorFormatter(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            in_order,
            ProcessorFormatter.remove_processors_meta,
            _with_error,
            _without_personal_data,
            structlog.processors.JSONRenderer(),
        ]
    )


def _without_quotes(record: logging.LogRecord) -> bool:
    """Replace errors among the arguments of a library's own log call, before they become part of its text.

    Afterwards they could no longer be distinguished from the rest of the text. Return True: no record is dropped.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(summary(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
    return True


def _with_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = [_described(one) for one in _chain(error)]
    return event


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error, its cause, that one's cause and so on, as Python's own traceback shows them."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        implicit = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or implicit
    return chain


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    described: dict[str, Any] = {
        "error": summary(error),
        "frames": [f"{f.filename}:{f.lineno} {f.name}" for f in frames],
    }
    if isinstance(error, BaseExceptionGroup):
        described["exceptions"] = [_described(one) for one in error.exceptions]
    return described


def summary(error: BaseException) -> str:
    """Return the error's type, with as much of its text as cannot quote a value."""
    name = type(error).__name__
    # A subclass of ours may carry the library's text on, so every base counts.
    quotes_values = any(base.__module__.partition(".")[0] in _QUOTE_VALUES for base in type(error).__mro__)
    if not quotes_values:
        return f"{name}: {_masked(str(error))}"
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        return f"{name} (SQLSTATE {sqlstate})"
    # Errors that the server reports for a statement have a SQLSTATE; libpq's own, about the connection, have none.
    if name != "OperationalError":
        return name
    return f"{name}: {named_settings(error)}{_masked(' '.join(str(error).split()))}"


def _without_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _safe(value) for key, value in event.items()}


def _safe(value: object) -> object:
    """Return the value as JSON can hold it, with every text in it masked; other types become texts first."""
    match value:
        case None | bool() | int() | float():
            return value
        case BaseException():
            return summary(value)
        case Mapping():
            return {_masked(str(key)): _safe(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_safe(inner) for inner in value]
        case _:
            return _masked(str(value))


def _masked(text: str) -> str:
    return without_national_ids(_QUOTED_ROW.sub("", text).rstrip())


def _uncaught(error: BaseException | None) -> None:
    get_logger(__name__).critical("uncaught exception", exc_info=error)
