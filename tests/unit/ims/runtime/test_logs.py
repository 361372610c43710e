"""The log lines: their form, and that no line has personal data, whoever logs it and whatever an error quotes."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from ims.errors import naming_setting
from ims.runtime import logs
from tests.support.fixtures.logs import Lines

# Month + 80: no person has this number.
NATIONAL_ID = "01810012345"
DUF_NUMBER = "190000000001"
LEFT = f"person {NATIONAL_ID} left"
ROW = f"duplicate key\nDETAIL:  Key (national_id, name)=({NATIONAL_ID}, Kari) already exists."

log = logs.get_logger("tests.logs")


def _refused() -> psycopg.Error:
    return psycopg.errors.UniqueViolation(ROW)


def _log_raised(error: Exception, cause: Exception | None = None) -> None:
    number = NATIONAL_ID  # a local variable of the frame that raises
    try:
        assert number
        raise error from cause
    except type(error):
        log.exception("it failed")


def test_an_event_is_one_json_line_with_its_fields(lines: Lines) -> None:
    log.info("slot created", slot="imsfeed", lsn="0/16B3748", attempts=2, ready=True, missing=None)
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {
        "level": "info",
        "process": "capture",
        "logger": "tests.logs",
        "event": "slot created",
        "slot": "imsfeed",
        "lsn": "0/16B3748",
        "attempts": 2,
        "ready": True,
        "missing": None,
    }


def test_less_severe_lines_than_the_level_are_not_logged(lines: Lines) -> None:
    log.debug("looked again")
    logging.getLogger("a.library").debug("looked again")
    assert not lines()


def test_libraries_log_warnings_in_the_same_form(lines: Lines) -> None:
    logging.getLogger("psycopg").info("connected")
    logging.getLogger("psycopg").warning("session %s is away", 3)
    (line,) = lines()
    assert (line["level"], line["logger"], line["event"]) == ("warning", "psycopg", "session 3 is away")


@pytest.mark.parametrize(("level", "expected"), [("info", []), ("debug", ["node 3 is away"])])
def test_kafkas_client_logs_only_for_debugging(lines: Lines, level: str, expected: list[str]) -> None:
    """It writes five lines a second while no broker answers, and would bury the one that says what to check."""
    logs.configure("capture", level)
    logging.getLogger("kafka.net.manager").error("node %s is away", 3)
    logging.getLogger("kafka.net.manager").debug("polled")
    assert [line["event"] for line in lines()] == expected


def test_an_outage_names_the_setting_of_its_server(lines: Lines) -> None:
    with pytest.raises(psycopg.OperationalError) as caught, naming_setting("STATE_DSN"):
        raise psycopg.OperationalError("connection refused")
    log.warning("starting again", error=caught.value)
    (line,) = lines()
    assert line["error"] == "OperationalError: STATE_DSN: connection refused"


@pytest.mark.parametrize(
    "call",
    [
        lambda: log.info(LEFT),
        lambda: log.info("person left", person=NATIONAL_ID),
        lambda: log.info("person left", person=f"running number 7, DUF {DUF_NUMBER}"),
        lambda: log.info("persons left", persons=[{"ids": (NATIONAL_ID, 1)}, {DUF_NUMBER}]),
        lambda: log.info("persons left", persons={NATIONAL_ID: "Kari"}),
        lambda: log.info("person left", person=NATIONAL_ID.encode()),
        lambda: log.info("it failed", error=ValueError(NATIONAL_ID)),
        lambda: log.info("it failed", error=str(_refused())),
        lambda: log.bind(person=NATIONAL_ID).info("person left"),
        lambda: _log_raised(ValueError(f"no such person: {NATIONAL_ID}")),
        lambda: _log_raised(RuntimeError("no"), cause=KeyError(NATIONAL_ID)),
        lambda: _log_raised(RuntimeError("no"), cause=_refused()),
        lambda: _log_raised(ExceptionGroup("both", [ValueError(NATIONAL_ID), _refused()])),
        lambda: _log_raised(_refused()),
        lambda: logging.getLogger("a.library").error("no such person: %s", NATIONAL_ID),
        lambda: logging.getLogger("a.library").error("it failed", exc_info=ValueError(NATIONAL_ID)),
        lambda: logging.getLogger("psycopg").warning("ignored: %s", _refused()),
        lambda: logging.getLogger("psycopg").warning("ignored: %(error)s", {"error": _refused()}),
    ],
)
def test_no_line_has_a_national_id(call: Callable[[], None], lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    call()
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert json.loads(written)["event"]
    assert NATIONAL_ID not in written
    assert DUF_NUMBER not in written
    assert not lines()


@pytest.mark.parametrize(
    "call",
    [
        lambda: log.info("it failed", error=_refused()),
        lambda: log.info("it failed", error=str(_refused())),
        lambda: _log_raised(_refused()),
        lambda: _log_raised(RuntimeError("no"), cause=_refused()),
        lambda: _log_raised(RuntimeError(f"no: {_refused()}")),
        lambda: logging.getLogger("psycopg").warning("ignored: %s", psycopg.Error("invalid value: Kari")),
        lambda: logging.getLogger("psycopg").warning("ignored: %(error)s", {"error": _refused()}),
    ],
)
@pytest.mark.usefixtures("lines")
def test_a_row_quoted_by_postgresql_is_not_logged(call: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    call()
    written = capsys.readouterr().err
    assert json.loads(written)
    assert "Kari" not in written


def test_a_database_error_is_logged_by_type_and_sqlstate(lines: Lines) -> None:
    _log_raised(_refused())
    (error,) = lines()[0]["exception"]
    assert error["error"] == "UniqueViolation (SQLSTATE 23505)"


def test_a_subclass_of_a_database_error_hides_its_text(lines: Lines) -> None:
    class Lost(psycopg.OperationalError):
        pass

    log.info("it failed", error=Lost("Kari"))
    assert lines()[0]["error"] == "Lost"


def test_a_traceback_has_places_and_the_chain_of_errors(lines: Lines) -> None:
    _log_raised(RuntimeError("publishing failed"), cause=OSError("disk full"))
    first, cause = lines()[0]["exception"]
    assert first["error"] == "RuntimeError: publishing failed"
    assert first["frames"][-1].endswith("_log_raised")
    assert cause["error"] == "OSError: disk full"


def test_an_implicit_cause_is_logged_unless_suppressed(lines: Lines) -> None:
    without_context = RuntimeError("second")
    without_context.__context__ = ValueError("first")
    _log_raised(without_context, cause=None)
    assert len(lines()[0]["exception"]) == 1
    try:
        try:
            raise ValueError("first")
        finally:
            raise KeyError("second")
    except KeyError:
        log.exception("it failed")
    assert [one["error"] for one in lines()[0]["exception"]] == ["KeyError: 'second'", "ValueError: first"]


def test_the_errors_of_a_group_are_logged(lines: Lines) -> None:
    _log_raised(ExceptionGroup("both failed", [OSError("disk full"), _refused()]))
    (group,) = lines()[0]["exception"]
    assert group["error"] == "ExceptionGroup: both failed (2 sub-exceptions)"
    errors = [one["error"] for one in group["exceptions"]]
    assert errors == ["OSError: disk full", "UniqueViolation (SQLSTATE 23505)"]


def test_collections_are_logged_as_lists(lines: Lines) -> None:
    log.info("loaded", tables={"person"}, partitions=(0, 1), kinds=frozenset({"class"}))
    (line,) = lines()
    assert (line["tables"], line["partitions"], line["kinds"]) == (["person"], [0, 1], ["class"])


def test_other_long_numbers_are_not_masked(lines: Lines) -> None:
    log.info("published", offset=12345678901, at="1764021600000", orgnr="987654321", lsn="16/B374D848")
    (line,) = lines()
    assert line["offset"] == 12345678901
    assert (line["at"], line["orgnr"], line["lsn"]) == ("1764021600000", "987654321", "16/B374D848")


def test_a_wrong_log_call_is_logged_by_its_place(lines: Lines) -> None:
    call = logging.LogRecord("a.library", logging.ERROR, "ims/feed/manifest.py", 7, "%d persons", (NATIONAL_ID,), None)
    logging.root.handlers[0].handle(call)
    assert lines() == [{"level": "error", "event": "log call is wrong", "place": "ims/feed/manifest.py:7"}]


def test_a_closed_stderr_raises_no_error(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", closed)
        log.info("slot created")
    assert not lines()


def _stderr_of(program: str) -> dict[str, Any]:
    program = f"""
import threading, warnings
from ims.runtime import logs
from tests.support.fixtures.logs import Lines
logs.configure("compact", "info")
def fail():
    raise ValueError("no such person: " + "0181001" + "2345")
{program}
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    line: dict[str, Any] = json.loads(ended.stderr)
    return line


@pytest.mark.parametrize("where", ["fail()", "thread = threading.Thread(target=fail); thread.start(); thread.join()"])
def test_an_uncaught_error_is_logged(where: str) -> None:
    line = _stderr_of(where)
    assert (line["level"], line["process"], line["event"]) == ("critical", "compact", "uncaught exception")
    assert line["exception"][0]["error"] == "ValueError: no such person: ***********"


def test_a_python_warning_is_logged() -> None:
    line = _stderr_of("warnings.warn('soon gone')")
    assert line["level"] == "warning"
    assert "soon gone" in line["event"]


def test_a_connection_error_is_one_line_with_its_text(lines: Lines) -> None:
    text = 'connection failed: FATAL:  password authentication failed for user "imsfeed"\n\tIs it right?'
    log.warning("starting again", error=psycopg.OperationalError(text))
    (line,) = lines()
    assert line["error"] == (
        'OperationalError: connection failed: FATAL: password authentication failed for user "imsfeed" Is it right?'
    )


def test_a_statement_error_is_logged_without_its_text(lines: Lines) -> None:
    log.warning("starting again", error=psycopg.errors.QueryCanceled(ROW))
    log.warning("starting again", error=psycopg.ProgrammingError(f"missing = after {NATIONAL_ID} open-sesame"))
    assert [line["error"] for line in lines()] == ["QueryCanceled (SQLSTATE 57014)", "ProgrammingError"]
