"""From facts in a real state database to files in a real folder: first publications, days that pass, settings."""

from datetime import date, timedelta
from functools import partial

import pytest

from ims.feed import delta_files
from ims.feed.delta_files import split
from ims.records.model import MemberRecord
from ims.records.vocabulary import RecordKind, RecStatus, RoleType
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import changes, group, member, person
from tests.support.pipeline import Pipeline

NEW, GONE = RecStatus.NEW, RecStatus.GONE


def test_the_first_publication_is_a_snapshot_with_sequence_0(published: Pipeline) -> None:
    manifest = published.manifest()
    assert (manifest.head_seq, manifest.snapshot.seq, manifest.deltas, manifest.state) == (0, 0, [], "ok")
    assert published.snapshot().keys() == {
        *(person(number) for number in (1, 2, 3)),
        *(group(f"group-{number}") for number in (1, 2)),
        *(member(f"group-{number}", learner) for number, learner in ((1, 1), (2, 1), (2, 2), (1, 3))),
    }
    teacher = published.snapshot()[member("group-1", 3)]
    assert isinstance(teacher, MemberRecord)
    assert teacher.role is RoleType.INSTRUCTOR


def test_a_disabled_target_publishes_nothing(pipeline: Pipeline) -> None:
    pipeline.target(enabled=False)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    assert not pipeline.settings.feed_directory.exists()


@pytest.mark.parametrize("orgnr", [None, "", "100000009"])
def test_an_owner_without_an_organisation_number_publishes_nothing(pipeline: Pipeline, orgnr: str | None) -> None:
    pipeline.target()
    pipeline.commit(an_owner(orgnr=orgnr), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    assert not pipeline.settings.feed_directory.exists()


def test_an_owner_that_loses_its_number_keeps_its_members(published: Pipeline) -> None:
    published.commit(an_owner(orgnr=None))
    published.compact(minutes=5)
    manifest = published.manifest()
    assert (manifest.state, manifest.head_seq) == ("stale", 0)
    published.commit(an_owner(name="Fjordvik nye kommune"))
    published.compact(minutes=5)
    assert published.manifest().state == "ok"
    assert {key.kind for key, _ in changes(published.delta(1))} == {RecordKind.GROUP}


def test_a_reached_date_makes_a_delta_without_an_event(published: Pipeline) -> None:
    today = published.now.date()
    published.commit(an_enrolment(3, person=2, group=2, ends_on=today))
    published.commit(an_enrolment(6, person=2, group=1, starts_on=today + timedelta(days=1)))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 0
    published.compact(hours=11, minutes=59)
    assert published.manifest().head_seq == 0, "Oslo is two hours ahead of UTC: midnight is at 22:00"
    published.compact(minutes=2)
    assert changes(published.delta(1)) == {
        (member("group-2", 2), GONE),
        (member("group-1", 2), NEW),
    }
    assert published.manifest().deltas[0].oldest_event_at is None


def test_dates_reached_during_an_outage_are_published_later(published: Pipeline) -> None:
    published.commit(a_group(2, ends_on=date(2026, 10, 18)))
    published.compact(seconds=1)
    published.compact(days=30)
    assert (group("group-2"), GONE) in changes(published.delta(2))
    assert (member("group-2", 2), GONE) in changes(published.delta(2))


def test_a_clock_set_back_readds_no_person(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=2, group=2, ends_on=published.now.date()))
    published.compact(days=1)
    head = published.manifest().head_seq
    published.commit(a_person(2, family_name="Nesten"))
    published.compactor.step(published.now - timedelta(days=1), certain=False)
    assert published.manifest().head_seq == head, "no other clock confirms it"


def test_a_clock_set_back_does_not_stop_the_manifest(published: Pipeline) -> None:
    published.compact(hours=-5)
    assert published.manifest().checked == published.now


def test_changed_settings_are_published_as_one_difference(published: Pipeline) -> None:
    published.target(group_id="g{id}")
    published.compact(seconds=1)
    published.approve()
    added, removed = changes(published.delta(1)), changes(published.delta(2))
    assert (group("g1"), NEW) in added
    assert (group("group-1"), GONE) in removed
    assert len(added) + len(removed) == 12


def test_a_very_large_difference_is_split_into_several_deltas(
    published: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_files, "split", partial(split, limit=4))
    published.target(group_id="g{id}")
    published.compact(seconds=1)
    published.approve()
    manifest = published.manifest()
    assert [delta.seq for delta in manifest.deltas] == [1, 2, 3, 4]
    assert sum(len(published.delta(delta.seq)) for delta in manifest.deltas) == 12
    published.compact(days=1)
    assert published.verification().problems == []
