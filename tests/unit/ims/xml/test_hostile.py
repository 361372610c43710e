"""Hostile XML files: no reader expands an entity, fetches anything, or takes long.

CWE-611 (external entities), CWE-776 (nested entities); XInclude; depth and width.
"""

import contextlib
import re
import socket
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest

from ims.errors import ImsfeedError
from ims.feed.verification import verify
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.switchover.existing_file import read_old_file
from ims.xml.reader import read, read_fragment
from ims.xml.schema import problems
from tests.support.paths import ROOT

SECRET: Final = "open-sesame"
PERSON: Final = (
    "<person><sourcedid><source>s</source><id>%s</id></sourcedid>"
    "<name><fn>Ada Testesen</fn><n><family>Testesen</family><given>Ada</given></n></name></person>"
)


def fragment(data: bytes) -> Any:
    # Under the key that an expanded entity would give the record; otherwise the text would be refused for its key.
    return read_fragment(RecordKey(RecordKind.PERSON, SECRET), data.decode())


READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "feed": lambda data: list(read(data)),
    "fragment": fragment,
    "old file": lambda data: list(read_old_file(BytesIO(data))),
    "schema": problems,
}
every_reader = pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))


def result_of(reader: Callable[[bytes], Any], data: bytes) -> str:
    """Return the reader's result or its refusal as text; an error that is not ours fails the test."""
    try:
        return repr(reader(data))
    except ImsfeedError as error:
        return str(error)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: connected.append(address))
    return connected


def document(subset: str, body: str, root: str = "enterprise") -> bytes:
    return f"<!DOCTYPE {root} [{subset}]><{root}>{body}</{root}>".encode()


LAUGHS: Final = "<!ENTITY a0 'ha'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))


@every_reader
@pytest.mark.parametrize("place", [PERSON % "&a11;", PERSON.replace("<person", "<person recstatus='&a11;'") % "1"])
def test_nested_entities_are_not_expanded(reader: Callable[[bytes], Any], place: str) -> None:
    """Expanded they would be 200 GB; in an attribute libxml2's own limit stops it."""
    assert "haha" not in result_of(reader, document(LAUGHS, place))
    assert "haha" not in result_of(reader, document(LAUGHS, place, root="person"))


@every_reader
@pytest.mark.parametrize("system", ["file://{path}", "{path}", "http://127.0.0.1:1/x", "ftp://127.0.0.1:1/x"])
def test_no_reader_reads_outside_the_file(
    reader: Callable[[bytes], Any], system: str, tmp_path: Path, no_network: list[object]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    where = system.format(path=secret)
    for subset, body in (
        (f"<!ENTITY x SYSTEM '{where}'>", PERSON % "1" + "&x;"),
        (f"<!ENTITY x SYSTEM '{where}'>", PERSON % "&x;"),
        (f"<!ENTITY % x SYSTEM '{where}'> %x;", PERSON % "1"),
        (f"<!ENTITY % x SYSTEM '{where}'><!ENTITY % y '<!ENTITY z SYSTEM \"{where}\">'> %y;", PERSON % "&z;"),
        ("", f"<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='{where}' parse='text'/>{PERSON % 1}"),
    ):
        assert SECRET not in result_of(reader, document(subset, body))
        inner = body.replace("<person>", "").replace("</person>", "")
        assert SECRET not in result_of(reader, document(subset, inner, root="person"))
    assert SECRET not in result_of(reader, f"<!DOCTYPE enterprise SYSTEM '{where}'><enterprise/>".encode())
    assert no_network == []


def test_an_external_document_type_is_not_loaded(tmp_path: Path) -> None:
    """If loaded, it would give every person an attribute that means that the person is removed."""
    definition = tmp_path / "ims.dtd"
    definition.write_text("<!ATTLIST person recstatus CDATA '3'>")
    body = f"<enterprise>{PERSON % 1}</enterprise>"
    old = list(read_old_file(BytesIO(f"<!DOCTYPE enterprise SYSTEM '{definition}'>{body}".encode())))
    assert len(old) == 2


@every_reader
def test_a_very_deep_file_is_refused(reader: Callable[[bytes], Any]) -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    assert len(result_of(reader, f"<enterprise>{deep}</enterprise>".encode())) < 10_000
    assert len(result_of(reader, f"<person>{deep}</person>".encode())) < 10_000


@every_reader
def test_a_very_long_text_is_read_or_refused(reader: Callable[[bytes], Any]) -> None:
    for data in (PERSON % ("1" * 11_000_000), f"<{'x' * 11_000_000}/>", f"<person {'x' * 100_000}='1'/>"):
        with contextlib.suppress(ImsfeedError):
            reader(f"<enterprise>{data}</enterprise>".encode())


@every_reader
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"<",
        b"<!DOCTYPE",
        b"<enterprise>\0</enterprise>",
        b"\x1f\x8b\x08",
        "<æ/>".encode("utf-16"),
        b"<x:enterprise/>",
        b"<enterprise><x:person/></enterprise>",
        b"<enterprise xmlns='http://pifu.no/xsd/pifu-ims_sas/pifu-ims_sas-v1'><x:person/><y:member/></enterprise>",
    ],
)
def test_a_file_that_is_no_xml_is_refused(reader: Callable[[bytes], Any], data: bytes) -> None:
    result_of(reader, data.decode("latin-1").encode() if reader is fragment else data)


def test_a_verification_of_a_hostile_file_reads_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    hostile = document(f"<!ENTITY x SYSTEM '{secret}'>", PERSON % "&x;")
    verification = verify(lambda _name: BytesIO(hostile), lambda _name: [])
    assert verification.problems
    assert SECRET not in str(verification.problems)


def test_no_other_parser_of_xml_is_used() -> None:
    """Each use of lxml's parser is in one of the readers above, or reads a schema of our own."""
    parsing = re.compile(
        r"\b(?:etree\.(?:parse|fromstring|XML|HTML|iterparse|XMLPullParser|XMLParser)|expat|minidom|sax|ElementTree)\b\("
    )
    found = {
        path.relative_to(ROOT).as_posix(): len(parsing.findall(path.read_text(encoding="utf-8")))
        for folder in ("ims", "consumers", "producers", "deploy")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path for path, count in found.items() if count} == {
        "ims/importers/instructions.py",
        "ims/switchover/existing_file.py",
        "ims/xml/reader.py",
        "ims/xml/schema.py",
    }
