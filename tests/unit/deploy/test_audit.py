"""The verdict of an audit: only a vulnerability fails it, and it never calls unaudited packages safe."""

import json

import pytest

from deploy.audit import verdict

CLEAN = {"name": "lxml", "version": "6.0.0", "vulns": []}
SKIPPED = {"name": "tzdata", "skip_reason": "not found"}
FOUND = {"name": "rich", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}


@pytest.mark.parametrize(
    ("dependencies", "code", "text"),
    [
        ([CLEAN], 0, "dependencies audited: 1 packages"),
        ([CLEAN, SKIPPED], 0, "not audited: the advisory service does not know 1 of 2"),
        ([CLEAN, SKIPPED, FOUND], 1, "rich 1.0: PYSEC-1, fixed in 1.1"),
    ],
)
def test_only_a_known_vulnerability_fails_the_audit(dependencies: list[object], code: int, text: str) -> None:
    found, printed = verdict(json.dumps({"dependencies": dependencies, "fixes": []}).encode())
    assert found == code
    assert text in printed


@pytest.mark.parametrize("output", [b"", b"Traceback (most recent call last):"])
def test_an_unreachable_advisory_service_is_no_failure(output: bytes) -> None:
    assert verdict(output, "ConnectionError: no such host") == (
        0,
        "dependencies not audited: no answer from the advisory service (ConnectionError: no such host)",
    )
