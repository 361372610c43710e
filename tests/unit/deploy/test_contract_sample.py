"""The sample of the contract's page is a manifest and a delta that the contract describes."""

import hashlib
import json
import re
from typing import Any

import jsonschema
import pytest

from ims.feed.chain import manifest_problems
from ims.feed.files import delta_counts
from ims.feed.manifest import decode, encode
from ims.xml.schema import problems
from tests.support.memory.feed import MemoryFeed
from tests.support.paths import DOCS

PAGE = (DOCS / "importers" / "contract.md").read_text(encoding="utf-8")
SCHEMA: Any = json.loads((DOCS / "importers" / "manifest.schema.json").read_text(encoding="utf-8"))


def sample(language: str) -> bytes:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found).encode()


@pytest.fixture
def feed() -> MemoryFeed:
    feed = MemoryFeed()
    feed.files["deltas/1.xml"] = sample("xml")
    return feed


def test_the_sample_manifest_is_one_of_this_format() -> None:
    manifest = decode(sample("json"))
    assert list(manifest_problems(manifest)) == []
    jsonschema.validate(json.loads(sample("json")), SCHEMA)
    assert decode(encode(manifest)) == manifest


def test_the_sample_delta_is_the_one_that_the_manifest_names(feed: MemoryFeed) -> None:
    (entry,) = decode(sample("json")).deltas
    xml = sample("xml")
    assert (entry.sha256, entry.size) == (hashlib.sha256(xml).hexdigest(), len(xml))
    assert entry.prev_sha256 == decode(sample("json")).snapshot.sha256
    assert problems(xml) == []
    assert delta_counts(feed.open, entry.path) == entry.counts


def test_the_sample_is_the_kits() -> None:
    (entry,) = decode(sample("json")).deltas
    kept = DOCS / "importers" / "kit" / "feed" / "310000000" / "lms"
    assert (kept / entry.path).read_bytes() == sample("xml")
    assert decode((kept / "manifest.json").read_bytes()).deltas[0] == entry


def test_a_closed_group_is_in_the_schema() -> None:
    manifest = json.loads(sample("json"))
    manifest["deltas"][0]["closed_groups"] = ["group-2"]
    jsonschema.validate(manifest, SCHEMA)
    assert decode(json.dumps(manifest).encode()).deltas[0].closed_groups == ("group-2",)
    manifest["deltas"][0]["closed_groups"] = [2]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, SCHEMA)
