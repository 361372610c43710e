"""Logs: one JSON line for each event on stderr, and no personal data in any of them.

An event is a short lower-case phrase with its figures as fields: ``log.info("slot created", slot=name)``. Nobody
logs a row's contents on purpose, but errors quote them: PostgreSQL says ``Key (national_id)=(...) already exists`` and
``Failing row contains (...)``, and a parser quotes what it could not read. Therefore, whoever logs:

* of errors of those libraries only the type and the SQLSTATE are told, never the text; but libpq's own text of a
  connection that cannot be made or is lost is told, since it is about the server and us, and says what to mend;
* tracebacks name places, never local variables or source lines;
* the part of a text from ``DETAIL:`` or ``CONTEXT:`` on is cut off;
* any run of 11 or 12 digits in a text is masked: that long are national ids and DUF numbers.
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

_QUOTE_VALUES: Final = frozenset({"psycopg", "kafka", "lxml", "pydantic_core"})
_QUOTED_ROW = re.compile(r"\s*\b(DETAIL|CONTEXT):.*", re.DOTALL)
_NUMBER = re.compile(r"(?<!\d)\d{11,12}(?!\d)")
_MASK: Final = "*" * 11


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
    for library in ("kafka", "psycopg"):
        logging.getLogger(library).setLevel(max(severity, logging.WARNING))
    # It warns whenever this machine is busy for a tenth of a second, about which nobody can do anything.
    logging.getLogger("kafka.net.selector").setLevel(max(severity, logging.ERROR))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=LoggerFactory(),
    )
    sys.excepthook = lambda _kind, error, _trace: _uncaught(error)
    threading.excepthook = lambda thread: _uncaught(thread.exc_value)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger; ``name`` is the module that speaks. It may be made before :func:`configure` is called."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _Stderr(logging.Handler):
    """Writes to what is stderr at that moment, and never fails its caller."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - the standard library would print the call's arguments, whatever they hold
            place = f"{record.pathname}:{record.lineno}"
            line = json.dumps({"level": "error", "event": "log call is wrong", "place": place})
        with contextlib.suppress(OSError, ValueError):  # nobody reads stderr any more
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
    """Replace errors among the arguments of a library's own log call, before they become part of its text."""
    if isinstance(record.args, tuple):
        record.args = tuple(_summary(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
    return True


def _with_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = [_published(one) for one in _chain(error)]
    return event


def _chain(error: BaseException) -> list[BaseException]:
    """The error, then what it came from, then what that came from, as Python's own traceback shows them."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        implicit = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or implicit
    return chain


def _published(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    published: dict[str, Any] = {
        "error": _summary(error),
        "frames": [f"{f.filename}:{f.lineno} {f.name}" for f in frames],
    }
    if isinstance(error, BaseExceptionGroup):
        published["exceptions"] = [_published(one) for one in error.exceptions]
    return published


def _summary(error: BaseException) -> str:
    name = type(error).__name__
    quotes_values = any(base.__module__.partition(".")[0] in _QUOTE_VALUES for base in type(error).__mro__)
    if not quotes_values:
        return f"{name}: {_masked(str(error))}"
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        return f"{name} (SQLSTATE {sqlstate})"
    # libpq's own errors have no SQLSTATE, which everything has that the server says of a statement.
    return f"{name}: {_masked(' '.join(str(error).split()))}" if name == "OperationalError" else name


def _without_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _safe(value) for key, value in event.items()}


def _safe(value: object) -> object:
    """The value as JSON can hold it, with every text in it masked; whatever is no number is a text."""
    match value:
        case None | bool() | int() | float():
            return value
        case BaseException():
            return _summary(value)
        case Mapping():
            return {_masked(str(key)): _safe(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_safe(inner) for inner in value]
        case _:
            return _masked(str(value))


def _masked(text: str) -> str:
    return _NUMBER.sub(_MASK, _QUOTED_ROW.sub("", text))


def _uncaught(error: BaseException | None) -> None:
    get_logger(__name__).critical("uncaught exception", exc_info=error)
