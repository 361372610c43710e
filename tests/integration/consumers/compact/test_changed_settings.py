"""A target's settings in the feed: lead and grace days, exclusions, id templates, and interrupted enrolments."""

from datetime import timedelta
from typing import Any

import pytest

from ims.records.vocabulary import RecStatus
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import approved, group, member, next_delta, person
from tests.support.pipeline import Pipeline

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE


def test_a_group_is_published_lead_days_before_it_starts(pipeline: Pipeline) -> None:
    today = pipeline.now.date()
    start = today + timedelta(days=8)
    pipeline.target(lead_days=7)
    pipeline.commit(an_owner(), a_school(1), a_group(1, starts_on=start), a_person(1), a_person(2))
    pipeline.commit(an_enrolment(1, person=1, starts_on=start))
    pipeline.commit(an_enrolment(2, person=2, starts_on=start + timedelta(days=1)))
    pipeline.compact()
    assert pipeline.snapshot() == {}
    assert next_delta(pipeline, days=1) == {(key, NEW) for key in (person(1), group("group-1"), member("group-1", 1))}
    for _ in range(7):
        assert next_delta(pipeline, days=1) == set()
    assert next_delta(pipeline, days=1) == {(person(2), NEW), (member("group-1", 2), NEW)}
    assert pipeline.verification().problems == []


def test_a_group_is_removed_grace_days_after_it_ends(pipeline: Pipeline) -> None:
    today = pipeline.now.date()
    pipeline.target(grace_days=3)
    pipeline.commit(an_owner(), a_school(1), a_group(1, ends_on=today + timedelta(days=1)), a_person(1), a_person(2))
    pipeline.commit(an_enrolment(1, person=1, ends_on=today + timedelta(days=1)))
    pipeline.commit(an_enrolment(2, person=2, ends_on=today))
    pipeline.compact()
    assert next_delta(pipeline, days=1) == {(person(2), GONE), (member("group-1", 2), GONE)}
    for _ in range(3):
        assert next_delta(pipeline, days=1) == set()
    assert next_delta(pipeline, days=1) == {(key, GONE) for key in (person(1), group("group-1"), member("group-1", 1))}


@pytest.mark.parametrize(("lead", "grace"), [(0, 0), (2, 0), (0, 2), (3, 5)])
def test_a_window_that_passed_during_an_outage_is_published_later(pipeline: Pipeline, lead: int, grace: int) -> None:
    start = pipeline.now.date() + timedelta(days=10)
    end = start + timedelta(days=10)
    pipeline.target(lead_days=lead, grace_days=grace)
    pipeline.commit(an_owner(), a_school(1), a_group(1, starts_on=start, ends_on=end), a_person(1))
    pipeline.commit(an_enrolment(1, starts_on=start, ends_on=end))
    pipeline.compact()
    assert {recstatus for _, recstatus in next_delta(pipeline, days=15)} == {NEW}
    assert {recstatus for _, recstatus in next_delta(pipeline, days=30)} == {GONE}


def test_a_changed_window_is_published_and_an_exclusion_needs_approval(pipeline: Pipeline) -> None:
    start = pipeline.now.date() + timedelta(days=5)
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1, starts_on=start), a_group(2, kind="choir", programme="annet"))
    pipeline.compact()
    assert pipeline.snapshot().keys() == {group("group-2")}
    pipeline.target(lead_days=5)
    assert next_delta(pipeline) == {(group("group-1"), NEW)}
    for changes in ({"excluded_kinds": ("choir",)}, {"excluded_groups": (2,)}, {"scope": "grunnskole"}):
        pipeline.target(**changes)
        assert (group("group-2"), GONE) in approved(pipeline)
        pipeline.target()
        assert next_delta(pipeline) == {(group("group-2"), NEW)}


def test_a_group_follows_its_programme_and_kind(pipeline: Pipeline) -> None:
    pipeline.target(scope="grunnskole", excluded_kinds=("choir",))
    pipeline.commit(an_owner(), a_school(1), a_group(1, programme="grunnskole"), a_person(1), an_enrolment(1))
    pipeline.compact()
    others: list[dict[str, Any]] = [{"programme": "norsk"}, {"programme": "grunnskole", "kind": "Choir"}]
    for changes in others:
        pipeline.commit(a_group(1, **changes))
        assert next_delta(pipeline) == {(k, GONE) for k in (person(1), group("group-1"), member("group-1", 1))}
        pipeline.commit(a_group(1, programme="grunnskole"))
        assert {recstatus for _, recstatus in next_delta(pipeline)} == {NEW}


@pytest.mark.parametrize(
    ("template", "first", "second"),
    [
        ("{code}", {"code": "8A"}, {"code": " 8A\t"}),
        ("{code}", {"code": "\u00c5"}, {"code": "A\u030a"}),
        ("{code}-{school_no}", {"code": "8A-1"}, {"code": "8A", "school": 2}),
        ("{code}{id}", {"code": "A1", "id": 2}, {"code": "A", "id": 12}),
    ],
)
def test_of_groups_whose_template_gives_one_id_the_first_stays(
    pipeline: Pipeline, template: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    first, second = {"id": 1} | first, {"id": 2} | second
    pipeline.target(group_id=template)
    pipeline.commit(an_owner(), a_school(1, school_no="2"), a_school(2, school_no="1-2"), a_group(**first))
    pipeline.commit(a_person(1), an_enrolment(1, group=first["id"]))
    pipeline.compact()
    assert len(pipeline.snapshot()) == 3
    pipeline.commit(a_group(**second))
    assert next_delta(pipeline) == set()
    excluded = pipeline.connection.execute("select kind, id, reason from imsfeed.exclusion").fetchall()
    assert excluded == [(2, second["id"], "duplicate_id")]
    pipeline.commit(a_group(**first), gone=True)
    assert {recstatus for _, recstatus in next_delta(pipeline)} >= {GONE}
    assert pipeline.connection.execute("select from imsfeed.exclusion where kind = 2").fetchall() == []


def test_an_interrupted_learner_returns_under_the_same_id(pipeline: Pipeline) -> None:
    today = pipeline.now.date()
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1, ends_on=today))
    pipeline.commit(an_enrolment(2, starts_on=today + timedelta(days=3)))
    pipeline.compact()
    keys = {person(1), member("group-1", 1)}
    assert next_delta(pipeline, days=1) == {(key, GONE) for key in keys}
    assert next_delta(pipeline, days=1) == set()
    assert next_delta(pipeline, days=1) == {(key, NEW) for key in keys}


def test_consecutive_enrolments_make_no_delta(pipeline: Pipeline) -> None:
    today = pipeline.now.date()
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1, ends_on=today))
    pipeline.commit(an_enrolment(2, starts_on=today + timedelta(days=1)))
    pipeline.compact()
    assert next_delta(pipeline, days=1) == set()
    pipeline.commit(an_enrolment(1), gone=True)
    assert next_delta(pipeline) == set()
