"""The words lint finds each word wherever it stands, and reads all that it should."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.lint.words import EXCUSES, Finding, files, findings, refused, report
from tests.support.paths import ROOT

REFUSED = [
    "told", "tell", "tells", "telling", "anew", "rests", "rested", "come to rest", "comes to rest", "what is so",
    "stands still", "standing still", "standstill", "mend", "mends", "mended", "heal", "heals", "healed", "put aside",
    "twin", "twins", "bears on", "looked at", "doorway", "farewell", "whoever", "whomever", "nobody", "somebody",
    "in vain", "vain", "crash point", "feed modes", "punctuality", "forget offsets", "keep house", "patiently",
]  # fmt: skip


def words(text: str) -> list[str]:
    return [word for _, word, _ in refused(text)]


@pytest.mark.parametrize("word", REFUSED)
def test_a_refused_word_is_found(word: str) -> None:
    assert words(f"a {word}, b") == [word]
    assert words(word.upper()) == [word]


@pytest.mark.parametrize("text", ["told_about", "_told", "toldAbout", "WhatWasTold", "HTTPTold", "TOLD", '{"told": 1}'])
def test_a_word_in_an_identifier_is_found(text: str) -> None:
    assert words(text) == ["told"]


@pytest.mark.parametrize(
    "text",
    ["crash_point", "CRASH_POINTS", "CrashPoint", "crash-point", "crash\n    # point", 'f"a crash"\n  f" point"'],
)
def test_a_divided_phrase_is_found(text: str) -> None:
    assert [word.removesuffix("s") for word in words(text)] == ["crash point"]


@pytest.mark.parametrize(
    "text",
    [
        "recommended, amended",
        "/healthz is healthy",
        "untold",
        "at rest, the rest",
        "one word, aside",
        "toldabout",
        "vein",
    ],
)
def test_other_words_pass(text: str) -> None:
    assert words(text) == []


def test_a_finding_names_its_line() -> None:
    assert [(line, word) for line, word, _ in refused("a\nb told\n\ncome\nto rest\nanew")] == [
        (2, "told"),
        (4, "come to rest"),
        (6, "anew"),
    ]


def test_the_names_of_tests_on_a_page_pass() -> None:
    assert words("| told | `unit/test_x.py::test_what_was_told`, `told.py` |") == ["told", "told"]


def test_every_text_of_product_and_docs_is_read() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {
        "README.md", "Makefile", "pyproject.toml", "ims/rules/eligibility.py", "producers/capture/process.py",
        "consumers/publication/delta.py", "deploy/cli.py", "deploy/source/schema.sql", "deploy/containers/Dockerfile",
        "deploy/monitoring/alerts.yml", "deploy/monitoring/dashboard.json", "docs/runbook/truncate.md",
        "docs/importers/manifest.schema.json",
    } <= names  # fmt: skip
    assert not any(name.endswith(".pyc") or name.startswith("tests/") for name in names)


@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda excuse: excuse.path)
def test_every_excuse_is_needed(excuse: tuple[str, str]) -> None:
    covered = [path for path in files() if fnmatch(path.relative_to(ROOT).as_posix(), excuse[0])]
    assert any(words(path.read_text(encoding="utf-8")) for path in covered)


def test_a_new_migration_is_not_excused() -> None:
    excused = [name for name in (f"deploy/state/migrations/{number:04}_x.sql" for number in range(20)) if covers(name)]
    assert len(excused) == 13
    assert not covers("deploy/state/migrations/0014_words.sql")


def covers(name: str) -> bool:
    return any(fnmatch(name, excuse.path) for excuse in EXCUSES)


def test_findings_leave_excused_files_out(tmp_path: Path) -> None:
    for name in ("ims/a.py", "docs/page.md", "docs/decisions.md", "CHANGELOG.md", "tests/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first\nwhoever\n", encoding="utf-8")
    assert [(found.path, found.line) for found in findings(tmp_path)] == [("ims/a.py", 2), ("docs/page.md", 2)]


def test_what_is_found_is_printed_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Finding("ims/a.py", 2, "anew", "again")]) == 1
    assert capsys.readouterr().out == "ims/a.py:2: anew: write again\n"
    assert report([]) == 0
