"""No value in the data makes a process read or write outside the feed directory."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.feed.feed_directory import FeedDirectory, verify_folder
from consumers.replay import events_file
from consumers.replay.replay import Replay
from ims.errors import FeedError, ImsfeedError
from ims.feed.manifest import MANIFEST, decode, encode
from tests.support.builders import ORGNR, a_group, a_person, a_school, a_target, an_employee, an_enrolment, an_owner
from tests.support.events import Scenario

HOSTILE: Final = (
    "..",
    ".",
    "",
    "/",
    "/etc",
    "../..",
    "a/../../b",
    "a/b",
    "x\0y",
    "..\\..",
    "~",
    "%2e%2e",
    "\u2024\u2024/",
    "-rf",
)
HARMFUL: Final = st.sampled_from(HOSTILE) | st.text(max_size=12)


def outside(act: Callable[[Path], Any]) -> list[str]:
    """Return the files and folders outside the feed directory after *act* was called with it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "above", "feed")
        root.mkdir(parents=True)
        with contextlib.suppress(ImsfeedError, OSError):
            act(root)
        return [str(path) for path in Path(folder).rglob("*") if path not in {root, root.parent, *root.rglob("*")}]


@given(orgnr=HARMFUL, name=HARMFUL)
@example(orgnr=ORGNR, name="../../lms")
@example(orgnr="..", name="lms")
def test_no_name_of_a_folder_leads_out_of_the_feed(orgnr: str, name: str) -> None:
    assert outside(lambda root: FeedDirectory(root, orgnr, name).link("deltas/1.xml", b"x")) == []


@given(name=HARMFUL)
@example("../../../x.xml")
@example("deltas/../../../../x.xml")
@example("/imsfeed-escaped.xml")
def test_no_name_of_a_file_leads_out_of_the_feed(name: str) -> None:
    def act(root: Path) -> None:
        directory = FeedDirectory(root, ORGNR, "lms")
        for write in (
            lambda: directory.link(name, b"x"),
            lambda: directory.link_streamed(name, ["x"]),
            lambda: directory.replace(name, ["x"], 0),
            lambda: directory.remove([name]),
        ):
            with contextlib.suppress(ImsfeedError, OSError):
                write()

    assert outside(act) == []
    assert not Path("/imsfeed-escaped.xml").exists()


@pytest.mark.parametrize("name", [name for name in HOSTILE if "/" in name or "\0" in name or name in {"", ".", ".."}])
def test_a_name_of_several_path_steps_is_refused(tmp_path: Path, name: str) -> None:
    directory = FeedDirectory(tmp_path, ORGNR, "lms")
    for act in (lambda: FeedDirectory(tmp_path, ORGNR, name), lambda: directory.link(f"deltas/{name}", b"x")):
        with pytest.raises(FeedError):
            act()


@pytest.mark.parametrize("where", [ORGNR, f"{ORGNR}/lms", f"{ORGNR}/lms/deltas", f"{ORGNR}/lms/snapshots"])
def test_a_folder_replaced_by_a_symbolic_link_is_not_used(tmp_path: Path, where: str) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "feed"
    elsewhere.mkdir()
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(elsewhere)
    with pytest.raises(FeedError, match="is a symbolic link"):
        FeedDirectory(root, ORGNR, "lms")
    assert list(elsewhere.iterdir()) == []


def test_a_file_replaced_by_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    directory = FeedDirectory(tmp_path / "feed", ORGNR, "lms")
    (tmp_path / "secret").write_bytes(b"<a/>")
    (directory.path / "deltas/1.xml").symlink_to(tmp_path / "secret")
    with pytest.raises(FeedError):
        directory.link("deltas/1.xml", b"<a/>")
    for name in ("Eksport.xml", MANIFEST):
        (directory.path / name).symlink_to(tmp_path / "secret")
    directory.replace("Eksport.xml", ["<b/>"], 0)
    directory.write_manifest(b"{}")
    assert (tmp_path / "secret").read_bytes() == b"<a/>"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_in_the_data_makes_another_file(text: str) -> None:
    """The value is in all names, codes, kinds, numbers and ids, and in the owner's organisation number."""

    def act(root: Path) -> None:
        story = Scenario()
        story.commit(
            0,
            an_owner(name=text),
            an_owner(owner_id=2, orgnr=text, name=text),
            a_school(1, name=text, school_no=text or None, orgnr=text),
            a_group(1, name=text, code=text, kind=text),
            a_person(1, given_name=text, family_name=text, email=text, feide_name=text, mobile=text),
            a_person(2, national_id=text),
            an_employee(1, person=2),
            an_enrolment(1, person=1),
            an_enrolment(2, person=2),
        )
        story.commit(60, a_group(1, name=f"{text} changed", code=text))
        targets = [
            a_target(group_id="{code}{id}", include_without_national_id=True, export_path="Eksport.xml"),
            a_target(owner=2),
        ]
        result = Replay(targets, root).run(events_file.read(story.text, "story"))
        assert result.messages == len(story.text)
        made = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        folder = f"{ORGNR}/lms"
        feed = {f"{folder}/{MANIFEST}", f"{folder}/Eksport.xml"}
        # A row with a zero character is refused, so nothing is published then.
        others = {name for name in made if not name.startswith((f"{folder}/deltas/", f"{folder}/snapshots/"))}
        assert others == (set() if "\0" in text else feed)

    assert outside(act) == []


@pytest.mark.parametrize("path", ["../../../secret", "/etc/hostname", "deltas/link", "x\0y"])
def test_a_foreign_manifest_leads_to_no_file_outside_the_feed(tmp_path: Path, path: str) -> None:
    root, story = tmp_path / "a" / "b" / "feed", Scenario()
    story.commit(0, an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1, person=1))
    Replay([a_target()], root).run(events_file.read(story.text, "story"))
    folder = root / ORGNR / "lms"
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "deltas/link").symlink_to(secret)
    manifest = decode((folder / MANIFEST).read_bytes())
    snapshot = msgspec.structs.replace(manifest.snapshot, path=path)
    (folder / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, snapshot=snapshot)))
    problems = verify_folder(folder).problems
    said = "cannot be read" if "\0" in path else f"{path}: is missing"
    assert any(said in problem for problem in problems), problems
