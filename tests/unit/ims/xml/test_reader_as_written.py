"""Persons and members that are read by the text they were written as are read as the parser reads them."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims.errors import FeedError
from ims.records.model import Record
from ims.records.vocabulary import RecStatus
from ims.xml import reader
from ims.xml.dialect import PIFU_NAMESPACE, Dialect
from ims.xml.reader import read
from ims.xml.writer import Properties, document_parts, fragment
from tests.unit.ims.xml.plain_records import ANNA, ANNA_LEARNS, FULL, NORWEGIAN, SOURCE, TOR, TOR_TEACHES
from tests.unit.ims.xml.test_reader import GROUPS, MEMBERS, PERSONS

DIALECTS = st.sampled_from(["ims", "pifu"])


def document(dialect: Dialect, *records: Record, recstatus: RecStatus | None = None) -> bytes:
    properties = Properties(SOURCE, "lms", "full" if recstatus is None else "delta", FULL.at, dialect)
    rows = sorted((record.key, fragment(record, recstatus, dialect)) for record in records)
    return "".join(document_parts(properties, SOURCE, rows)).encode()


def said(xml: bytes) -> list[object] | str:
    """What a file holds, or why it is refused."""
    try:
        return list(read(xml))
    except FeedError as error:
        return str(error)


def said_by_the_parser(xml: bytes) -> list[object] | str:
    with patch.object(reader, "record_as_written", return_value=None):
        return said(xml)


@settings(deadline=None)
@given(dialect=DIALECTS, records=st.lists(PERSONS | GROUPS | MEMBERS, max_size=4), recstatus=st.none() | st.just(3))
def test_any_file_is_read_as_the_parser_reads_it(
    dialect: Dialect, records: list[Record], recstatus: int | None
) -> None:
    xml = document(dialect, *records, recstatus=None if recstatus is None else RecStatus(recstatus))
    assert said(xml) == said_by_the_parser(xml)


@settings(deadline=None, max_examples=300)
@given(dialect=DIALECTS, data=st.data())
def test_an_altered_file_is_read_as_the_parser_reads_it(dialect: Dialect, data: st.DataObject) -> None:
    xml = document(dialect, ANNA, NORWEGIAN, ANNA_LEARNS, TOR_TEACHES)
    at, byte = data.draw(st.integers(0, len(xml) - 1)), data.draw(st.sampled_from([b"", b" ", b"<", b"&", b"1", b"/"]))
    xml = xml[:at] + byte + xml[at + data.draw(st.integers(0, 1)) :]
    assert said(xml) == said_by_the_parser(xml)


NAMESPACE = f' xmlns="{PIFU_NAMESPACE}"'.encode()


@pytest.mark.parametrize("record", [ANNA, TOR, ANNA_LEARNS, TOR_TEACHES])
def test_a_record_of_the_other_dialect_is_left_to_the_parser(record: Record) -> None:
    plain = document("pifu", record).replace(NAMESPACE, b"")
    pifu = document("ims", record).replace(b"<enterprise>", b"<enterprise" + NAMESPACE + b">")
    for xml in (plain, pifu):
        assert said(xml) == said_by_the_parser(xml)


@pytest.mark.parametrize(
    "xml", [document("ims", ANNA, TOR, ANNA_LEARNS, TOR_TEACHES), document("pifu", ANNA_LEARNS, TOR_TEACHES)]
)
def test_persons_and_members_need_no_parser(xml: bytes) -> None:
    with patch.object(reader, "record_of", side_effect=AssertionError):
        assert len(list(read(xml))) > 2


def test_a_record_without_recstatus_is_refused_in_a_delta() -> None:
    xml = document("ims", ANNA).replace(b"<type>full", b"<type>delta")
    assert "recstatus does not go with type delta" in str(said(xml))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<member>", b'<member xmlns="urn:other">'),
        (b"<person>", b'<person xmlns="urn:other">'),
        (b"<person>", b'<x:person xmlns:x="urn:other">'),
    ],
)
def test_an_element_of_another_namespace_is_refused(before: bytes, after: bytes) -> None:
    for dialect in ("ims", "pifu"):
        closed = b"</x:person>" if b"<x:" in after else b"</person>"
        xml = document(dialect, ANNA, ANNA_LEARNS).replace(before, after).replace(b"</person>", closed)
        assert "namespace" in str(said(xml))
