"""The pages name only what exists: commands, options of commands, metrics, alerts and tables."""

import re
from collections.abc import Iterator

import pytest
import typer
import yaml

from deploy.cli import app
from ims.runtime.metrics import descriptions
from tests.benchmarks.figure import WANTED
from tests.support.paths import DEPLOY, DOCS, ROOT

HISTORY = {"decisions.md", "CHANGELOG.md"}
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if page.name not in HISTORY)]
SOURCE_TABLES = {"heartbeat", "capture", "resync"}


def named(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the page and the text of every match on every page."""
    for page in PAGES:
        for found in re.findall(pattern, page.read_text(encoding="utf-8")):
            yield page.name, found


def unknown_in(line: str) -> str | None:
    """Return what imsfeed does not know in a command line, or ``None``."""
    command, words = typer.main.get_command(app), line.split()
    while words and not words[0].startswith("-") and (subcommands := getattr(command, "commands", None)):
        name = words.pop(0)
        if name not in subcommands:
            return name
        command = subcommands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return next((word for word in words if word.startswith("--") and word not in {*options, "--help"}), None)


def test_every_metric_that_a_page_names_exists() -> None:
    metrics = {metric.name for metric in descriptions()}
    names = list(named(r"\bimsfeed_[a-z]+_[a-z_]+\b"))  # with one underscore only it is a role
    assert len(names) > 5
    assert [name for name in names if name[1] not in metrics] == []


def test_every_alert_that_a_page_names_exists() -> None:
    groups = yaml.safe_load((DEPLOY / "monitoring" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    names = list(named(r"\bImsfeed[A-Za-z]+\b"))
    assert len(names) > 10
    assert [name for name in names if name[1] not in alerts] == []


def test_every_table_that_a_page_names_exists() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## The tables of the state database")[2]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    tables = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} | SOURCE_TABLES
    names = list(named(r"(?:[Tt]able `|from |update |insert on )imsfeed\.([a-z_]+)"))
    assert len(names) > 3
    assert [name for name in names if name[1] not in tables] == []


def test_every_file_and_folder_that_a_page_names_exists() -> None:
    names = list(named(r"`((?:ims|producers|consumers|deploy|docs|tests)/[\w./-]+)`"))
    assert len(names) > 60
    assert [name for name in names if not (ROOT / name[1]).exists()] == []


def test_every_figure_of_the_benchmarks_that_a_page_names_exists() -> None:
    names = list(named(r"`((?!hold_)\w+_(?:vs_\w+|(?:p\d\d|memory)_m[sb]|percent))`"))
    assert len(names) > 40
    assert [name for name in names if name[1] not in WANTED] == []


def test_every_command_that_a_page_names_exists() -> None:
    lines = [*named(r"`imsfeed\s+([a-z-]+[^`]*)`"), *named(r"(?m)^ {4}imsfeed +([a-z-]+[^#\n]*)")]
    blocks = "".join(block for _, block in named(r"(?s)```sh\n(.*?)```"))
    lines += [("a block", line) for line in re.findall(r"(?m)^ *imsfeed +([^#\n]*)", blocks)]
    assert len(lines) > 80
    assert [(page, line) for page, line in lines if unknown_in(line)] == []


def test_every_task_that_a_page_names_exists() -> None:
    tasks = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    pages = [ROOT / "CONTRIBUTING.md", *PAGES]
    texts = {page.name: page.read_text(encoding="utf-8") for page in pages}
    names = [
        (page, task)
        for page, text in texts.items()
        for task in re.findall(r"(?:`|^    )make ([a-z]+)", text, re.MULTILINE)
    ]
    assert len(names) > 30
    assert [name for name in names if name[1] not in tasks] == []


@pytest.mark.parametrize("line", ["prove lms", "setup kafka", "snapshot --soon lms", "quarantine discard --all 3"])
def test_an_unknown_command_or_option_is_found(line: str) -> None:
    assert unknown_in(line)
