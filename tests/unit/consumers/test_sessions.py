import psycopg
import pytest

from consumers import sessions


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
