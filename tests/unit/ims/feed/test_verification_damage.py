"""Every way in which a feed can be damaged, and what its verification says."""

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


def say_a_wrong_head(feed: MemoryFeed) -> None:
    feed.change_manifest(head_seq=4)


def say_a_head_behind_the_snapshot(feed: MemoryFeed) -> None:
    feed.change_manifest(head_seq=1, deltas=feed.entries[:1])


def say_a_wrong_oldest_delta(feed: MemoryFeed) -> None:
    feed.change_manifest(oldest_delta_seq=2)


def say_a_wrong_size(feed: MemoryFeed) -> None:
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], size=1)
    feed.change_manifest(deltas=feed.entries)


def say_a_wrong_path(feed: MemoryFeed) -> None:
    feed.files["deltas/01.xml"] = feed.files["deltas/1.xml"]
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], path="deltas/01.xml")
    feed.change_manifest(deltas=feed.entries)


def say_a_wrong_path_of_the_snapshot(feed: MemoryFeed) -> None:
    snapshot = decode(feed.files[MANIFEST]).snapshot
    feed.files["snapshots/latest.xml"] = feed.files[SECOND]
    feed.change_manifest(snapshot=msgspec.structs.replace(snapshot, path="snapshots/latest.xml"))


def say_wrong_counts_of_a_delta(feed: MemoryFeed) -> None:
    feed.entries[0] = msgspec.structs.replace(feed.entries[0], counts=feed.entries[2].counts)
    feed.change_manifest(deltas=feed.entries)


def say_wrong_counts_of_the_snapshot(feed: MemoryFeed) -> None:
    snapshot = decode(feed.files[MANIFEST]).snapshot
    feed.change_manifest(snapshot=msgspec.structs.replace(snapshot, counts=Totals(1, 1, 1)))


def change_a_record_in_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[FIRST] = feed.files[FIRST].replace(b"<short>B1", b"<short>B2")


def leave_a_member_out_of_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(BO_LEARNS).encode(), b"")


def put_a_person_into_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(b"  <group>", fragment(STRANGER).encode() + b"  <group>")


def put_a_person_twice_into_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(b"  <group>", fragment(BO).encode() + b"  <group>")


def leave_a_group_out_of_the_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(B1).encode(), b"")


def leave_a_person_out_of_the_snapshot(feed: MemoryFeed) -> None:
    feed.files[SECOND] = feed.files[SECOND].replace(fragment(BO).encode(), b"")


def put_a_delta_in_the_place_of_a_snapshot(feed: MemoryFeed) -> None:
    feed.files[FIRST] = feed.files["deltas/1.xml"]


def put_a_snapshot_in_the_place_of_a_delta(feed: MemoryFeed) -> None:
    feed.replace_delta(3, feed.files[FIRST])


def remove_a_stranger_after_the_last_snapshot(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.GONE, STRANGER)]))


def add_a_person_twice_after_the_last_snapshot(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.NEW, BO)]))


def remove_a_person_with_memberships(feed: MemoryFeed) -> None:
    feed.replace_delta(3, delta_of([(RecStatus.GONE, BO)]))


def put_the_persons_of_a_snapshot_out_of_order(feed: MemoryFeed) -> None:
    anna, bo = fragment(ANNA).encode(), fragment(BO).encode()
    feed.files[SECOND] = feed.files[SECOND].replace(anna + bo, bo + anna)


def write_a_delta_against_the_schema(feed: MemoryFeed) -> None:
    feed.replace_delta(1, feed.files["deltas/1.xml"].replace(b"    <member>\n", b'    <member id="01810012345">\n'))


def write_a_snapshot_against_the_schema(feed: MemoryFeed) -> None:
    person, group = fragment(ANNA).encode(), fragment(B1).encode()
    feed.files[FIRST] = feed.files[FIRST].replace(person + group, group + person)


def lose_the_manifest(feed: MemoryFeed) -> None:
    del feed.files[MANIFEST]


def spoil_the_manifest(feed: MemoryFeed) -> None:
    feed.files[MANIFEST] = b"{}"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (flip_a_byte_of_a_delta, "deltas/2.xml: its digest is not that in manifest.json"),
        (flip_a_byte_of_the_snapshot, f"{SECOND}: its digest is not that in manifest.json"),
        (shorten_a_delta, "deltas/3.xml: has"),
        (lose_a_delta_file, "deltas/2.xml: is not there, but named in manifest.json"),
        (lose_the_snapshot_file, f"{SECOND}: is not there, but named in manifest.json"),
        (drop_a_delta_from_the_manifest, "manifest.json: delta 3 follows delta 1"),
        (drop_a_delta_from_the_manifest, "deltas/2.xml: is needed after a snapshot that is kept"),
        (drop_the_first_delta_from_the_manifest, "deltas/1.xml: is needed after a snapshot that is kept"),
        (drop_the_last_delta_from_the_manifest, "manifest.json: head_seq 3"),
        (reorder_the_deltas, "manifest.json: delta 3 follows delta 1"),
        (swap_the_files_of_two_deltas, "deltas/2.xml: its counts in manifest.json are not those of the file"),
        (break_the_chain, "deltas/2.xml: prev_sha256 is not the digest of the delta before"),
        (break_the_chain_from_the_first_snapshot, "deltas/1.xml: prev_sha256 is not the digest of a snapshot"),
        (say_a_wrong_head, "manifest.json: head_seq 4"),
        (say_a_head_behind_the_snapshot, "manifest.json: head_seq 1"),
        (say_a_wrong_oldest_delta, "manifest.json: oldest_delta_seq is not 1"),
        (say_a_wrong_size, "deltas/1.xml: has"),
        (say_a_wrong_path, "manifest.json: the path of delta 1 is not that of its seq"),
        (say_a_wrong_path_of_the_snapshot, "manifest.json: the snapshot's path"),
        (say_wrong_counts_of_a_delta, "deltas/1.xml: its counts in manifest.json are not those of the file"),
        (say_wrong_counts_of_the_snapshot, "manifest.json: the snapshot's counts are not those of the file"),
        (change_a_record_in_a_snapshot, f"{SECOND}: 1 x a group record is not as the earlier snapshot"),
        (leave_a_member_out_of_a_snapshot, f"{SECOND}: 1 x a membership record is missing"),
        (put_a_person_into_a_snapshot, f"{SECOND}: 1 x a person record is there that"),
        (put_a_person_twice_into_a_snapshot, f"{SECOND}: 1 x a record occurs twice"),
        (leave_a_group_out_of_the_snapshot, f"{SECOND}: 2 x a membership of a group that is not there"),
        (leave_a_person_out_of_the_snapshot, f"{SECOND}: 1 x a membership of a person who is not there"),
        (put_a_delta_in_the_place_of_a_snapshot, f"{FIRST}: its type is delta, not full"),
        (put_a_snapshot_in_the_place_of_a_delta, "deltas/3.xml: its type is full, not delta"),
        (
            remove_a_stranger_after_the_last_snapshot,
            "deltas/3.xml: 1 x a person record is removed (3) but was not there",
        ),
        (add_a_person_twice_after_the_last_snapshot, "deltas/3.xml: 1 x a person record is new (1) but was there"),
        (remove_a_person_with_memberships, "deltas/3.xml: 1 x a membership of a person who is not there"),
        (put_the_persons_of_a_snapshot_out_of_order, f"{SECOND}: a person record is not in the order of the keys"),
        (write_a_delta_against_the_schema, "deltas/1.xml: line 14: <member> has a wrong attribute"),
        (write_a_snapshot_against_the_schema, f"{FIRST}: line 28: <person> does not belong here"),
        (lose_the_manifest, "manifest.json: is not there"),
        (spoil_the_manifest, "manifest.json cannot be read"),
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
