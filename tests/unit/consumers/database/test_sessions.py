"""Rules that every session on the state database keeps, and which of its errors pass by themselves."""

from pathlib import Path

import psycopg
import pytest

from consumers.database import sessions
from tests.support.paths import ROOT

CONSUMERS = ROOT / "consumers"
MODULES = sorted(CONSUMERS.rglob("*.py"))


def test_the_modules_looked_through_are_all_there() -> None:
    assert {module.parent.name for module in MODULES} >= {"consumers", "database", "materialize", "publication"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(CONSUMERS).as_posix())
def test_no_statement_is_sent_in_a_pipeline(path: Path) -> None:
    """After one the server does not end the session of a process that was paused inside a transaction."""
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
def test_what_passes_by_itself_is_tried_again(error: psycopg.Error) -> None:
    """The loss of a transaction in which a process was paused is no operational error in psycopg, but passes too."""
    assert sessions.is_transient(error)


def test_a_defect_is_not_tried_again() -> None:
    assert not sessions.is_transient(psycopg.errors.UndefinedColumn())
