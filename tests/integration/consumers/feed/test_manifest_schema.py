"""The published JSON Schema of the manifest, checked against manifests that compact has written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ims.feed.manifest import DeltaEntry, KindCounts, Manifest, SnapshotEntry, Totals
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.paths import DOCS
from tests.support.pipeline import Pipeline

IMPORTERS = DOCS / "importers"
SCHEMA = json.loads((IMPORTERS / "manifest.schema.json").read_text(encoding="utf-8"))
KIT = sorted((IMPORTERS / "kit").rglob("manifest.json"))
VALIDATOR = Draft202012Validator(SCHEMA)


@pytest.fixture
def manifests(state_dsn: str, tmp_path: Path) -> list[dict[str, Any]]:
    """Manifests before the first delta, after one and two deltas, and with an importer deadline."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(dialect="pifu")
    found = []
    try:
        for facts in (
            (an_owner(), a_school(), a_person(1), a_group(1)),
            (an_enrolment(person=1, group=1),),
            (a_person(1, given_name="Bo"),),
        ):
            pipeline.commit(*facts)
            pipeline.compact(seconds=5)
            found.append(json.loads((pipeline.folder() / "manifest.json").read_bytes()))
        pipeline.target(dialect="pifu", importer_sync_time="04:30")
        pipeline.compact(hours=1)
        found.append(json.loads((pipeline.folder() / "manifest.json").read_bytes()))
    finally:
        pipeline.close()
    return found


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_written_manifests_match_the_schema(manifests: list[dict[str, Any]]) -> None:
    assert [len(manifest["deltas"]) for manifest in manifests[:3]] == [0, 1, 2]
    assert manifests[-1]["ready_by"] is not None
    for manifest in manifests:
        assert [error.message for error in VALIDATOR.iter_errors(manifest)] == []


def test_manifests_of_the_kit_match_the_schema() -> None:
    assert KIT
    for path in KIT:
        assert [error.message for error in VALIDATOR.iter_errors(json.loads(path.read_bytes()))] == []


@pytest.mark.parametrize(
    ("struct", "schema"),
    [
        (Manifest, SCHEMA),
        (SnapshotEntry, SCHEMA["properties"]["snapshot"]),
        (Totals, SCHEMA["properties"]["snapshot"]["properties"]["counts"]),
        (DeltaEntry, SCHEMA["properties"]["deltas"]["items"]),
        (KindCounts, SCHEMA["$defs"]["changes"]),
    ],
)
def test_every_field_is_in_the_schema(struct: Any, schema: dict[str, Any]) -> None:
    optional = {"closed_groups"} & set(struct.__struct_fields__)  # omitted if there are none
    assert set(schema["required"]) | optional == set(schema["properties"]) == set(struct.__struct_fields__)


BREAKAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda manifest: manifest.update(format=2),
    "no epoch": lambda manifest: manifest.pop("epoch"),
    "a time without an offset": lambda manifest: manifest.update(expires="2026-10-15T10:00:00"),
    "a state that is not one": lambda manifest: manifest.update(state="fine"),
    "a digest in capital letters": lambda manifest: manifest["snapshot"].update(sha256="A" * 64),
    "a path out of the folder": lambda manifest: manifest["snapshot"].update(path="../snapshots/2026-10-15-0.xml"),
    "a delta numbered 0": lambda manifest: manifest["deltas"][0].update(seq=0),
    "a delta's path elsewhere": lambda manifest: manifest["deltas"][0].update(path="deltas/01.xml"),
    "a delta without the digest before": lambda manifest: manifest["deltas"][0].pop("prev_sha256"),
    "a negative size": lambda manifest: manifest["deltas"][0].update(size=-1),
    "counts without gone": lambda manifest: manifest["deltas"][0]["counts"]["person"].pop("gone"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_manifest_does_not_match_the_schema(manifests: list[dict[str, Any]], breakage: str) -> None:
    broken = json.loads(json.dumps(manifests[2]))
    BREAKAGES[breakage](broken)
    assert len([*VALIDATOR.iter_errors(broken)]) == 1


def test_an_unknown_field_matches_the_schema(manifests: list[dict[str, Any]]) -> None:
    assert VALIDATOR.is_valid(manifests[0] | {"signature": "x"})
