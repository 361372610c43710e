"""Files appear complete, do not change, and are written nowhere else."""

import os
from pathlib import Path

import pytest

from consumers.feed.feed_directory import FeedDirectory
from ims.errors import FeedError


@pytest.fixture
def directory(tmp_path: Path) -> FeedDirectory:
    return FeedDirectory(tmp_path, "974568012", "lms")


def test_a_linked_file_is_complete_and_closed_to_others(directory: FeedDirectory) -> None:
    directory.link("deltas/1.xml", b"<a/>")
    path = directory.path / "deltas/1.xml"
    assert path.read_bytes() == b"<a/>"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in directory.path.glob("deltas/*")] == ["1.xml"], "no temporary file is left"


def test_linking_the_same_content_again_changes_nothing(directory: FeedDirectory) -> None:
    directory.link("deltas/1.xml", b"<a/>")
    before = (directory.path / "deltas/1.xml").stat().st_ino
    directory.link("deltas/1.xml", b"<a/>")
    assert (directory.path / "deltas/1.xml").stat().st_ino == before


def test_an_existing_file_is_never_replaced_by_other_content(directory: FeedDirectory) -> None:
    directory.link("deltas/1.xml", b"<a/>")
    with pytest.raises(FeedError, match=r"deltas/1\.xml exists with other content"):
        directory.link("deltas/1.xml", b"<b/>")
    assert (directory.path / "deltas/1.xml").read_bytes() == b"<a/>"


def test_a_streamed_file_consists_of_its_parts(directory: FeedDirectory) -> None:
    parts = ["<å>\n"] * 100_000
    written = directory.link_streamed("snapshots/x.xml", iter(parts))
    assert (directory.path / "snapshots/x.xml").read_text() == "".join(parts)
    assert written.size == 500_000


def test_an_interrupted_stream_leaves_no_file(directory: FeedDirectory) -> None:
    def parts() -> object:
        yield "<a>"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        directory.link_streamed("snapshots/x.xml", parts())  # type: ignore[arg-type]
    assert list(directory.path.glob("snapshots/.*")) == []
    assert list(directory.path.glob("snapshots/*")) == []


def test_a_replaced_files_mtime_moves_by_at_least_a_second(directory: FeedDirectory) -> None:
    times = []
    for now in (1000.0, 1000.2, 900.0, 2000.0):
        directory.replace("Eksport.xml", ["<a/>"], now)
        times.append((directory.path / "Eksport.xml").stat().st_mtime)
    assert times == [1000.0, 1001.0, 1002.0, 2000.0]


@pytest.mark.parametrize("orgnr", ["..", "", "../97", "9 7", "97/x", "\N{FULLWIDTH DIGIT NINE}"])
def test_an_invalid_organisation_number_makes_no_folder(tmp_path: Path, orgnr: str) -> None:
    with pytest.raises(FeedError):
        FeedDirectory(tmp_path / "feed", orgnr, "lms")
    assert list(tmp_path.iterdir()) == []


def test_an_old_unrecorded_file_is_swept(directory: FeedDirectory) -> None:
    for name in ("deltas/1.xml", "deltas/2.xml", "deltas/3.xml"):
        directory.link(name, b"<a/>")
    left = directory.path / "snapshots/.x.xml.abc.part"
    left.write_bytes(b"")
    for path in (directory.path / "deltas/1.xml", directory.path / "deltas/2.xml", left):
        os.utime(path, (1000, 1000))
    young = (directory.path / "deltas/3.xml").stat().st_mtime
    assert directory.sweep({"deltas/1.xml"}, now=young) == 2
    assert sorted(path.name for path in directory.path.glob("*/*")) == ["1.xml", "3.xml"]
