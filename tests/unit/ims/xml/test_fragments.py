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
from tests.unit.ims.xml.test_reader import MEMBERS, PERSONS
from tests.unit.ims.xml.test_writer import ANNA, ANNA_LEARNS, TOR, TOR_TEACHES

DIALECTS: st.SearchStrategy[Dialect] = st.sampled_from(["ims", "pifu"])


@pytest.mark.parametrize("record", [ANNA, TOR, ANNA_LEARNS, TOR_TEACHES])
def test_an_ordinary_text_needs_no_parser(record: PersonRecord | MemberRecord) -> None:
    assert read_as_written(record.key, fragment(record)) == record


@pytest.mark.parametrize("record", [ANNA_LEARNS, TOR_TEACHES])
def test_nor_does_a_member_in_pifu_ims(record: MemberRecord) -> None:
    assert read_as_written(record.key, fragment(record, dialect="pifu")) == record


@given(PERSONS | MEMBERS, DIALECTS)
def test_what_is_read_without_the_parser_is_what_the_parser_reads(record: Record, dialect: Dialect) -> None:
    xml = fragment(record, dialect=dialect)
    found = read_as_written(record.key, xml)
    assert found is None or found == parse_fragment(record.key, xml)


@given(st.sampled_from([ANNA, TOR, ANNA_LEARNS]), DIALECTS, st.data())
def test_a_damaged_text_is_left_to_the_parser_or_read_as_it_reads_it(
    record: Record, dialect: Dialect, data: st.DataObject
) -> None:
    xml = fragment(record, dialect=dialect)
    at = data.draw(st.integers(0, len(xml) - 1))
    damaged = xml[:at] + data.draw(st.sampled_from(["", "x", " ", "\n", "<", "&amp;"])) + xml[at + 1 :]
    found = read_as_written(record.key, damaged)
    assert found is None or found == parse_fragment(record.key, damaged)


@pytest.mark.parametrize("record", [ANNA, ANNA_LEARNS])
def test_what_was_not_published_so_is_left_to_the_parser(record: Record) -> None:
    """With a recstatus, or under the key of another: the parser says what is wrong."""
    wrong = [
        (record.key, fragment(record, RecStatus.NEW)),
        (record.key._replace(member="9" if record.key.member else "", id="8"), fragment(record)),
    ]
    for key, xml in wrong:
        assert read_as_written(key, xml) is None
        with contextlib.suppress(FeedError):
            parse_fragment(key, xml)
            pytest.fail("the parser takes it")
