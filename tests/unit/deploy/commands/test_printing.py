"""What the commands print: data is never markup or a command to the terminal, and a table fits where it is read."""

import ast
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.commands.printing import Exact, print_json, print_table, printable, say
from tests.support.builders import a_birth_number
from tests.support.paths import ROOT

DIGEST: Final = "09af97b18353"
OTHER_WAYS: Final = {"rich.console", "rich.table", "rich.progress", "echo", "secho", "print", "stdout", "stderr"}
"""What else prints. Bytes that are a file's content go to stdout.buffer: of the report, and of the events."""


def used_by(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    buffers = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == "buffer"}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and id(node) not in buffers}
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | attributes | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", sorted((ROOT / "deploy/commands").glob("*.py")), ids=lambda path: path.stem)
def test_commands_print_through_one_module(path: Path) -> None:
    if path.stem != "printing":
        assert used_by(path) & OTHER_WAYS == set()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("8[/b]A :smile:", "8[/b]A :smile:"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\x9b31mb", "a\\x9b31mb"),
        ("a\r\nb\x00", "a\\r\\nb\\x00"),
        ("\u202e8A", "\\u202e8A"),
        ("\udcff", "\\udcff"),
        ("norsk\u00a0B1 Åse", "norsk B1 Åse"),
    ],
)
def test_data_is_no_command_to_the_terminal(text: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    assert capsys.readouterr().out == f"{printed}\n"
    print_table(("Group",), [(text,)])
    assert printed in capsys.readouterr().out


def test_national_ids_are_masked_in_text_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    number = a_birth_number(1)
    say(f"group {number}")
    print_table(("Group",), [(f"{number[:6]}\u00a0{number[6:]}",)])
    print_json({number: [f"8A {number[:6]}\u200b{number[6:]}", {"deep": number}]})
    printed = capsys.readouterr().out
    assert (printed.count("***********"), number[6:] in printed) == (5, False)


def test_json_has_no_raw_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(["\x9b\u202e\x7f\U000e0001"])
    assert capsys.readouterr().out == '[\n  "\\u009b\\u202e\\u007f\\udb40\\udc01"\n]\n'


def test_part_of_a_digest_is_printed_as_it_is() -> None:
    assert printable(Exact("123456789012")) == "123456789012"
    assert printable("Digest: " + "1" * 12 + "a" * 52) == "Digest: " + "1" * 12 + "a" * 52


def in_a_terminal(program: str, columns: int) -> str:
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    done = subprocess.Popen([sys.executable, "-c", program], stdout=slave, env=environment)
    os.close(slave)
    read = b""
    try:
        while chunk := os.read(master, 65536):
            read += chunk
    except OSError:  # the program has closed the terminal
        pass
    os.close(master)
    assert done.wait(60) == 0
    return read.decode()


HOLDS: Final = (
    "from deploy.commands.printing import *\n"
    "print_table(('Hold', 'Target', 'Cause', 'State', 'Since', 'Persons', 'Groups', 'Digest'),"
    f" [(3, '1/lms', 'school_number', 'waiting', '2026-11-30 06:10:04+01:00', 24, 2, Exact('{DIGEST}'))])"
)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_fits_the_terminal_and_breaks_no_word(columns: int) -> None:
    lines = in_a_terminal(HOLDS, columns).splitlines()
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    for word in ("Target", "school_number", "waiting", "2026-11-30", DIGEST, "Persons", "Digest"):
        assert word in text


def test_a_piped_table_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("Place", "Digest"), [("x" * 300, "a" * 64)])
    assert f"│ {'x' * 300} │ {'a' * 64} │" in capsys.readouterr().out
