"""Random owners, settings and days: an importer ends up with exactly the records that the rules give.

The files are real. The importer reads them by the contract; a naive oracle gives the expected records.
"""

import tempfile
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.database.targets_table import OwnerState, valid_orgnr
from consumers.feed.feed_directory import verify_folder
from consumers.replay.memory_view import MemoryView
from consumers.replay.replay_feed import ReplayedFeed
from ims.feed.manifest import MANIFEST, decode
from ims.publication.gathered import Scope
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings
from ims.xml.reader import ReadRecord, read
from tests.unit.ims.rules.random_facts import DAYS, FACTS, TARGETS
from tests.unit.ims.rules.test_roster_oracle import Oracle

Published = tuple[set[str], set[str], set[tuple[str, str]]]


def should_be_known(oracle: Oracle) -> Published:
    """Return the expected ``sourcedid/id`` of persons, of groups, and of group and person of each membership."""
    facts = oracle.facts
    persons = {person.id: oracle.person_id(person) for person in facts.persons.values() if oracle.person_ok(person)}
    groups = {group.id: oracle.group_id(group) for group in facts.groups.values() if oracle.group_ok(group)}
    members = {(groups[group], persons[person]) for person, group, _ in oracle.members()}
    members |= {(school, persons[person]) for person, school, _ in oracle.school_members()}
    orgs = {"org-100000008", *oracle.school_groups()} if oracle.with_orgs() else set()
    return set(persons.values()), {*groups.values(), *orgs}, members


Step = tuple[Facts, date, TargetSettings | None]
"""The owner's facts on a day, and changed settings, if any."""


def known(folder: Path) -> Published:
    """Return what an importer knows after the first snapshot and every delta."""
    manifest = decode((folder / MANIFEST).read_bytes())
    first = min((folder / "snapshots").iterdir())
    state: dict[RecordKey, Record] = {}
    for path in (first, *(folder / delta.path for delta in manifest.deltas)):
        for item in read(path):
            if isinstance(item, ReadRecord):
                state.pop(item.record.key, None)
                if item.recstatus is not RecStatus.GONE:
                    state[item.record.key] = item.record
    keys = {kind: [key for key in state if key.kind is kind] for kind in RecordKind}
    return (
        {key.id for key in keys[RecordKind.PERSON]},
        {key.id for key in keys[RecordKind.GROUP]},
        {(key.id, key.member) for key in keys[RecordKind.MEMBERSHIP]},
    )


def run(feed: ReplayedFeed, steps: list[Step], **fixed: Any) -> Oracle | None:
    """Publish the steps in the order of their days, and return the oracle of the last one that could be published.

    Args:
        fixed: settings that no step changes; nor does any change the target's name and owner.
    """
    first = feed.target.settings
    oracle: Oracle | None = None
    now = datetime.min.replace(tzinfo=UTC)
    for facts, day, changed in sorted(steps, key=lambda step: step[1]):
        if changed is not None:
            feed.target.set(msgspec.structs.replace(changed, name=first.name, owner=first.owner, **fixed))
        feed.owner = OwnerState(facts.owner.orgnr if facts.owner is not None else None)
        now = datetime.combine(day, time(10), UTC)
        if feed.row.state == "waiting" and valid_orgnr(feed.owner.registered, feed.target.settings) is not None:
            feed.publish_first(facts, now)
        elif feed.row.state == "ok":
            feed.publish(facts, now)
            feed.snapshot_if_due(now)
        else:
            continue
        published = MemoryView(facts, feed.target).published_ids(facts.persons, facts.groups)
        oracle = Oracle(facts, feed.row.settings, day, published.persons, published.groups)
    if oracle is not None:
        feed.finish(now)
    return oracle


@settings(max_examples=60, deadline=None)
@given(
    first=TARGETS,
    steps=st.lists(st.tuples(FACTS, DAYS, TARGETS | st.none()), min_size=1, max_size=4),
)
def test_an_importer_knows_exactly_the_records_of_the_rules(first: TargetSettings, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as root:
        feed = ReplayedFeed(1, first, Path(root), holds=False)
        oracle = run(feed, steps)
        if oracle is None:
            return
        folder = Path(root) / "100000008" / first.name
        reconciliation = verify_folder(folder)
        assert reconciliation.problems == [], "digests, chain, schema, and snapshot + deltas = next snapshot"
        assert known(folder) == should_be_known(oracle)


@settings(max_examples=60, deadline=None)
@given(
    first=TARGETS,
    steps=st.lists(st.tuples(FACTS, DAYS, TARGETS | st.none()), min_size=2, max_size=4),
)
def test_with_holds_an_importer_differs_only_for_waiting_persons(first: TargetSettings, steps: list[Step]) -> None:
    tight: dict[str, Any] = {"accept_initial": True, "hold_day_persons": 1, "hold_day_id_changes": 0}
    with tempfile.TemporaryDirectory() as root:
        feed = ReplayedFeed(1, msgspec.structs.replace(first, **tight), Path(root))
        oracle = run(feed, steps, **tight)
        if oracle is None:
            return
        folder = Path(root) / "100000008" / first.name
        assert verify_folder(folder).problems == [], "snapshot + deltas = next snapshot"
        waiting = feed.target.waiting
        published_ids = MemoryView(oracle.facts, feed.target).published(Scope(sorted(waiting.persons), [])).person_ids
        ids = {published_ids.get(number) for number in waiting.persons}
        ids |= {oracle.person_id(person) for person in oracle.facts.persons.values() if person.id in waiting.persons}
        published, right = known(folder), should_be_known(oracle)
        assert published[0] ^ right[0] <= ids
        assert published[1] ^ right[1] <= waiting.groups.keys()
        assert {member for _, member in published[2] ^ right[2]} <= ids
