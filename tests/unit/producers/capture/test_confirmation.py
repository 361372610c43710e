"""How far the slot may be confirmed, with a double of the table in the source."""

from types import SimpleNamespace
from typing import Any

from producers.capture.confirmation import Confirmation


class Table:
    """A double of imsfeed.capture, in which the slot's row has this epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.written: list[str] = []

    def execute(self, _query: str, parameters: list[Any]) -> Any:
        lsn, _slot, epoch = parameters
        if epoch != self.epoch:
            return SimpleNamespace(rowcount=0)
        self.written.append(lsn)
        return SimpleNamespace(rowcount=1)


def a_confirmation(stored: int = 0) -> Confirmation:
    confirmation = Confirmation("imsfeed")
    confirmation.begin(1, stored)
    return confirmation


def test_only_a_stored_position_is_confirmable() -> None:
    confirmation, table = a_confirmation(), Table(1)
    assert confirmation.confirmable(32) == 0
    confirmation.store(table)  # type: ignore[arg-type]
    assert (confirmation.confirmable(48), table.written) == (32, ["0/20"])
    confirmation.store(table)  # type: ignore[arg-type]
    assert (confirmation.confirmable(40), table.written) == (40, ["0/20", "0/30"])


def test_a_position_stored_earlier_is_confirmable_immediately() -> None:
    confirmation, table = a_confirmation(64), Table(1)
    assert confirmation.confirmable(48) == 48
    confirmation.store(table)  # type: ignore[arg-type]
    assert table.written == []


def test_nothing_is_stored_for_an_epoch_that_has_ended() -> None:
    confirmation, table = a_confirmation(), Table(2)
    confirmation.confirmable(32)
    confirmation.store(table)  # type: ignore[arg-type]
    assert (confirmation.confirmable(32), table.written) == (0, [])
