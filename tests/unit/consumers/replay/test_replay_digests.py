"""A replay of the conformance kit keeps its bytes, with and without holds.

Where they change, `diff` the kit's files: the change must be one that a decision or the changelog names.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consumers.replay import events_file
from consumers.replay.replay import Replay
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import parse_toml
from tests.support.paths import DOCS

KIT = DOCS / "importers" / "kit"
UNTIL = datetime(2026, 8, 21, 6, tzinfo=UTC)
LIMITS = [name for name in TargetSettings.__struct_fields__ if name.startswith("hold_")]
KEPT: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "digests" / "kit.json").read_text("utf-8"))


def digests(folder: Path, *, holds: bool, **changes: Any) -> dict[str, str]:
    """Return the digest of each file of a replay of the kit with changed settings."""
    targets = [
        msgspec.structs.replace(target, **changes) for target in parse_toml((KIT / "targets.toml").read_text("utf-8"))
    ]
    events = KIT / "events.jsonl"
    with events.open("rb") as lines:
        Replay(targets, folder, holds=holds).run(events_file.read(lines, events.name), UNTIL)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["without holds", "with holds"])
def test_a_replay_of_the_kit_keeps_its_bytes(tmp_path: Path, name: str) -> None:
    assert digests(tmp_path, holds=name == "with holds") == KEPT[name]


def test_a_replay_in_which_leavers_wait_keeps_its_bytes(tmp_path: Path) -> None:
    found = digests(tmp_path, holds=True, **dict.fromkeys(LIMITS, 0))
    assert found == KEPT["with holds for everyone who leaves"]
    assert found != KEPT["with holds"]
