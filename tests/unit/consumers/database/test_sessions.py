"""Rules for every session on the state database, and which of its errors are transient."""

from pathlib import Path

import psycopg
import pytest

from consumers.database import sessions
from tests.support.paths import ROOT

CONSUMERS = ROOT / "consumers"
MODULES = sorted(CONSUMERS.rglob("*.py"))


def test_every_module_of_consumers_is_checked() -> None:
    assert {module.parent.name for module in MODULES} >= {"consumers", "database", "materialize", "publication"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CONSUMERS).as_posix())
def test_no_statement_is_sent_in_a_pipeline(path: Path) -> None:
    """After a pipeline the server does not end the session of a process that is paused inside a transaction."""
    text = path.read_text(encoding="utf-8")
    assert "executemany(" not in text
    assert ".pipeline(" not in text


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.AdminShutdown(),
        psycopg.errors.SerializationFailure(),
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.IdleInTransactionSessionTimeout(),
        psycopg.InterfaceError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_transient_error_is_tried_again(error: psycopg.Error) -> None:
    """The time-out of a paused process's transaction is no operational error in psycopg, but is transient too."""
    assert sessions.is_transient(error)


def test_a_defect_is_not_tried_again() -> None:
    assert not sessions.is_transient(psycopg.errors.UndefinedColumn())
