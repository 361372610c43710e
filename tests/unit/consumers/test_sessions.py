"""Rules that every session on the state database keeps."""

from pathlib import Path

import pytest

CONSUMERS = Path(__file__).parents[3] / "consumers"


@pytest.mark.parametrize("path", sorted(CONSUMERS.glob("*.py")), ids=lambda path: path.name)
def test_no_statement_is_sent_in_a_pipeline(path: Path) -> None:
    """After one the server does not end the session of a process that was paused inside a transaction."""
    text = path.read_text(encoding="utf-8")
    assert "executemany(" not in text
    assert ".pipeline(" not in text
