"""Files and texts in PIFU-IMS, read back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.errors import FeedError
from ims.feed.delta import between
from ims.records.model import GroupRecord, PersonRecord, Record, RecordKey, UserId
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel, RecStatus
from ims.xml.reader import ReadRecord, read, read_fragment
from ims.xml.writer import document_parts, fragment, snapshot_parts
from tests.unit.ims.xml.pifu_records import (
    ANNA,
    ANNA_LEARNS,
    EVERYTHING,
    FJORD,
    LEARNING,
    NORWEGIAN,
    PIFU,
    SOURCE,
    TOR,
    TOR_TEACHES,
)
from tests.unit.ims.xml.test_reader import DAYS, FILLED, GROUPS, MEMBERS, PERSONS, as_written, refusal

USERIDS = st.builds(UserId, st.sampled_from(["personNIN", "personLIN"]), FILLED)
SNAPSHOT = "".join(
    snapshot_parts(PIFU, SOURCE, sorted((record.key, fragment(record, dialect="pifu")) for record in EVERYTHING))
)


@st.composite
def persons(draw: st.DrawFn) -> PersonRecord:
    """Draw a person whose login may be the Feide name, with additional userids, and perhaps an old id."""
    person = draw(PERSONS)
    userids = draw(st.lists(USERIDS, max_size=2))
    if person.login and clean_text(person.login) and draw(st.booleans()):
        userids = [UserId("feideID", person.login), *userids]
    return msgspec.structs.replace(person, userids=tuple(userids), old_id=draw(st.none() | FILLED))


@st.composite
def groups(draw: st.DrawFn) -> GroupRecord:
    """Draw a group of any level."""
    level = draw(st.sampled_from(GroupLevel))
    orgnr = draw(st.none() | FILLED) if level is not GroupLevel.GROUP else None
    return msgspec.structs.replace(draw(GROUPS), level=level, parent=draw(st.none() | FILLED), orgnr=orgnr)


RECORDS = persons() | groups() | MEMBERS


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    kept = as_written(record, "pifu")
    assert read_fragment(kept.key, fragment(record, dialect="pifu")) == kept


@given(RECORDS)
def test_a_record_that_was_read_is_written_the_same(record: Record) -> None:
    text = fragment(record, dialect="pifu")
    assert fragment(read_fragment(record.key, text), dialect="pifu") == text


@given(RECORDS, DAYS)
def test_an_unchanged_record_is_not_published_again(record: Record, day: str | None) -> None:
    text = fragment(record, dialect="pifu")
    assert not between({record.key: text}, {record.key: record}, "pifu")
    if isinstance(record, GroupRecord):
        moved = msgspec.structs.replace(record, begin="2001-01-01" if day is None else None)
        assert bool(between({record.key: text}, {record.key: moved}, "pifu")) is (moved.begin != record.begin)


def test_a_file_is_read_with_its_dialect() -> None:
    properties, *records = read(SNAPSHOT.encode())
    assert properties == PIFU
    assert records == [
        ReadRecord(as_written(record, "pifu"), None) for record in sorted(EVERYTHING, key=lambda r: r.key)
    ]


def test_a_delta_is_read_with_its_recstatus() -> None:
    changes: list[tuple[Record, RecStatus]] = [
        (TOR, RecStatus.NEW),
        (NORWEGIAN, RecStatus.CHANGED),
        (ANNA_LEARNS, RecStatus.GONE),
    ]
    rows = [(record.key, fragment(record, recstatus, "pifu")) for record, recstatus in changes]
    xml = "".join(document_parts(msgspec.structs.replace(PIFU, type="delta"), SOURCE, rows))
    assert list(read(xml.encode()))[1:] == [
        ReadRecord(as_written(record, "pifu"), recstatus) for record, recstatus in changes
    ]


def test_a_long_name_is_read_from_the_full_description() -> None:
    long = msgspec.structs.replace(NORWEGIAN, long="l" * 3_000)
    record = read_fragment(long.key, fragment(long, dialect="pifu"))
    assert isinstance(record, GroupRecord)
    assert record.long == "l" * 2_048


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('sourcedidtype="New"', 'sourcedidtype="Old"'),
        ('sourcedidtype="New"', 'sourcedidtype="Duplicate"'),
        (' sourcedidtype="New"', ""),
        (' sourcedidtype="Old"', ""),
        ('sourcedidtype="Old">\n      <source>imsfeed@100000008', 'sourcedidtype="Old">\n      <source>other'),
        ("<idtype>", "<sourcedid><source>s</source><id>01810012345</id></sourcedid><idtype>"),
        ("<membership>\n    <sourcedid>", '<membership>\n    <sourcedid sourcedidtype="New">'),
        ("<group>\n    <sourcedid>", '<group>\n    <sourcedid sourcedidtype="New">'),
        ('useridtype="personNIN"', 'useridtype="username"'),
        ('useridtype="personNIN"', 'useridtype="studentID"'),
        (' useridtype="personNIN"', ""),
        ("</email>", '</email><institutionrole primaryrole="Yes" institutionroletype="Student"/>'),
        ("pifu-ims-go-org", "imsfeed-org"),
        ('level="2"', 'level="1"'),
        ('level="2"', 'level="3"'),
        (">basisgruppe<", ">undervisningsgruppe<"),
        ('relation="1"', 'relation="3"'),
        ('type="organizationNumber"', 'type="gsiNumber"'),
        ("<subrole>V<", "<subrole>E<"),
        ('roletype="01"', 'roletype="02"'),
        ("<person>", '<person xmlns="urn:other">'),
        ("<person>", '<person xmlns="">'),
        ("<person>", '<person xmlns="urn:other"/><person>'),
        ("<given>", '<given xmlns="urn:other">'),
        ("<enterprise xmlns=", "<enterprise xmlns:p="),
        ("pifu-ims_sas-v1", "pifu-ims_sas-1.2"),
    ],
)
def test_an_element_that_imsfeed_does_not_write_is_refused(written: str, instead: str) -> None:
    assert written in SNAPSHOT
    message = refusal(SNAPSHOT.replace(written, instead, 1))
    assert message.startswith("line ")
    assert "01810012345" not in message


def test_namespace_prefixes_are_refused() -> None:
    prefixed = SNAPSHOT.replace("xmlns=", "xmlns:p=").replace("</", "</p:").replace("<", "<p:")
    prefixed = prefixed.replace("<p:?", "<?").replace("<p:/p:", "</p:")
    assert "prefix" in refusal(prefixed)


def test_a_target_can_change_from_one_dialect_to_the_other() -> None:
    people: list[Record] = [ANNA, TOR, NORWEGIAN, ANNA_LEARNS, TOR_TEACHES]
    plain = {record.key: fragment(record) for record in people}
    pifu = {record.key: fragment(record, dialect="pifu") for record in [*people, FJORD, LEARNING]}
    for published in (plain, pifu):
        assert {change.recstatus for change in between(published, {}, "pifu").changes} == {RecStatus.GONE}
        assert {change.recstatus for change in between(published, {}, "ims").changes} == {RecStatus.GONE}
    now: dict[RecordKey, Record] = {record.key: record for record in people}
    assert {change.recstatus for change in between(plain, now, "pifu").changes} == {RecStatus.CHANGED}


def test_a_text_of_neither_dialect_is_refused() -> None:
    mixed = fragment(NORWEGIAN).replace("</description>", "</description><relationship></relationship>")
    with pytest.raises(FeedError):
        read_fragment(NORWEGIAN.key, mixed)
