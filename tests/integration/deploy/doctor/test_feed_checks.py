"""The checks of the feed directory."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.doctor.feed_checks import check_feed
from ims.feed.manifest import decode, encode
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines
from tests.support.paths import DOCS

MANIFEST = DOCS / "importers" / "kit" / "feed" / "310000000" / "lms" / "manifest.json"


def a_feed(folder: Path) -> Settings:
    folder.mkdir(mode=0o750)
    return Settings.model_validate({"feed_directory": folder})


def test_a_feed_directory_that_cannot_be_used_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = a_feed(tmp_path / "feed")
    assert {status for status, _ in lines(check_feed(settings)).values()} == {"ok"}
    assert list((tmp_path / "feed").iterdir()) == []
    missing = Settings.model_validate({"feed_directory": tmp_path / "none"})
    assert lines(check_feed(missing))["directory"][0] == "warning"

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    assert lines(check_feed(settings))["hard links"] == ("error", "OSError: Operation not supported")
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert lines(check_feed(settings))["writable"][0] == "error"


def test_files_that_others_may_read_are_named(tmp_path: Path) -> None:
    settings = a_feed(tmp_path / "feed")
    (tmp_path / "feed" / "Eksport.xml").write_text("")
    (tmp_path / "feed" / "Eksport.xml").chmod(0o644)
    assert lines(check_feed(settings))["permissions"] == ("error", "Eksport.xml 0644")


def test_a_nearly_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = a_feed(tmp_path / "feed")
    full = os.statvfs_result((4096, 4096, 10**9, 10, 10, 10**6, 5, 5, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    found = lines(check_feed(settings))
    assert (found["free space"][0], found["free inodes"][0]) == ("error", "error")


def test_an_expired_or_broken_manifest_is_found(tmp_path: Path) -> None:
    settings = a_feed(tmp_path / "feed")
    file = tmp_path / "feed" / "310000000" / "lms" / "manifest.json"
    file.parent.mkdir(parents=True)
    fresh = msgspec.structs.replace(
        decode(MANIFEST.read_bytes()), checked=datetime.now(UTC), expires=datetime.now(UTC) + timedelta(hours=1)
    )
    file.write_bytes(encode(fresh))
    assert lines(check_feed(settings))["manifest 310000000/lms"][0] == "ok"
    old = datetime.now(UTC) - timedelta(hours=1)
    file.write_bytes(encode(msgspec.structs.replace(fresh, checked=old, expires=old)))
    assert lines(check_feed(settings))["manifest 310000000/lms"][0] == "error"
    file.write_bytes(b"{}")
    assert lines(check_feed(settings))["manifest 310000000/lms"][0] == "error"
