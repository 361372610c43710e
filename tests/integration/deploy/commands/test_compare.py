"""`imsfeed compare` on a real state database, with imsfeed's own snapshots as the existing files."""

import csv
import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli import app, main
from ims.source.facts import Fact
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

LONG_AGO = date(2020, 1, 1)
FACTS: tuple[Fact, ...] = (
    an_owner(),
    a_school(1),
    a_school(2, name="Fjordvik sør"),
    *(a_person(number) for number in range(1, 7)),
    a_person(7, national_id=None, feide_name=None),
    a_group(11),
    a_group(12, code="8A"),
    a_group(13, code="8A", name="8A i sør", school=2, kind="subject", programme="grunnskole"),
    an_employee(21, person=1),
    an_enrolment(30, person=1, group=11, role="teacher", starts_on=LONG_AGO),
    *(an_enrolment(30 + number, person=number, group=11 + number % 3, starts_on=LONG_AGO) for number in range(2, 8)),
)


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    monkeypatch.setenv("STATE_DSN", state_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    pipeline.commit(*FACTS)
    yield pipeline
    pipeline.close()


def a_snapshot(pipeline: Pipeline, **settings: Any) -> Path:
    """Return the first snapshot of a target with these settings."""
    pipeline.target(name="other", **settings)
    pipeline.compact(seconds=1)
    return pipeline.folder("other") / pipeline.manifest("other").snapshot.path


def compare(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not any(a_birth_number(number) in result.output for number in range(8))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"org_groups": True},
        {"dialect": "pifu", "person_id": "running", "include_without_national_id": True},
        {"dialect": "pifu", "login": "none"},
        {"spell_out_markup": True, "excluded_groups": (11,), "login": "email", "source": "older@fjordvik"},
    ],
)
def test_a_targets_own_snapshot_has_no_difference(pipeline: Pipeline, settings: dict[str, Any]) -> None:
    snapshot = a_snapshot(pipeline, **settings)
    code, output = compare(snapshot, "other")
    assert (code, output.splitlines()[-1]) == (0, "0 differences")


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "older@fjordvik", "person_id": "running", "group_id": "{school_no}-{code}", "login": "email"},
        {"group_id": "grp-{id}", "login": "none", "excluded_kinds": ("subject",), "source": "123"},
        {"dialect": "pifu", "include_without_national_id": True},
        {"org_groups": True, "scope": "grunnskole"},
    ],
)
def test_the_settings_of_an_existing_file_are_found(pipeline: Pipeline, settings: dict[str, Any]) -> None:
    snapshot = a_snapshot(pipeline, **settings)
    pipeline.target(enabled=False)
    code, output = compare(snapshot, "lms")
    assert code == 3
    assert "not enabled" in output
    proposed = [line.partition("#")[0] for line in output.splitlines() if line.startswith("imsfeed targets set lms ")]
    assert {argument.partition("=")[0] for line in proposed for argument in shlex.split(line)[4:]} == set(settings)
    assert output.splitlines()[-1].endswith("-> 0 differences")
    assert not [line for line in proposed if '="' in line and '"123"' not in line]
    for line in proposed:
        assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 0
    assert compare(snapshot, "lms")[0] == 0


def test_each_difference_is_a_row_of_the_table(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.commit(a_person(8, given_name="=1+1", family_name=f"Testesen {a_birth_number(3)}"))
    pipeline.commit(a_person(9))
    places = [an_enrolment(30 + n, person=n, group=11, starts_on=LONG_AGO) for n in (8, 9)]
    pipeline.commit(*places)
    snapshot = a_snapshot(pipeline)
    pipeline.commit(places[0], gone=True)
    pipeline.commit(a_person(9, protected=True))
    code, output = compare(snapshot, "other", "--no-search-settings", "--csv", tmp_path / "changes.csv")
    assert code == 3
    assert "imsfeed targets set" not in output
    with (tmp_path / "changes.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [(row["kind"], row["running_number"], row["group"], row["what"], row["reason"]) for row in rows] == [
        ("person", "8", "", "missing", "no_active_enrolment"),
        ("person", "9", "", "missing", "person_protected"),
        ("membership", "8", "11", "missing", "no_active_enrolment"),
        ("membership", "9", "", "missing", "person_protected"),
    ]
    assert [row["name"] for row in rows] == ["'=1+1 Testesen ***********", "", "'=1+1 Testesen ***********", ""]
    assert rows[0]["old_id_kind"] == "birth_number"
    assert (tmp_path / "changes.csv").stat().st_mode & 0o007 == 0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["imsfeed", "compare", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_a_truncated_file_is_not_compared_and_exits_with_1(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = a_snapshot(pipeline).read_bytes()
    (tmp_path / "cut.xml").write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert run(monkeypatch, str(tmp_path / "cut.xml"), "other") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nothing was compared" in printed.err


def test_an_unknown_target_or_file_exits_with_2(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, str(a_snapshot(pipeline)), "nobody") == 2
    assert run(monkeypatch, str(tmp_path / "no.xml"), "other") == 2
