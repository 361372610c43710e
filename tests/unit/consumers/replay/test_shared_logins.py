"""One login, one account: no file gives a login to two persons, and no record takes one that another account has.

An importer is modelled that reads record by record, finds accounts by id, and keeps those of persons who have left. It
fails where Moodle's stops the import, or lets one person in as another.
"""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.database.targets_table import OwnerState
from consumers.feed.feed_directory import verify_folder
from consumers.replay.replay_feed import ReplayedFeed
from ims.feed.manifest import delta_path
from ims.records.logins import as_compared, names_of, published_names
from ims.records.model import PersonRecord
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from ims.source.facts import Facts
from ims.xml.reader import ReadRecord, read
from tests.support.builders import ORGNR, a_birth_number, a_group, a_person, a_school, a_target, an_enrolment, an_owner
from tests.support.builders import facts_of as all_facts_of

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
ADA, BO, DI = "ada@fjordvik.example", "bo@fjordvik.example", "di@fjordvik.example"


class Importer:
    """Accounts by the id of their person; of a person who has left the account stays.

    Attributes:
        logins: the names of each account.
        people: the running number of the person with each id.
    """

    def __init__(self, people: dict[str, int]) -> None:
        self.logins: dict[str, set[str]] = {}
        self.people = people
        self.kept: set[str] = set()

    def read(self, path: Path) -> None:
        records = [item for item in read(path) if isinstance(item, ReadRecord)]
        persons = [(item.record, item.recstatus) for item in records if isinstance(item.record, PersonRecord)]
        snapshot = [name for record, recstatus in persons for name in names_of(record) if recstatus is None]
        assert len(snapshot) == len(set(snapshot)), "a snapshot gives a login to two persons"
        for record, recstatus in persons:
            if recstatus is RecStatus.GONE:
                self.kept.add(record.id)
            else:
                self.take(record)

    def take(self, record: PersonRecord) -> None:
        names = names_of(record)
        for id_, others in self.logins.items():
            if id_ != record.id and names & others:
                assert self.people[id_] == self.people[record.id], "one person is let in as another"
                assert id_ in self.kept or names_of(record) & others, "an account is taken over"
                self.logins[id_] = set()
        self.logins[record.id] = names or self.logins.get(record.id, set())
        self.kept.discard(record.id)


def school_of(logins: Mapping[int, str | None], group: int = 1) -> Facts:
    """Return persons with these Feide names, all of them learners in a group."""
    people = [a_person(number, feide_name=login, email=None) for number, login in logins.items()]
    enrolments = [an_enrolment(number, person=number, group=group) for number in logins]
    return all_facts_of(an_owner(), a_school(1), a_group(1), *people, *enrolments)


class Feed:
    """A target whose owner's facts change step by step, and the importer that follows it."""

    def __init__(self, root: Path, **changes: Any) -> None:
        self.feed = ReplayedFeed(1, a_target(**changes), root, holds=False)
        self.feed.owner = OwnerState(ORGNR)
        self.folder = root / ORGNR / "lms"
        numbers = range(1, 20)
        self.importer = Importer({a_birth_number(n): n for n in numbers} | {str(n): n for n in numbers})
        self.now = NOW
        self.read = 0

    def publish(self, facts: Facts, **passing: float) -> list[list[tuple[str, RecStatus | None]]]:
        """Publish, and return the login and recstatus of each person in each new delta."""
        self.now += timedelta(**passing or {"minutes": 1})
        if self.feed.published:
            self.feed.publish(facts, self.now)
            self.feed.snapshot_if_due(self.now)
        else:
            self.feed.publish_first(facts, self.now)
            self.importer.read(next((self.folder / "snapshots").iterdir()))
        head = self.feed.target.position.head_seq or 0
        deltas = [self.folder / delta_path(seq) for seq in range(self.read + 1, head + 1)]
        self.read = head
        for path in deltas:
            self.importer.read(path)
        return [self.persons(path) for path in deltas]

    @staticmethod
    def persons(path: Path) -> list[tuple[str, RecStatus | None]]:
        items = [item for item in read(path) if isinstance(item, ReadRecord)]
        return [(item.record.login or "", item.recstatus) for item in items if isinstance(item.record, PersonRecord)]

    def logins(self) -> dict[int, str | None]:
        """Return the login that each person is published with."""
        return {
            person: published_names(text).login
            for key, text in self.feed.target.published.items()
            if key.kind is RecordKind.PERSON and (person := self.feed.target.subjects[key][0]) is not None
        }


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path, login_reserved_days=365)


def test_the_first_of_two_persons_has_the_login(feed: Feed) -> None:
    feed.publish(school_of({1: ADA, 2: ADA.upper(), 3: BO}))
    assert feed.logins() == {1: ADA, 2: None, 3: BO}


def test_a_person_who_had_a_login_first_keeps_it(feed: Feed) -> None:
    feed.publish(school_of({5: ADA}))
    feed.publish(school_of({2: ADA, 5: ADA}))
    assert feed.logins() == {2: None, 5: ADA}


def test_a_login_is_given_up_before_it_is_taken(feed: Feed) -> None:
    feed.publish(school_of({5: ADA}))
    (delta,) = feed.publish(school_of({2: ADA, 5: BO}))
    assert delta == [(BO, RecStatus.CHANGED), (ADA, RecStatus.NEW)]


def test_a_chain_of_logins_is_one_delta(feed: Feed) -> None:
    names = [f"a{number}@x" for number in range(9)]
    feed.publish(school_of(dict(enumerate(names[:8], 1))))
    (delta,) = feed.publish(school_of(dict(enumerate(names[1:], 1))))
    assert [login for login, _ in delta] == list(reversed(names[1:]))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_persons_who_pass_their_logins_round_get_there_in_two_deltas(feed: Feed, count: int) -> None:
    names = [f"a{number}@x" for number in range(count)]
    feed.publish(school_of(dict(enumerate(names, 1))))
    wanted = dict(enumerate([*names[1:], names[0]], 1))
    first, second = feed.publish(school_of(wanted))
    assert sum(login.startswith("imsfeed-") for login, _ in first) == 1
    assert len(second) == 1
    assert feed.logins() == wanted


def test_many_swaps_need_no_more_deltas_than_one(feed: Feed) -> None:
    before = {number: f"a{number}@x" for number in range(1, 19)}
    feed.publish(school_of(before))
    swapped = {number: before[number + 1 if number % 2 else number - 1] for number in before}
    assert len(feed.publish(school_of(swapped))) == 2
    assert feed.logins() == swapped


def test_a_login_of_a_person_who_has_left_is_reserved(feed: Feed) -> None:
    feed.publish(school_of({1: ADA, 2: BO}))
    feed.publish(school_of({2: BO}))
    feed.publish(school_of({2: BO, 3: ADA}))
    assert feed.logins() == {2: BO, 3: None}
    feed.publish(school_of({2: BO, 3: ADA}), days=363)
    assert feed.logins() == {2: BO, 3: None}


def test_a_reserved_login_is_free_when_its_time_is_over(feed: Feed) -> None:
    feed.publish(school_of({1: ADA, 2: BO}))
    feed.publish(school_of({2: BO, 3: ADA}))
    assert feed.logins() == {2: BO, 3: None}
    feed.importer.logins.pop(a_birth_number(1))
    feed.publish(school_of({2: BO, 3: ADA}), days=365)
    assert feed.logins() == {2: BO, 3: ADA}


def test_a_person_who_returns_has_the_login_again(feed: Feed) -> None:
    for logins in ({1: ADA, 2: BO}, {2: BO}, {1: ADA, 2: BO}):
        feed.publish(school_of(logins), days=2)
    assert feed.logins() == {1: ADA, 2: BO}


def test_a_person_who_is_registered_again_has_the_login_again(tmp_path: Path) -> None:
    feed = Feed(tmp_path, person_id="running")
    feed.publish(school_of({1: ADA}))
    again = a_person(2, feide_name=ADA, email=None, national_id=a_birth_number(1))
    former = a_person(1, feide_name=ADA, email=None)
    facts = all_facts_of(an_owner(), a_school(1), a_group(1), former, again, an_enrolment(2, person=2))
    feed.importer.people["2"] = 1
    feed.publish(facts)
    assert feed.logins() == {2: ADA}


def test_without_reservation_a_leaver_is_removed_before_the_login_is_taken(tmp_path: Path) -> None:
    feed = Feed(tmp_path, login_reserved_days=0)
    feed.publish(school_of({1: ADA}))
    feed.importer.people[a_birth_number(2)] = 1  # such an importer keeps no account
    (delta,) = feed.publish(school_of({2: ADA}))
    assert delta == [(ADA, RecStatus.GONE), (ADA, RecStatus.NEW)]


def test_a_login_that_is_given_up_goes_to_the_person_who_waits_for_it(feed: Feed) -> None:
    feed.publish(school_of({1: ADA, 2: ADA}))
    feed.publish(school_of({1: BO, 2: ADA}))
    assert feed.logins() == {1: BO, 2: ADA}


def test_a_person_whose_new_login_is_taken_keeps_the_former_one(feed: Feed) -> None:
    feed.publish(school_of({1: ADA, 2: BO}))
    assert feed.publish(school_of({1: ADA, 2: ADA})) == []
    assert feed.logins() == {1: ADA, 2: BO}
    feed.publish(school_of({1: ADA, 2: ADA, 3: BO}))
    assert feed.logins() == {1: ADA, 2: BO, 3: None}, "importers have the account under it"


def test_a_login_that_is_taken_away_is_reserved(feed: Feed) -> None:
    feed.publish(school_of({1: ADA}))
    feed.publish(school_of({1: None, 2: ADA}))
    assert feed.logins() == {1: None, 2: None}
    feed.publish(school_of({1: BO, 2: ADA}))
    assert feed.logins() == {1: BO, 2: None}


def test_a_target_may_exclude_persons_whose_login_is_taken(tmp_path: Path) -> None:
    feed = Feed(tmp_path, shared_login="exclude")
    feed.publish(school_of({1: ADA, 2: ADA}))
    assert feed.logins() == {1: ADA}
    assert feed.feed.target.excluded == {(RecordKind.PERSON, 2): Reason.LOGIN_TAKEN}
    feed.publish(school_of({1: ADA, 2: ADA, 3: BO}))
    feed.publish(school_of({1: ADA, 2: ADA, 3: ADA}))
    assert feed.logins() == {1: ADA, 3: BO}, "what is typed for one person takes no access from another"
    feed.publish(school_of({1: DI, 2: ADA, 3: ADA}))
    assert feed.logins() == {1: DI, 2: ADA, 3: BO}


def test_a_tombstone_does_not_have_the_login_of_another_person(tmp_path: Path) -> None:
    feed = Feed(tmp_path, login_reserved_days=0, export_path="Eksport.xml", export_shape="tombstones")
    feed.publish(school_of({1: ADA}))
    feed.publish(school_of({2: BO}))
    feed.importer.logins.pop(a_birth_number(1))
    feed.publish(school_of({2: BO, 3: ADA}))
    feed.feed.finish(feed.now)
    persons = (feed.folder / "Eksport.xml").read_text("utf-8").split("</person>")[:-1]
    assert [(one.count("<userid"), ADA in one, 'recstatus="3"' in one) for one in persons] == [
        (0, False, True),
        (1, False, False),
        (1, True, False),
    ]


LOGINS = st.sampled_from([ADA, ADA, BO, DI, "Ada@Fjordvik.example", "\u200bbo@fjordvik.example", None])
STEPS = st.lists(
    st.tuples(st.dictionaries(st.integers(1, 6), LOGINS, max_size=6), st.sampled_from([0, 0, 1, 40])),
    min_size=2,
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(
    steps=STEPS,
    dialect=st.sampled_from(["ims", "ims", "pifu"]),
    login=st.sampled_from(["feide", "feide", "none"]),
    person_id=st.sampled_from(["national", "running"]),
    limit=st.sampled_from([10_000, 10_000, 2]),
)
def test_no_history_lets_one_person_in_as_another(
    steps: list[tuple[dict[int, str | None], int]], limit: int, **target: Any
) -> None:
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr("ims.feed.delta_files.split.__defaults__", (limit,))
        feed = Feed(Path(root), login_reserved_days=365, **target)
        for logins, days in steps:
            feed.publish(school_of(logins), days=days, minutes=1)
        feed.feed.finish(feed.now)
        assert verify_folder(feed.folder).problems == []
        wanted = {person: as_compared(login or "") for person, login in steps[-1][0].items()}
        shown = feed.logins()
        assert shown.keys() == wanted.keys()
        free = {name for name in wanted.values() if name} - set(shown.values())
        if target["login"] == "feide":
            assert free <= feed.feed.target.former_logins.keys(), "a free login is given to a person who wants it"
