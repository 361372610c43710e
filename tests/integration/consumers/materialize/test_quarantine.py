"""Messages in quarantine: resolved by later messages, applied again, or discarded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg import sql

from consumers.materialize import quarantine, quarantine_store
from consumers.materialize.quarantine import QuarantineError
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import Table
from ims.source.mapping import REFERENCE_MAPPING, parse_mapping
from tests.support.builders import an_enrolment
from tests.support.feed_words import id_of, person
from tests.support.pipeline import Pipeline, row_of
from tests.support.quarantined import KEY, an_event, audit, deliver, numbers, quarantining, resolved


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    with quarantining(state_dsn, tmp_path / "feed") as pipeline:
        yield pipeline


def replayed(pipeline: Pipeline, number: int, mapping: Any = REFERENCE_MAPPING) -> Any:
    return quarantine.replay(pipeline.connection, number, mapping, 1, 0, "Ada")


def test_a_message_of_a_newly_mapped_table_is_applied_and_published(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, table="elev"), key=KEY)
    (number,) = numbers(pipeline)
    refused = replayed(pipeline, number)
    assert refused.reason == "unknown_table", "nothing was fixed yet"
    assert replayed(pipeline, number, parse_mapping('[person]\ntable = "elev"')) is None
    assert numbers(pipeline) == []
    pipeline.compact(seconds=1)
    assert person(1) in {record.key for record, _ in pipeline.delta(1)}
    assert audit(pipeline) == [("Ada", "replayed", None, number, "unknown_table")]


def test_a_message_refused_again_stays_with_the_new_reason(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, table="elev", given_name=None), key=KEY)
    (number,) = numbers(pipeline)
    refused = replayed(pipeline, number, parse_mapping('[person]\ntable = "elev"'))
    assert refused.reason == "impossible_value"
    (message,) = quarantine_store.all_quarantined(pipeline.connection)
    assert (message.reason, message.detail) == ("impossible_value", "person.given_name is null")
    assert audit(pipeline) == []


def test_a_message_that_postgresql_refuses_stays_in_quarantine(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(pipeline, an_event(900, given_name=None), key=KEY)
    (number,) = numbers(pipeline)
    pipeline.connection.execute("update imsfeed.quarantine set message_value = %s", (an_event(900),))
    monkeypatch.setattr(
        "consumers.materialize.facts_store._insert_changes", lambda cursor, _: cursor.execute("select 1/0")
    )
    refused = replayed(pipeline, number)
    assert (refused.reason, refused.detail) == ("impossible_value", "PostgreSQL refused it: 22012")
    assert numbers(pipeline) == [number]
    assert pipeline.connection.execute("select from imsfeed.person where id = 1").fetchone() is None


def test_a_message_resolved_by_a_later_one_is_not_applied(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, given_name=None, family_name="Gammel"), key=KEY)
    assert resolved(pipeline) == [False]
    deliver(pipeline, an_event(901, family_name="Ny"), key=KEY)
    assert resolved(pipeline) == [True]
    assert pipeline.store.quarantine_size() == 0
    with pytest.raises(QuarantineError, match="superseded"):
        replayed(pipeline, numbers(pipeline)[0])
    assert pipeline.connection.execute("select family_name from imsfeed.person where id = 1").fetchone() == ("Ny",)


@pytest.mark.parametrize(("first", "expected"), [("bad", True), ("good", False)])
def test_in_one_batch_only_a_later_message_resolves(pipeline: Pipeline, first: str, expected: bool) -> None:
    bad, good = an_event(900, given_name=None), an_event(901)
    if first == "good":
        bad, good = an_event(901, given_name=None), an_event(900)
    deliver(pipeline, *((bad, good) if first == "bad" else (good, bad)), key=KEY)
    assert resolved(pipeline) == [expected]


def test_an_equal_key_of_another_table_resolves_nothing(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, given_name=None), key=KEY)
    deliver(
        pipeline,
        encode(
            Envelope(
                source=Source(schema="public", table="enrolment", epoch=1),
                op="c",
                after=row_of(an_enrolment(1, person=1, group=1)),
                transaction=Transaction("7:901", 1, 1, last=True),
            )
        ),
        key=KEY,
    )
    assert resolved(pipeline) == [False]


@pytest.mark.parametrize(("key", "expected"), [(KEY, False), (b'{"table":"person","owner_id":1,"id":1}', True)])
def test_an_unreadable_message_is_resolved_only_by_its_own_table(
    pipeline: Pipeline, key: bytes, expected: bool
) -> None:
    deliver(pipeline, b"no json", key=key)
    deliver(pipeline, an_event(901), key=key)
    assert resolved(pipeline) == [expected]
    if not expected:
        pipeline.connection.execute("update imsfeed.quarantine set message_value = %s", (an_event(900),))
    with pytest.raises(QuarantineError, match="superseded" if expected else "its key names no table"):
        replayed(pipeline, numbers(pipeline)[0])


def test_an_earlier_message_is_never_applied_after_a_later_one(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, table="elev", family_name="Gammel"), key=KEY)
    deliver(pipeline, an_event(901, table="elev", family_name="Ny"), key=KEY)
    mapping = parse_mapping('[person]\ntable = "elev"')
    earlier, later = numbers(pipeline)
    assert replayed(pipeline, later, mapping) is None
    assert resolved(pipeline) == [True]
    with pytest.raises(QuarantineError, match="superseded"):
        replayed(pipeline, earlier, mapping)


def test_a_completed_load_resolves_messages_of_older_epochs_only(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, op="t"), an_event(901, op="d", table="elev"))
    deliver(pipeline, an_event(10, epoch=2, op="r", given_name=None, last=False))
    deliver(pipeline, an_event(11, epoch=2, op="r"))
    assert resolved(pipeline) == [True, True, False]


@pytest.mark.parametrize(("key", "op", "why"), [(None, "c", "has no key"), (KEY, "t", "TRUNCATE is never applied")])
def test_a_message_that_cannot_be_compared_is_never_applied(
    pipeline: Pipeline, key: bytes | None, op: str, why: str
) -> None:
    deliver(pipeline, an_event(900, op=op, given_name=None), key=key)
    with pytest.raises(QuarantineError, match=f"{why}.*imsfeed resync all"):
        replayed(pipeline, numbers(pipeline)[0])


def test_messages_at_one_offset_of_recreated_topics_are_both_kept(pipeline: Pipeline) -> None:
    deliver(pipeline, b"no json", key=KEY)
    pipeline.connection.execute("update imsfeed.quarantine set message_offset = message_offset + 1")
    deliver(pipeline, b"no json either", key=KEY)
    assert len(numbers(pipeline)) == 2


def test_a_description_has_running_numbers_and_no_values(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, given_name=None, secret_note="Testesen"), key=KEY)
    about = quarantine.describe(pipeline.connection, numbers(pipeline)[0], REFERENCE_MAPPING, 0)
    assert (about.table, about.op, about.owner_id, about.id) == ("public.person", "c", 1, 1)
    assert about.position == (1, 900, 1)
    assert {"national_id", "given_name"} < set(about.columns)
    assert about.unmapped == 1
    text = msgspec.json.encode(about).decode()
    assert id_of(1) not in text
    assert "secret_note" not in text
    assert "Testesen" not in text


def test_a_key_that_may_be_a_national_id_is_not_shown(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, id=int(id_of(1)) + 10**10, given_name=None), key=KEY)
    assert quarantine.describe(pipeline.connection, numbers(pipeline)[0], REFERENCE_MAPPING, 0).id is None


def test_an_older_message_gives_back_nothing_that_a_newer_one_took(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, op="u", family_name=None), key=KEY)
    deliver(pipeline, an_event(901, op="u", family_name=None, protected=True), key=KEY)
    earlier, later = numbers(pipeline)
    pipeline.connection.execute(
        "update imsfeed.quarantine set message_value = %s where quarantine_id = %s", (an_event(900, op="u"), earlier)
    )
    with pytest.raises(QuarantineError, match=f"message {later} in quarantine is about the same row and newer"):
        replayed(pipeline, earlier)
    query = "select protected from imsfeed.person where id = 1"
    assert pipeline.connection.execute(query).fetchone() == (True,)


def test_a_replay_takes_away_what_it_can_read(pipeline: Pipeline) -> None:
    deliver(pipeline, an_event(900, op="u", table="elev", family_name=None, protected=True), key=KEY)
    refused = replayed(pipeline, numbers(pipeline)[0], parse_mapping('[person]\ntable = "elev"'))
    assert refused is not None
    query = "select protected from imsfeed.person where id = 1"
    assert pipeline.connection.execute(query).fetchone() == (True,)


def test_a_message_older_than_all_its_owners_rows_is_superseded(pipeline: Pipeline) -> None:
    """A resync may have found that the row no longer exists; no later message with its key says so."""
    deliver(pipeline, an_event(900, table="elev"), key=KEY)
    (number,) = numbers(pipeline)
    for table in Table:
        statement = sql.SQL("update imsfeed.{} set commit_lsn = 1000000")
        pipeline.connection.execute(statement.format(sql.Identifier(table.value)))
    with pytest.raises(QuarantineError, match="superseded"):
        replayed(pipeline, number, parse_mapping('[person]\ntable = "elev"'))
    assert numbers(pipeline) == [number]
