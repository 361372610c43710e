"""Bugs of capture and materialize."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from consumers.materialize import batch
from consumers.materialize.batch import Load
from consumers.replay.memory_store import MemoryFacts
from ims.source import events
from ims.source.events import Change, Envelope
from ims.source.facts import Table
from producers.events import change_events
from producers.events.change_events import ChangeStream
from producers.events.publisher import Publisher
from producers.source.pgoutput import UNCHANGED, Delete, Truncate
from tests.simulation.bugs.planting import Bugs
from tests.simulation.pipeline import capture
from tests.simulation.pipeline.materializer import Materializer
from tests.support.memory.state import ChangingFacts

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS = Bugs()


@BUGS.enter
def acknowledged_before_durable(patch: pytest.MonkeyPatch) -> None:
    real = Publisher.acknowledged

    def acknowledged(self: Publisher) -> int | None:
        known = real(self)
        points = [item for item in self._outstanding if isinstance(item, int)]
        return points[-1] if points else known

    patch.setattr(Publisher, "acknowledged", acknowledged)


@BUGS.enter
def confirmed_inside_a_transaction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ChangeStream, "in_transaction", False)


@BUGS.enter
def goes_on_after_a_lost_message(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Publisher, "_give_up", lambda *_: None)


@BUGS.enter
def duplicates_are_applied(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch, "is_news", lambda *_: True)


@BUGS.enter
def offset_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryFacts, "_move", lambda self, partition, _start, to: self._progress.update({partition: to}))


@BUGS.enter
def no_epoch(patch: pytest.MonkeyPatch) -> None:
    _positions(patch, epoch=0)


@BUGS.enter
def ordinal_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    _positions(patch, ordinal=0)


@BUGS.enter
def epoch_repeats_after_a_restore(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(capture, "next_epoch", lambda last, _now: last + 1)


@BUGS.enter
def pending_changes_are_lost_at_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Commit pending changes after the facts: a process that dies in between loses them."""
    unmade: list[Any] = []
    make, apply, die = ChangingFacts.change, Materializer.apply, Materializer.die

    def apply_and_note(self: Materializer) -> None:
        apply(self)
        while unmade:
            make(self._state.facts, unmade.pop(0))

    def die_between(self: Materializer, *, committed: bool) -> None:
        if self.polled is not None and committed:
            apply(self)
        unmade.clear()
        die(self, committed=committed)

    patch.setattr(ChangingFacts, "change", lambda _, changes: unmade.append(changes))
    patch.setattr(Materializer, "apply", apply_and_note)
    patch.setattr(Materializer, "die", die_between)


@BUGS.enter
def deletes_are_dropped(patch: pytest.MonkeyPatch) -> None:
    _without(patch, Delete)


@BUGS.enter
def truncate_is_passed_over_by_capture(patch: pytest.MonkeyPatch) -> None:
    _without(patch, Truncate)


@BUGS.enter
def truncate_is_passed_over_by_materialize(patch: pytest.MonkeyPatch) -> None:
    real = batch._BatchReader._apply

    def apply(self: Any, message: batch.Message, change: Change) -> None:
        if change.op != "t":
            real(self, message, change)

    patch.setattr(batch._BatchReader, "_apply", apply)


@BUGS.enter
def changed_key_is_one_event(patch: pytest.MonkeyPatch) -> None:
    def update_events(table: Any, before: Any, after: Any, partitions: int) -> list[Any]:
        after = change_events._filled(after, before or {})
        return [change_events._row_event(table, "u", before, after, partitions)]

    patch.setattr(change_events, "update_events", update_events)


@BUGS.enter
def unsent_value_is_taken_for_null(patch: pytest.MonkeyPatch) -> None:
    def filled(row: dict[str, Any], _old: object) -> dict[str, Any]:
        return {name: None if value is UNCHANGED else value for name, value in row.items()}

    patch.setattr(change_events, "_filled", filled)


@BUGS.enter
def sweep_with_a_wrong_epoch(patch: pytest.MonkeyPatch) -> None:
    def later(load: Load) -> Load:
        return msgspec.structs.replace(load, epoch=load.epoch + 1)

    real = MemoryFacts._sweep
    patch.setattr(MemoryFacts, "_sweep", lambda self, partition, load: real(self, partition, later(load)))


@BUGS.enter
def nothing_is_swept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryFacts, "_sweep", lambda *_: None)


@BUGS.enter
def load_is_taken_for_complete_immediately(patch: pytest.MonkeyPatch) -> None:
    real = events._change

    def change(envelope: Envelope, default_epoch: int) -> Change:
        found = real(envelope, default_epoch)
        return msgspec.structs.replace(found, ends_transaction=found.ends_transaction or found.loading)

    patch.setattr(events, "_change", change)


@BUGS.enter
def person_who_left_a_group_is_not_in_scope(patch: pytest.MonkeyPatch) -> None:
    """Note only the persons to whom the row points now, and not those to whom it pointed before."""
    real = ChangingFacts._changed

    def only_now(self: ChangingFacts, _before: object, *others: Any) -> Any:
        return real(self, {table: {} for table in Table}, *others)

    patch.setattr(ChangingFacts, "_changed", only_now)


def _positions(patch: pytest.MonkeyPatch, **fields: int) -> None:
    real = events._change

    def change(envelope: Envelope, default_epoch: int) -> Change:
        found = real(envelope, default_epoch)
        return msgspec.structs.replace(found, position=found.position._replace(**fields))

    patch.setattr(events, "_change", change)


def _without(patch: pytest.MonkeyPatch, kind: type) -> None:
    real = ChangeStream._row_events
    patch.setattr(
        ChangeStream, "_row_events", lambda self, change: [] if isinstance(change, kind) else real(self, change)
    )
