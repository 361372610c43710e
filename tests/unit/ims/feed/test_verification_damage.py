"""Every way in which a feed can be damaged, and the problem that the verification reports."""

from collections.abc import Callable

import msgspec
import pytest

from ims.feed.manifest import MANIFEST, Totals, decode
from ims.records.vocabulary import RecStatus
from ims.xml.writer import fragment
from tests.support.memory.feed import ANNA, B1, BO, BO_LEARNS, FIRST, SECOND, MemoryFeed, a_feed, delta_of

STRANGER = msgspec.structs.replace(BO, id="1003")


def flip_a_byte_of_a_delta(feed: MemoryFeed) -> None:
    feed.files["deltas/2.xml"] = feed.files["deltas/2.xml"].replace(b"Bo", b"Ba", 1)


def flip_a_byte_of_the_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(b"Anna", b"Anne", 1)


def shorten_a_delta(feed: MemoryFeed) -> None:
    feed.files["deltas/3.xml"] = feed.files["deltas/3.xml"][:-20]


def lose_a_delta_file(feed: MemoryFeed) -> None:
    del feed.files["deltas/2.xml"]


def lose_the_snapshot_file(feed: MemoryFeed) -> None:
    del feed.files[SECOND]


def drop_a_delta_from_the_manifest(feed: MemoryFeed) -> None:
    feed.change_manifest(deltas=[feed.entries[0], feed.entries[2]])


def drop_the_first_delta_from_the_manifest(feed: MemoryFeed) -> None:
    feed.change_manifest(deltas=feed.entries[1:], oldest_delta_seq=2)


def drop_the_last_delta_from_the_manifest(feed: MemoryFeed) -> None:
    feed.change_manifest(deltas=feed.entries[:2])


def reorder_the_deltas(feed: MemoryFeed) -> None:
    feed.change_manifest(deltas=[feed.entries[0], feed.entries[2], feed.entries[1]])


def swap_the_files_of_two_deltas(feed: MemoryFeed) -> None:
    first, second = feed.files["deltas/1.xml"], feed.files["deltas/2.xml"]
    feed.replace_delta(1, second)
    feed.replace_delta(2, first)


def break_the_chain(feed: MemoryFeed) -> None:
    feed.entries[1] = msgspec.structs.replace(feed.entries[1], prev_sha256="0" * 64)
    feed.change_manifest(deltas=feed.entries)


def break_the_chain_from_the_first_snapshot(feed: MemoryFeed) -> None:
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], prev_sha256="0" * 64)
    feed.change_manifest(deltas=feed.entries)


def state_a_wrong_head(feed: MemoryFeed) -> None:
    feed.change_manifest(head_seq=4)


def state_a_head_behind_the_snapshot(feed: MemoryFeed) -> None:
    feed.change_manifest(head_seq=1, deltas=feed.entries[:1])


def state_a_wrong_oldest_delta(feed: MemoryFeed) -> None:
    feed.change_manifest(oldest_delta_seq=2)


def state_a_wrong_size(feed: MemoryFeed) -> None:
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], size=1)
    feed.change_manifest(deltas=feed.entries)


def state_a_wrong_path(feed: MemoryFeed) -> None:
    feed.files["deltas/01.xml"] = feed.files["deltas/1.xml"]
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], path="deltas/01.xml")
    feed.change_manifest(deltas=feed.entries)


def state_a_wrong_path_of_the_snapshot(feed: MemoryFeed) -> None:
    snapshot = decode(feed.files[MANIFEST]).snapshot
    feed.files["snapshots/latest.xml"] = feed.files[SECOND]
    feed.change_manifest(snapshot=msgspec.structs.replace(snapshot, path="snapshots/latest.xml"))


def state_wrong_counts_of_a_delta(feed: MemoryFeed) -> None:
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], counts=feed.entries[2].counts)
    feed.change_manifest(deltas=feed.entries)


def state_wrong_counts_of_the_snapshot(feed: MemoryFeed) -> None:
    snapshot = decode(feed.files[MANIFEST]).snapshot
    feed.change_manifest(snapshot=msgspec.structs.replace(snapshot, counts=Totals(1, 1, 1)))


def change_a_record_in_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[FIRST] = feed.files[FIRST].replace(b"<short>B1", b"<short>B2")


def remove_a_member_from_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(BO_LEARNS).encode(), b"")


def add_a_person_to_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(b"  <group>", fragment(STRANGER).encode() + b"  <group>")


def repeat_a_person_in_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(b"  <group>", fragment(BO).encode() + b"  <group>")


def remove_a_group_from_the_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(B1).encode(), b"")


def remove_a_person_from_the_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(BO).encode(), b"")


def replace_a_snapshot_by_a_delta(feed: MemoryFeed) -> None:
    feed.files[FIRST] = feed.files["deltas/1.xml"]


def replace_a_delta_by_a_snapshot(feed: MemoryFeed) -> None:
    feed.replace_delta(3, feed.files[FIRST])


def remove_a_stranger_after_the_last_snapshot(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.GONE, STRANGER)]))


def add_a_person_twice_after_the_last_snapshot(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.NEW, BO)]))


def remove_a_person_with_memberships(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.GONE, BO)]))


def reorder_the_persons_of_a_snapshot(feed: MemoryFeed) -> None:
    anna, bo = fragment(ANNA).encode(), fragment(BO).encode()
    feed.files[SECOND] = feed.files[SECOND].replace(anna + bo, bo + anna)


def break_the_schema_in_a_delta(feed: MemoryFeed) -> None:
    feed.replace_delta(1, feed.files["deltas/1.xml"].replace(b"    <member>\n", b'    <member id="01810012345">\n'))


def break_the_schema_in_a_snapshot(feed: MemoryFeed) -> None:
    person, group = fragment(ANNA).encode(), fragment(B1).encode()
    feed.files[FIRST] = feed.files[FIRST].replace(person + group, group + person)


def lose_the_manifest(feed: MemoryFeed) -> None:
    del feed.files[MANIFEST]


def empty_the_manifest(feed: MemoryFeed) -> None:
    feed.files[MANIFEST] = b"{}"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (flip_a_byte_of_a_delta, "deltas/2.xml: its digest differs from the one in manifest.json"),
        (flip_a_byte_of_the_snapshot, f"{SECOND}: its digest differs from the one in manifest.json"),
        (shorten_a_delta, "deltas/3.xml: has"),
        (lose_a_delta_file, "deltas/2.xml: is missing, but listed in manifest.json"),
        (lose_the_snapshot_file, f"{SECOND}: is missing, but listed in manifest.json"),
        (drop_a_delta_from_the_manifest, "manifest.json: delta 3 follows delta 1"),
        (drop_a_delta_from_the_manifest, "deltas/2.xml: is needed after a kept snapshot"),
        (drop_the_first_delta_from_the_manifest, "deltas/1.xml: is needed after a kept snapshot"),
        (drop_the_last_delta_from_the_manifest, "manifest.json: head_seq 3"),
        (reorder_the_deltas, "manifest.json: delta 3 follows delta 1"),
        (swap_the_files_of_two_deltas, "deltas/2.xml: its counts differ from those in manifest.json"),
        (break_the_chain, "deltas/2.xml: prev_sha256 is not the digest of the previous delta"),
        (break_the_chain_from_the_first_snapshot, "deltas/1.xml: prev_sha256 is not the digest of any snapshot"),
        (state_a_wrong_head, "manifest.json: head_seq 4"),
        (state_a_head_behind_the_snapshot, "manifest.json: head_seq 1"),
        (state_a_wrong_oldest_delta, "manifest.json: oldest_delta_seq is 2, but its oldest delta is 1"),
        (state_a_wrong_size, "deltas/1.xml: has"),
        (state_a_wrong_path, "manifest.json: the path of delta 1 does not match its seq"),
        (state_a_wrong_path_of_the_snapshot, "manifest.json: the snapshot's path"),
        (state_wrong_counts_of_a_delta, "deltas/1.xml: its counts differ from those in manifest.json"),
        (state_wrong_counts_of_the_snapshot, "manifest.json: the snapshot's counts differ from those of the file"),
        (change_a_record_in_a_snapshot, f"{SECOND}: 1 x a group record differs from what the"),
        (
            remove_a_member_from_a_snapshot,
            f"{SECOND}: 1 x a membership record that the earlier snapshot and deltas give is",
        ),
        (add_a_person_to_a_snapshot, f"{SECOND}: 1 x a person record that the earlier snapshot and deltas do not"),
        (repeat_a_person_in_a_snapshot, f"{SECOND}: 1 x a duplicate record"),
        (remove_a_group_from_the_snapshot, f"{SECOND}: 2 x a membership whose group is missing"),
        (remove_a_person_from_the_snapshot, f"{SECOND}: 1 x a membership whose person is missing"),
        (replace_a_snapshot_by_a_delta, f"{FIRST}: its type is delta, not full"),
        (replace_a_delta_by_a_snapshot, "deltas/3.xml: its type is full, not delta"),
        (remove_a_stranger_after_the_last_snapshot, "deltas/3.xml: 1 x a removed (3) person record that did not exist"),
        (add_a_person_twice_after_the_last_snapshot, "deltas/3.xml: 1 x a new (1) person record that already existed"),
        (remove_a_person_with_memberships, "deltas/3.xml: 1 x a membership whose person is missing"),
        (reorder_the_persons_of_a_snapshot, f"{SECOND}: a person record is out of order"),
        (break_the_schema_in_a_delta, "deltas/1.xml: line 14: <member> has a wrong attribute"),
        (break_the_schema_in_a_snapshot, f"{FIRST}: line 28: <person> does not belong here"),
        (lose_the_manifest, "manifest.json: is missing"),
        (empty_the_manifest, "manifest.json cannot be read"),
    ],
)
def test_damage_is_found(damage: Callable[[MemoryFeed], None], problem: str) -> None:
    feed = a_feed()
    before = dict(feed.files)
    damage(feed)
    assert feed.files != before
    problems = feed.verify().problems
    assert any(found.startswith(problem) for found in problems), problems
    assert ANNA.id not in str(problems)
