"""Records read back from their published texts without a parser, against the parser."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.errors import FeedError
from ims.records.model import MemberRecord, PersonRecord, Record
from ims.records.vocabulary import RecStatus
from ims.xml.dialect import Dialect
from ims.xml.fragments import read_as_written
from ims.xml.reader import parse_fragment
from ims.xml.writer import fragment
from tests.unit.ims.xml.plain_records import ANNA, ANNA_LEARNS, TOR, TOR_TEACHES
from tests.unit.ims.xml.test_reader import MEMBERS, PERSONS

DIALECTS: st.SearchStrategy[Dialect] = st.sampled_from(["ims", "pifu"])


@pytest.mark.parametrize("record", [ANNA, TOR, ANNA_LEARNS, TOR_TEACHES])
def test_an_ordinary_text_needs_no_parser(record: PersonRecord | MemberRecord) -> None:
    assert read_as_written(record.key, fragment(record)) == record


@pytest.mark.parametrize("record", [ANNA_LEARNS, TOR_TEACHES])
def test_a_member_in_pifu_ims_needs_no_parser(record: MemberRecord) -> None:
    assert read_as_written(record.key, fragment(record, dialect="pifu")) == record


@given(PERSONS | MEMBERS, DIALECTS)
def test_a_text_read_without_the_parser_gives_the_same_record(record: Record, dialect: Dialect) -> None:
    xml = fragment(record, dialect=dialect)
    found = read_as_written(record.key, xml)
    assert found is None or found == parse_fragment(record.key, xml)


@given(st.sampled_from([ANNA, TOR, ANNA_LEARNS]), DIALECTS, st.data())
def test_a_damaged_text_is_never_read_otherwise_than_parsed(
    record: Record, dialect: Dialect, data: st.DataObject
) -> None:
    xml = fragment(record, dialect=dialect)
    at = data.draw(st.integers(0, len(xml) - 1))
    damaged = xml[:at] + data.draw(st.sampled_from(["", "x", " ", "\n", "<", "&amp;"])) + xml[at + 1 :]
    found = read_as_written(record.key, damaged)
    assert found is None or found == parse_fragment(record.key, damaged)


@pytest.mark.parametrize("record", [ANNA, ANNA_LEARNS])
def test_a_text_that_was_never_published_needs_the_parser(record: Record) -> None:
    """With a recstatus, or under another record's key; the parser then refuses it."""
    wrong = [
        (record.key, fragment(record, RecStatus.NEW)),
        (record.key._replace(member="9" if record.key.member else "", id="8"), fragment(record)),
    ]
    for key, xml in wrong:
        assert read_as_written(key, xml) is None
        with contextlib.suppress(FeedError):
            parse_fragment(key, xml)
            pytest.fail("the parser accepts it")
