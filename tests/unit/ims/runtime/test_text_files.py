"""Files as people save them: byte order marks, UTF-16, line ends, and encodings that are named instead of read."""

import io
from pathlib import Path

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import read_settings
from ims.runtime.text_files import lines_of, read_text

TEXT = 'name = "Målselv"\nsecond = 1\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_text_is_read_whatever_editor_saved_it(tmp_path: Path, encoding: str, line_end: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_bytes(TEXT.replace("\n", line_end).encode(encoding))
    assert read_text(path) == TEXT


def test_both_byte_orders_are_read(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        path.write_bytes(mark + TEXT.encode(encoding))
        assert read_text(path) == TEXT


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (TEXT.encode("latin-1"), "line 1 seems to be Latin-1"),
        (b"a = 1\nb = \x93Moen\x94 \xe5\n", "line 2 seems to be Windows-1252"),
        (TEXT.encode("utf-16-le"), "seems to be UTF-16 without a byte order mark"),
        (b"\xff\xfea", "begins with the mark of UTF-16 and is not in it"),
    ],
)
def test_an_encoding_that_is_not_read_is_named_with_the_file(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidSettingsError, match="UTF-8") as caught:
        read_text(path)
    assert (str(path) in str(caught.value), named in str(caught.value)) == (True, True)
    assert "Moen" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match=r"none.toml cannot be read: No such file"):
        read_text(tmp_path / "none.toml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_are_read_whatever_editor_saved_them(encoding: str, line_end: str) -> None:
    stream = io.BytesIO(TEXT.replace("\n", line_end).encode(encoding))
    assert [line.decode().strip() for line in lines_of(stream, "events")] == TEXT.splitlines()


def test_the_line_that_is_not_utf_8_is_named() -> None:
    lines = lines_of(io.BytesIO(b"{}\n" + "{Målselv}\n".encode("latin-1")), "events.jsonl")
    assert next(lines) == b"{}\n"
    with pytest.raises(InvalidSettingsError, match=r"events.jsonl is not UTF-8: line 2 seems to be Latin-1"):
        next(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_secret_is_read_whatever_editor_saved_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / "STATE_DSN").write_bytes("postgresql://å@db/imsfeed\r\n".encode(encoding))
    monkeypatch.setenv("SECRETS_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("STATE_DSN", raising=False)
    assert read_settings().state() == "postgresql://å@db/imsfeed"


def test_a_secret_in_another_encoding_is_named_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "STATE_DSN").write_bytes("postgresql://hemmelig:å@db/imsfeed".encode("latin-1"))
    monkeypatch.setenv("SECRETS_DIRECTORY", str(tmp_path))
    with pytest.raises(InvalidSettingsError, match="STATE_DSN is not UTF-8") as caught:
        read_settings()
    assert "hemmelig" not in str(caught.value)
