"""The search for the settings under which a target agrees with an existing file."""

from typing import Any

import pytest

from ims.source.facts import Facts
from ims.switchover.comparison import Comparison, compare
from ims.switchover.group_templates import likely_templates
from ims.switchover.matching import OldRoster, match_records
from ims.switchover.settings_search import Step, Tally, candidates, search_settings, tally
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_group,
    a_person,
    a_target,
    an_enrolment,
    facts_of,
)
from tests.support.old_files import (
    FACTS,
    GROUP,
    LOGIN,
    MEMBER,
    PERSON,
    compared,
    old_file,
    old_group,
    old_member,
    old_person,
)


def steps(old: OldRoster, facts: Facts, settings: TargetSettings) -> list[Step]:
    templates = [settings.group_id, *likely_templates(old, facts)]
    matches = match_records(old, facts, templates)

    def differences(tried: TargetSettings) -> Comparison:
        return compare(old, matches, facts, tried, orgnr=ORGNR, today=TODAY)

    values = candidates(old, facts, differences(settings), settings, templates)
    return search_settings(settings, values, lambda tried: tally(differences(tried)))


def test_a_search_returns_each_setting_with_its_effect() -> None:
    file = old_file(old_person("1", LOGIN, source="older"), old_group("7", "B7", source="older"), old_member("7", "1"))
    assert steps(file, FACTS, a_target()) == [
        Step("person_id", "running", 4, 3),
        Step("source", "older", 3, 1),
        Step("group_id", "{id}", 1, 0),
    ]


def test_a_search_proposes_no_setting_that_removes_records() -> None:
    facts = facts_of(a_person(1), a_group(7), an_enrolment(person=1, group=7), *map(a_group, range(8, 20)))
    file = old_file(PERSON, GROUP, MEMBER)
    assert len(compared(file, facts, a_target(scope="grunnskole")).differences) < len(compared(file, facts).differences)
    assert steps(file, facts, a_target()) == []


def test_a_new_kind_is_excluded_beside_a_known_one() -> None:
    facts = facts_of(a_person(1), a_group(7), an_enrolment(person=1, group=7), a_group(8), a_group(9, kind="subject"))
    found = steps(old_file(PERSON, GROUP, MEMBER), facts, a_target())
    assert found == [Step("excluded_kinds", ("subject",), 2, 1)]


def test_an_unnecessary_change_is_taken_back() -> None:
    def differences(settings: TargetSettings) -> Tally:
        return Tally(0 if settings.person_id == "running" else 4 if settings.login == "none" else 5, 0)

    values = {"login": ["none"], "person_id": ["running"]}
    assert search_settings(a_target(), values, differences) == [Step("person_id", "running", 5, 0)]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((a_group(8, kind="subject"), a_group(9, kind="subject")), Step("excluded_kinds", ("subject",), 2, 0)),
        ((a_person(2, national_id=None), an_enrolment(2, person=2, group=7)), None),
        ((a_group(8, programme="grunnskole"),), None),
    ],
)
def test_kinds_missing_in_the_file_are_excluded(facts: tuple[Any, ...], expected: Step | None) -> None:
    everything = facts_of(a_person(1), a_group(7), an_enrolment(person=1, group=7), *facts)
    found = steps(old_file(PERSON, GROUP, MEMBER), everything, a_target())
    assert found == ([expected] if expected else [])


def test_persons_without_national_id_are_included_like_in_the_file() -> None:
    facts = facts_of(a_person(1, national_id=None), a_group(7), an_enrolment(person=1, group=7))
    file = old_file(old_person("1", LOGIN), GROUP, old_member("group-7", "1"))
    assert steps(file, facts, a_target()) == [Step("include_without_national_id", True, 2, 0)]


def test_a_search_never_proposes_test_numbers() -> None:
    found = steps(old_file(PERSON, GROUP, MEMBER), FACTS, a_target(allow_test_numbers=False))
    assert "allow_test_numbers" not in [step.key for step in found]


def test_an_impossible_value_is_skipped() -> None:
    settings = a_target()
    assert search_settings(settings, {"group_id": ["same", "{id} "], "source": ["x" * 33]}, lambda _: Tally(1, 0)) == []
