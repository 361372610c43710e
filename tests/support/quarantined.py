"""Messages for the quarantine, and what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from consumers.materialize import quarantine_store
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline, row_of

KEY: Final = b'{"owner_id":1,"id":1}'


@contextmanager
def quarantining(state_dsn: str, feed: Path) -> Iterator[Pipeline]:
    """Yield a pipeline with a published target, in which person 1 is enrolled and has not arrived."""
    pipeline = Pipeline(state_dsn, feed)
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(2), an_enrolment(1, person=1, group=1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def an_event(
    lsn: int, *, table: str = "person", op: str = "c", epoch: int = 1, last: bool = True, **columns: Any
) -> bytes:
    """Return an event that writes person 1; *columns* may have impossible values."""
    return encode(
        Envelope(
            source=Source(schema="public", table=table, epoch=epoch),
            op=op,
            before={"owner_id": 1, "id": 1} if op == "d" else None,
            after=None if op in "dt" else {**row_of(a_person(1)), **columns},
            transaction=Transaction(f"7:{lsn}", 1, 1, last=last or None),
        )
    )


def deliver(pipeline: Pipeline, *values: bytes, key: bytes | None = None) -> None:
    pipeline.key = key
    pipeline.deliver(*values)


def numbers(pipeline: Pipeline) -> list[int]:
    return [one.number for one in quarantine_store.all_quarantined(pipeline.connection)]


def resolved(pipeline: Pipeline) -> list[bool]:
    return [one.resolved_at is not None for one in quarantine_store.all_quarantined(pipeline.connection)]


def audit(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.connection.execute(
        "select done_by, action, explanation, quarantine_id, reason from imsfeed.quarantine_audit order by audit_id"
    ).fetchall()
