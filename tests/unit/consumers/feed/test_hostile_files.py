"""Files read back from a feed's folder, where another program may have put anything."""

import os
from pathlib import Path

import pytest

from consumers.feed import feed_directory
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.folder_owner import MARK, owner_in
from ims.errors import FeedError
from ims.feed.manifest import decode

HOSTILE = {
    "nested arrays": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "nested in a field": b'{"format": 1, "x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    "no UTF-8": b'{"target": "\xff\xfe"}',
    "no UTF-8 in an unknown field": b'{"x": "\xff"}',
    "a lone surrogate": b'{"target": "\\ud800"}',
    "a huge number": b'{"head_seq": ' + b"9" * 5_000 + b"}",
    "empty": b"",
    "nothing but zeros": b"\0" * 100,
    "UTF-16": '{"format": 1}'.encode("utf-16"),
}


@pytest.fixture
def directory(tmp_path: Path) -> FeedDirectory:
    return FeedDirectory(tmp_path, "100000008", "lms")


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_manifest_cannot_be_read(directory: FeedDirectory, content: bytes) -> None:
    (directory.path / "manifest.json").write_bytes(content)
    with pytest.raises(FeedError):
        directory.manifest()
    with pytest.raises(FeedError):
        decode(content)
    assert directory.highest_seq() == 0


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_mark_cannot_be_read(directory: FeedDirectory, content: bytes) -> None:
    (directory.path / MARK).write_bytes(content)
    with pytest.raises(FeedError):
        owner_in(directory.path)


def test_an_endless_manifest_is_not_read_to_its_end(directory: FeedDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_directory, "_LONGEST_MANIFEST", 1_000)
    with (directory.path / "manifest.json").open("wb") as file:
        file.truncate(1_001)
    with pytest.raises(FeedError, match="more than 1000 bytes"):
        directory.manifest()


def test_a_pipe_or_a_link_or_a_folder_is_no_manifest(directory: FeedDirectory) -> None:
    path = directory.path / "manifest.json"
    os.mkfifo(path)
    for _ in range(2):
        with pytest.raises(FeedError, match="no regular file"):
            directory.manifest()
        path.unlink()
        path.symlink_to("/dev/zero")
    path.unlink()
    path.mkdir()
    with pytest.raises(FeedError, match="no regular file"):
        directory.manifest()


def test_a_pipe_in_the_way_of_a_delta_does_not_block(directory: FeedDirectory) -> None:
    os.mkfifo(directory.path / "deltas/1.xml")
    with pytest.raises(FeedError):
        directory.link("deltas/1.xml", b"<a/>")


def test_a_number_that_no_delta_can_have_is_not_counted(directory: FeedDirectory) -> None:
    for name in ("9" * 30, "1" * 200, "٣", "7"):
        (directory.path / f"deltas/{name}.xml").write_bytes(b"")
    (directory.path / f"snapshots/2026-10-15-{'9' * 30}.xml").write_bytes(b"")
    assert directory.highest_seq() == 7
