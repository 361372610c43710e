"""A truncate waits in quarantine until what it removed has been found missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.materialize import quarantine_store
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import Table
from tests.support.builders import an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.commit(an_owner())
    yield pipeline
    pipeline.close()


def a_truncate() -> bytes:
    return encode(
        Envelope(
            source=Source(schema="public", table="person", epoch=1),
            op="t",
            transaction=Transaction("7:900", 1, 1, last=True),
        )
    )


def resolved(pipeline: Pipeline) -> list[bool]:
    return [one.resolved_at is not None for one in quarantine_store.all_quarantined(pipeline.connection)]


def test_a_truncate_is_resolved_when_every_owner_is_resynced(pipeline: Pipeline) -> None:
    pipeline.commit(an_owner(owner_id=2))
    pipeline.deliver(a_truncate())
    assert resolved(pipeline) == [False]
    for lsn, owner, expected in ((1000, 1, False), (1001, 2, True)):
        end = encode(
            Envelope(
                source=Source(schema="imsfeed", table="heartbeat", epoch=1, resync_owner=owner),
                op="r",
                after={"owner_id": 0},
                transaction=Transaction(f"resync:{lsn}", 1, 1, last=True),
            )
        )
        pipeline.deliver(end)
        assert resolved(pipeline) == [expected]


def test_a_truncate_of_nothing_needs_no_resync(pipeline: Pipeline) -> None:
    pipeline.connection.execute(f"truncate {', '.join(f'imsfeed.{table}' for table in Table)}".encode())
    pipeline.deliver(a_truncate())
    assert resolved(pipeline) == [True]
