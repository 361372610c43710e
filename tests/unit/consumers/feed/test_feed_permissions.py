"""Compact does not start if other users have access to the feed, or if a symbolic link leads elsewhere."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumers.compact import process as compact
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.feed_permissions import check_permissions
from deploy.cli import main
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A feed as compact creates it, with every kind of file."""
    root = tmp_path / "feed"
    former = os.umask(compact.UMASK)
    directory = FeedDirectory(root, "974568012", "lms")
    os.umask(former)
    directory.link("deltas/1.xml", b"<a/>")
    directory.link_streamed("snapshots/2026-10-15-1.xml", ["<a/>"])
    directory.replace("Eksport.xml", ["<a/>"], 0)
    directory.write_manifest(b"{}")
    return root


def test_permissions_of_a_new_or_missing_feed_are_accepted(feed: Path) -> None:
    check_permissions(feed)
    check_permissions(feed / "not" / "yet")


def test_stricter_permissions_are_accepted(feed: Path) -> None:
    feed.chmod(0o2700)
    (feed / "974568012").chmod(0o700)
    (feed / "974568012/lms/deltas/1.xml").chmod(0o400)
    check_permissions(feed)


PATHS = (".", "974568012", "974568012/lms", "974568012/lms/deltas", "974568012/lms/deltas/1.xml")
OTHERS = ("974568012/lms/manifest.json", "974568012/lms/Eksport.xml", "974568012/lms/snapshots/2026-10-15-1.xml")


@pytest.mark.parametrize("path", [*PATHS, *OTHERS])
@pytest.mark.parametrize("bit", [0o020, 0o004, 0o002, 0o001])
def test_wider_permissions_are_refused_with_the_command_that_fixes_them(feed: Path, path: str, bit: int) -> None:
    wide = feed / path
    wide.chmod(wide.stat().st_mode | bit)
    mode = f"{wide.stat().st_mode & 0o7777:04o}"
    with pytest.raises(InvalidSettingsError, match=f"has mode {mode}, .* run `chmod -R g-w,o= {feed}`") as error:
        check_permissions(feed)
    assert str(error.value).startswith(str(wide))


def test_a_symbolic_link_anywhere_in_the_feed_is_refused(feed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o750)
    for path in ("980000000", "974568012/other", "974568012/lms/deltas/2.xml"):
        (feed / path).symlink_to(elsewhere)
        with pytest.raises(InvalidSettingsError, match="is a symbolic link"):
            check_permissions(feed)
        (feed / path).unlink()
    check_permissions(feed)


def test_the_feed_directory_itself_may_be_a_symbolic_link(feed: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(feed)
    check_permissions(link)
    feed.chmod(0o755)
    with pytest.raises(InvalidSettingsError, match="has mode 0755"):
        check_permissions(link)


def test_compact_checks_permissions_before_it_connects(feed: Path) -> None:
    feed.chmod(0o755)
    settings = Settings.model_validate({"feed_directory": feed, "state_dsn": "host=localhost port=1"})
    stop = Stop()
    with pytest.raises(InvalidSettingsError, match="has mode 0755"):
        compact.run(settings, stop, CompactMetrics(CollectorRegistry(), compact.EXCLUDED_SERIES), lambda _: None)
    stop.close()


def test_snapshot_now_refuses_wide_permissions_with_exit_code_2(
    feed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    feed.chmod(0o755)
    monkeypatch.setenv("FEED_DIRECTORY", str(feed))
    monkeypatch.setenv("STATE_DSN", "host=localhost port=1")
    monkeypatch.setattr("sys.argv", ["imsfeed", "snapshot", "--now", "lms"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "has mode 0755" in capsys.readouterr().err
