"""Files and texts in plain IMS Enterprise, read back; what imsfeed does not write is refused."""

import re
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.errors import FeedError
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey, UserId
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel, InstitutionRole, RecordKind, RecStatus, RoleType
from ims.xml.dialect import Dialect
from ims.xml.reader import ReadRecord, read, read_fragment
from ims.xml.writer import Properties, document_parts, fragment, snapshot_parts
from tests.unit.ims.xml.plain_records import (
    ANNA,
    ANNA_LEARNS,
    DELTA,
    EVERYTHING,
    FULL,
    NORWEGIAN,
    SOURCE,
    TOR,
    TOR_TEACHES,
    rows,
)

SNAPSHOT = "".join(snapshot_parts(FULL, SOURCE, rows(*EVERYTHING)))

AWKWARD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "æøåÆØÅčđŋšŧžČĐŊŠŦŽáÁ&<>\"'\u0301\u0308\u030a\u0338\x00\x0b\x1f\x7f\x85\t\r\n🙂👩\u200d🏫\ufffe"
        ),
    ),
    max_size=12,
)
FILLED = AWKWARD.filter(clean_text)
DAYS = st.none() | st.dates().map(lambda day: day.isoformat())
PERSONS = st.builds(
    PersonRecord,
    source=FILLED,
    id=FILLED,
    login=st.none() | AWKWARD,
    given_name=AWKWARD,
    family_name=AWKWARD,
    email=st.none() | AWKWARD,
    roles=st.lists(st.sampled_from(InstitutionRole), max_size=2).map(tuple),
)
GROUPS = st.builds(
    GroupRecord,
    source=FILLED,
    id=FILLED,
    kind=AWKWARD,
    short=AWKWARD,
    long=AWKWARD,
    owner_name=AWKWARD,
    school_name=AWKWARD,
    begin=DAYS,
    end=DAYS,
    parent=st.none() | FILLED,
)
MEMBERS = st.builds(MemberRecord, source=FILLED, group=FILLED, person=FILLED, role=st.sampled_from(RoleType))


def as_written(record: Record, dialect: Dialect = "ims") -> Record:
    """Return the record with its texts as written to a file; an empty login or e-mail becomes ``None``."""
    texts = {name: value for name, value in msgspec.structs.asdict(record).items() if type(value) is str}
    absent = {"login", "email", "orgnr"}
    clean = msgspec.structs.replace(
        record, **{name: clean_text(text) or (None if name in absent else "") for name, text in texts.items()}
    )
    return clean if dialect == "ims" else _in_pifu(clean)


def _in_pifu(record: Record) -> Record:
    """Return the record with only the fields that PIFU-IMS has."""
    if isinstance(record, PersonRecord):
        email = record.email if record.email and re.fullmatch(r".+@.+\..+", record.email) else None
        userids = [UserId(userid.type, clean_text(userid.value)) for userid in record.userids]
        # The login comes first.
        userids.sort(key=lambda userid: userid != UserId("feideID", record.login or ""))
        return msgspec.structs.replace(record, roles=(), email=email, userids=tuple(userids))
    if isinstance(record, GroupRecord):
        kind = "class" if record.level is GroupLevel.GROUP and record.kind == "class" else ""
        parent = record.parent or record.id
        return msgspec.structs.replace(record, kind=kind, owner_name="", school_name="", parent=parent)
    return record


def refusal(xml: str | bytes) -> str:
    with pytest.raises(FeedError) as caught:
        list(read(xml if isinstance(xml, bytes) else xml.encode()))
    return str(caught.value)


@given(PERSONS | GROUPS | MEMBERS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    kept = as_written(record)
    assert read_fragment(kept.key, fragment(record)) == kept


@given(PERSONS | GROUPS | MEMBERS)
def test_a_record_is_read_under_its_published_key(record: Record) -> None:
    assert read_fragment(record.key, fragment(record)).key == record.key


def test_a_file_is_read_as_properties_and_records() -> None:
    assert list(read(SNAPSHOT.encode())) == [FULL, *(ReadRecord(record, None) for record in EVERYTHING)]


def test_a_file_may_be_a_path_or_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.xml"
    path.write_text(SNAPSHOT, encoding="utf-8")
    assert list(read(path)) == list(read(BytesIO(SNAPSHOT.encode()))) == list(read(SNAPSHOT.encode()))


def test_a_delta_is_read_with_its_recstatus() -> None:
    changes: list[tuple[Record, RecStatus]] = [
        (ANNA, RecStatus.NEW),
        (NORWEGIAN, RecStatus.CHANGED),
        (ANNA_LEARNS, RecStatus.GONE),
        (TOR_TEACHES, RecStatus.NEW),
    ]
    xml = "".join(
        document_parts(DELTA, SOURCE, [(record.key, fragment(record, recstatus)) for record, recstatus in changes])
    )
    assert list(read(xml.encode())) == [DELTA, *(ReadRecord(record, recstatus) for record, recstatus in changes)]


def test_a_removed_person_is_read_with_ids_login_and_name() -> None:
    xml = "".join(document_parts(DELTA, SOURCE, [(ANNA.key, fragment(ANNA, RecStatus.GONE))]))
    gone = msgspec.structs.replace(ANNA, email=None, roles=())
    assert list(read(xml.encode()))[1:] == [ReadRecord(gone, RecStatus.GONE)]


def test_a_file_is_read_as_a_stream() -> None:
    class Counted(BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    members = [msgspec.structs.replace(ANNA_LEARNS, person=f"{number:06}") for number in range(5_000)]
    stream = Counted("".join(snapshot_parts(FULL, SOURCE, rows(*members))).encode())
    items = read(stream)
    assert [next(items) for _ in range(2)] == [FULL, ReadRecord(members[0], None)]
    assert stream.taken < len(stream.getvalue()) / 10
    assert sum(1 for _ in items) == 4_999


BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE enterprise [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>'
    "<enterprise><properties>&d;</properties></enterprise>"
)
EXTERNAL_ENTITY = (
    '<!DOCTYPE enterprise [<!ENTITY secret SYSTEM "{}">]>'
    "<enterprise><properties><datasource>&secret;</datasource></properties></enterprise>"
)
EXTERNAL_DTD = '<!DOCTYPE enterprise SYSTEM "{}"><enterprise/>'


def test_a_file_with_entities_is_refused_before_they_are_expanded() -> None:
    assert "document type" in refusal(BILLION_LAUGHS)


@pytest.mark.parametrize("xml", [EXTERNAL_ENTITY, EXTERNAL_DTD], ids=["entity", "dtd"])
def test_a_file_cannot_include_another(tmp_path: Path, xml: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden", encoding="utf-8")
    message = refusal(xml.format(secret.as_uri()))
    assert "document type" in message
    assert "hidden" not in message


def test_an_entity_in_a_published_text_is_not_expanded() -> None:
    xml = '<!DOCTYPE person [<!ENTITY x "Anna">]>' + fragment(ANNA).replace(">Anna<", ">&x;<")
    with pytest.raises(FeedError, match="is not allowed in <given>"):
        read_fragment(ANNA.key, xml)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("<idtype>1</idtype>", "<idtype>2</idtype>"),
        ("<status>1</status>", "<status>0</status>"),
        ("<status>1</status>", ""),
        ('roletype="01"', 'roletype="03"'),
        (' roletype="01"', ""),
        ('useridtype="username"', 'useridtype="personNIN"'),
        ('institutionroletype="Student"', 'institutionroletype="Guest"'),
        ('primaryrole="Yes"', 'primaryrole="No"'),
        (' institutionroletype="Student"', ""),
        ("<fn>Anna Bø</fn>", ""),
        ("<id>01810012345</id>", ""),
        ("<id>01810012345</id>", "<id>01810012345</id><id>2</id>"),
        ("<short>B1-dag</short>", ""),
        ("<email>", "<email>1</email><email>"),
        ("<given>", "<!-- 01810012345 --><given>"),
        ("<given>", "01810012345<given>"),
        ("<given>Anna</given>", "<given>Anna</given>01810012345"),
        ("<n>", "<n>01810012345"),
        ("    <member>", f"{fragment(TOR)}    <member>"),
        ("<given>Anna</given>", "<given><b>Anna</b></given>"),
        ("<person>", "01810012345<person>"),
        ("<person>", "<!-- 01810012345 --><person>"),
        ("<person>", "<visitor/><person>"),
        ("<person>", '<person xmlns="urn:other"/><person>'),
        ("<given>Anna</given>", '<given xmlns="urn:other">Anna</given>'),
        ("<person>", '<person recstatus="1">'),
        ("<person>", '<person recstatus="4">'),
        ("<person>", "<person><person></person>"),
        ('<role roletype="01">', '<role roletype="01" recstatus="3">'),
        ("</enterprise>", "01810012345</enterprise>"),
        ("</enterprise>", "<properties/></enterprise>"),
        ("</enterprise>", "<member></member></enterprise>"),
        ("<enterprise>", '<enterprise id="01810012345">'),
        ("<enterprise>", '<enterprise xmlns="urn:other">'),
        ("<type>full</type>", "<type>event</type>"),
        ("<type>full</type>", "<type>delta</type>"),
        ("<datetime>2026-08-17T00:00:00Z</datetime>", "<datetime>2026-08-17</datetime>"),
        ("</person>", "</member>"),
        ("Anna", "\x01"),
    ],
)
def test_an_element_that_imsfeed_does_not_write_is_refused(written: str, instead: str) -> None:
    assert written in SNAPSHOT
    message = refusal(SNAPSHOT.replace(written, instead, 1))
    assert message.startswith("line ")
    assert "01810012345" not in message


def test_a_problem_is_reported_with_its_line() -> None:
    line = SNAPSHOT[: SNAPSHOT.index("<idtype>1")].count("\n") + 1
    assert refusal(SNAPSHOT.replace('roletype="01"', 'roletype="09"', 1)).startswith(f"line {line + 1}: <role>")


def test_a_file_in_another_encoding_is_refused() -> None:
    latin = SNAPSHOT.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').encode("latin-1")
    assert "ISO-8859-1" in refusal(latin)


@pytest.mark.parametrize("xml", ["", "<enterprise/>", "<other/>", "<enterprise><person/></enterprise>", "text"])
def test_a_file_without_properties_is_refused(xml: str) -> None:
    refusal(xml)


def test_another_root_or_type_is_refused() -> None:
    empty = "".join(snapshot_parts(FULL, SOURCE, []))
    assert "outside <enterprise>" in refusal(empty.replace("enterprise>", "other>"))
    assert "neither full nor delta" in refusal(empty.replace("<type>full", "<type>event"))


def test_a_truncated_file_is_refused() -> None:
    assert "not well-formed" in refusal(SNAPSHOT[:-5])


@pytest.mark.parametrize(
    ("key", "xml"),
    [
        (TOR.key, fragment(ANNA)),
        (RecordKey(RecordKind.PERSON, NORWEGIAN.id), fragment(NORWEGIAN)),
        (RecordKey(RecordKind.MEMBERSHIP, "group-7", "2"), fragment(ANNA_LEARNS)),
        (ANNA.key, fragment(ANNA, RecStatus.NEW)),
        (ANNA.key, fragment(ANNA)[:-5]),
        (ANNA.key, ""),
    ],
)
def test_a_text_under_the_wrong_key_is_refused(key: RecordKey, xml: str) -> None:
    with pytest.raises(FeedError) as caught:
        read_fragment(key, xml)
    assert ANNA.id not in str(caught.value)


def test_properties_are_read_as_they_were_written() -> None:
    (properties,) = read("".join(snapshot_parts(DELTA, SOURCE, [])).encode())
    assert properties == Properties(SOURCE, "lms", "delta", DELTA.at)
