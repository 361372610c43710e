"""A national id that is registered twice, and other ways to one id: the person who was published first stays."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from consumers.publication.everything import Everything
from consumers.replay.memory_view import MemoryView
from ims.publication.gathered import Terms
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.source.facts import Facts, Person
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_d_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_enrolment,
    an_owner,
    facts_of,
)
from tests.unit.consumers.replay.test_shared_logins import Feed

NUMBER = a_birth_number(7)


def learners(*people: Person) -> Facts:
    enrolments = (an_enrolment(number, person=one.id) for number, one in enumerate(people, 1))
    return facts_of(an_owner(), a_school(1), a_group(1), *people, *enrolments)


def persons(feed: Feed) -> set[int | None]:
    subjects = feed.feed.target.subjects
    return {person for key, (person, _) in subjects.items() if key.kind is RecordKind.PERSON}


@pytest.mark.parametrize("second", [2, 9])
def test_the_person_who_was_published_first_stays(tmp_path: Path, second: int) -> None:
    feed = Feed(tmp_path)
    first = a_person(5, national_id=NUMBER)
    feed.publish(learners(first))
    twice = learners(first, a_person(second, national_id=NUMBER))
    assert feed.publish(twice) == []
    assert feed.feed.target.excluded == {(RecordKind.PERSON, second): Reason.DUPLICATE_ID}
    assert feed.publish(twice) == [], "and stays at the next publication"
    assert persons(feed) == {5}


def test_the_second_person_is_published_when_the_first_has_left(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    first, second = a_person(5, national_id=NUMBER), a_person(9, national_id=NUMBER)
    feed.publish(learners(first))
    feed.publish(learners(first, second))
    feed.publish(learners(second))
    assert persons(feed) == {9}


def test_of_two_who_come_at_once_neither_is_published(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.publish(learners(a_person(5, national_id=NUMBER), a_person(9, national_id=NUMBER)))
    assert persons(feed) == set()


def test_protection_of_either_covers_both(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    first = a_person(5, national_id=NUMBER)
    feed.publish(learners(first))
    feed.publish(learners(first, a_person(9, national_id=NUMBER, protected=True)))
    assert persons(feed) == set()


def test_a_group_that_was_published_first_keeps_its_code(tmp_path: Path) -> None:
    feed = Feed(tmp_path, group_id="{code}")
    feed.publish(learners(a_person(1)))
    facts = learners(a_person(1))
    feed.publish(msgspec.structs.replace(facts, groups=facts.groups | {2: a_group(2, code="B1")}))
    assert feed.feed.target.excluded == {(RecordKind.GROUP, 2): Reason.DUPLICATE_ID}


@pytest.mark.parametrize("chunk", [1, 2_000])
def test_a_running_number_that_is_a_national_id_gives_no_second_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chunk: int
) -> None:
    monkeypatch.setattr("consumers.publication.gathering.CHUNK", chunk)
    number = a_d_number_as_running_number()
    settings: dict[str, Any] = {"include_without_national_id": True}
    people = [a_person(1, national_id=str(number)), a_person(number, national_id=None)]
    feed = Feed(tmp_path / "first", **settings)
    feed.publish(learners(*people))
    assert persons(feed) == set()
    for first, second in (people, people[::-1]):
        feed = Feed(tmp_path / str(first.id), **settings)
        feed.publish(learners(first))
        feed.publish(learners(first, second))
        assert persons(feed) == {first.id}


def a_d_number_as_running_number() -> int:
    """Return a national id that does not begin with 0, as a number may not."""
    return int(a_d_number(3))


def test_a_person_has_a_login_in_turn_whoever_has_the_same_national_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("consumers.publication.gathering.CHUNK", 1)
    login = "ada@fjordvik.example"
    people = [a_person(n, feide_name=login, email=None) for n in (5, 9)]
    people[1] = msgspec.structs.replace(people[1], national_id=a_person(1).national_id)
    facts = learners(*people)
    feed = Feed(tmp_path)
    feed.publish(msgspec.structs.replace(facts, persons=facts.persons | {1: a_person(1)}))
    assert feed.logins() == {5: login, 9: None}


@pytest.mark.parametrize("text", ["00000000000", "-", "ukjent", "12345678901", "999999999999", "", "0"])
def test_a_placeholder_makes_no_two_persons_one(text: str) -> None:
    people = {number: a_person(number, national_id=text) for number in range(1, 50)}
    view = MemoryView(learners(*people.values()), Feed(Path("unused")).feed.target)
    assert view.with_same_national_id([1]) == [1]


def test_each_person_with_a_placeholder_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [a_person(number, national_id="00000000000") for number in range(1, 400)]
    facts = learners(*people)
    view = MemoryView(facts, Feed(Path("unused")).feed.target)
    monkeypatch.setattr("consumers.publication.gathering.CHUNK", 20)
    everything = Everything(view, Terms(a_target(include_without_national_id=True), ORGNR, TODAY))
    parts = list(everything.parts())
    assert sum(len(part.scope.persons) for part in parts) == len(people)
    assert sum(key.kind is RecordKind.PERSON for part in parts for key in part.roster.records) == len(people)
