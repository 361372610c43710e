"""The lines of a file of events: four kinds, and errors with line number and cause."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.replay import events_file
from consumers.replay.events_file import EventsFileError, MessageLine, SettingsLine, TickLine, read
from consumers.replay.replay import Replay
from tests.support.builders import a_target
from tests.support.paths import DOCS

AT = '"at":"2026-10-15T08:00:00Z"'
NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
PAGE = DOCS / "events-file.md"


def test_there_are_four_kinds_of_line() -> None:
    at = datetime(2026, 10, 15, 8, tzinfo=UTC)
    texts = [
        f'{{{AT},"value":{{"op": "c"}},"partition":3}}',
        f'{{{AT},"value":null}}\n',
        f'{{{AT},"raw":"no JSON"}}',
        f'{{{AT},"settings":{{"target":"1/lms","set":{{"enabled":true}}}}}}',
        f"{{{AT}}}\r\n",
    ]
    assert [*read([text.encode() for text in texts], "events")] == [
        MessageLine(1, at, 3, b'{"op": "c"}'),
        MessageLine(2, at, 0, None),
        MessageLine(3, at, 0, b"no JSON"),
        SettingsLine(4, at, "1/lms", {"enabled": True}),
        TickLine(5, at),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected one JSON object"),
        ("no JSON: Kari", "expected one JSON object"),
        (f"{{{AT}}} {{{AT}}}", "expected one JSON object"),
        (f'{{{AT},"value":{"[" * 100_000}', "expected one JSON object"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `at`"),
        ('{"at":"15.10.2026"}', "Invalid RFC3339 encoded datetime - at `$.at`"),
        ('{"at":"2026-10-15T08:00:00"}', "Expected `datetime` with a timezone component - at `$.at`"),
        (f'{{{AT},"valeu":{{}}}}', "unknown field `valeu`"),
        (f'{{{AT},"value":{{}},"settings":{{"target":"lms","set":{{}}}}}}', "at most one of"),
        (f'{{{AT},"value":1,"raw":"x"}}', "at most one of"),
        (f'{{{AT},"settings":{{"target":"lms"}}}}', "missing required field `set` - at `$.settings`"),
        (f'{{{AT},"value":{{}},"partition":-1}}', "Expected `int` >= 0 - at `$.partition`"),
        (
            '{"at":"2026-10-14T08:00:00Z"}',
            "`at` must not be earlier than in the line before, 2026-10-15T08:00:00+00:00",
        ),
    ],
)
def test_a_broken_line_is_named_with_what_is_expected(text: str, problem: str) -> None:
    with pytest.raises(EventsFileError, match=f"^events.jsonl, line 2: .*{re.escape(problem)}") as caught:
        list(read([f"{{{AT}}}".encode(), text.encode()], "events.jsonl"))
    assert "Kari" not in str(caught.value)


def test_bytes_that_are_no_text_are_a_broken_line() -> None:
    with pytest.raises(EventsFileError, match="line 1: expected one JSON object"):
        list(read([f'{{{AT},"raw":"'.encode() + b'\xff"}'], "events.jsonl"))


def test_written_lines_are_read_back() -> None:
    lines = [
        events_file.message_line(NOON, b'{"op":"c"}', 2),
        events_file.raw_line(NOON, "no JSON"),
        events_file.settings_line(NOON, "lms", {"scope": "grunnskole"}),
        events_file.tick_line(NOON + timedelta(microseconds=1)),
    ]
    assert [*read(lines, "events")] == [
        MessageLine(1, NOON, 2, b'{"op":"c"}'),
        MessageLine(2, NOON, 0, b"no JSON"),
        SettingsLine(3, NOON, "lms", {"scope": "grunnskole"}),
        TickLine(4, NOON + timedelta(microseconds=1)),
    ]


def test_the_documented_example_replays_as_described(tmp_path: Path) -> None:
    example = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    result = Replay([a_target()], tmp_path).run(read(example.encode().splitlines(), "example"))
    assert result.refused == {}
    (target,) = result.targets
    assert (target.snapshots, target.deltas) == (2, 1), "the first snapshot, the next morning's, and the leaver's delta"
