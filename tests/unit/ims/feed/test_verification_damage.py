"""Every way in which a feed can be damaged, and what the proof says about it."""

from collections.abc import Callable

import msgspec
import pytest

from ims.feed.manifest import MANIFEST, Totals, decode
from ims.xml.writer import fragment
from tests.unit.ims.feed.test_verification import ANNA, B1, BO, BO_LEARNS, FIRST, SECOND, Folder, a_folder


def flip_a_byte_of_a_delta(folder: Folder) -> None:
    folder.files["deltas/2.xml"] = folder.files["deltas/2.xml"].replace(b"Bo", b"Ba", 1)


def flip_a_byte_of_the_snapshot(folder: Folder) -> None:
    folder.files[SECOND] = folder.files[SECOND].replace(b"Anna", b"Anne", 1)


def shorten_a_delta(folder: Folder) -> None:
    folder.files["deltas/3.xml"] = folder.files["deltas/3.xml"][:-20]


def lose_a_delta_file(folder: Folder) -> None:
    del folder.files["deltas/2.xml"]


def lose_the_snapshot_file(folder: Folder) -> None:
    del folder.files[SECOND]


def drop_a_delta_from_the_manifest(folder: Folder) -> None:
    folder.change_manifest(deltas=[folder.entries[0], folder.entries[2]])


def drop_the_first_delta_from_the_manifest(folder: Folder) -> None:
    folder.change_manifest(deltas=folder.entries[1:], oldest_delta_seq=2)


def drop_the_last_delta_from_the_manifest(folder: Folder) -> None:
    folder.change_manifest(deltas=folder.entries[:2])


def reorder_the_deltas(folder: Folder) -> None:
    folder.change_manifest(deltas=[folder.entries[0], folder.entries[2], folder.entries[1]])


def swap_the_files_of_two_deltas(folder: Folder) -> None:
    first, second = folder.files["deltas/1.xml"], folder.files["deltas/2.xml"]
    folder.replace_delta(1, second)
    folder.replace_delta(2, first)


def break_the_chain(folder: Folder) -> None:
    folder.entries[1] = msgspec.structs.replace(folder.entries[1], prev_sha256="0" * 64)
    folder.change_manifest(deltas=folder.entries)


def break_the_chain_from_the_first_snapshot(folder: Folder) -> None:
    folder.entries[0] = msgspec.structs.replace(folder.entries[0], prev_sha256="0" * 64)
    folder.change_manifest(deltas=folder.entries)


def say_a_wrong_head(folder: Folder) -> None:
    folder.change_manifest(head_seq=4)


def say_a_head_behind_the_snapshot(folder: Folder) -> None:
    folder.change_manifest(head_seq=1, deltas=folder.entries[:1])


def say_a_wrong_oldest_delta(folder: Folder) -> None:
    folder.change_manifest(oldest_delta_seq=2)


def say_a_wrong_size(folder: Folder) -> None:
    folder.entries[0] = msgspec.structs.replace(folder.entries[0], size=1)
    folder.change_manifest(deltas=folder.entries)


def say_a_wrong_path(folder: Folder) -> None:
    folder.files["deltas/01.xml"] = folder.files["deltas/1.xml"]
    folder.entries[0] = msgspec.structs.replace(folder.entries[0], path="deltas/01.xml")
    folder.change_manifest(deltas=folder.entries)


def say_a_wrong_path_of_the_snapshot(folder: Folder) -> None:
    snapshot = decode(folder.files[MANIFEST]).snapshot
    folder.files["snapshots/latest.xml"] = folder.files[SECOND]
    folder.change_manifest(snapshot=msgspec.structs.replace(snapshot, path="snapshots/latest.xml"))


def say_wrong_counts_of_a_delta(folder: Folder) -> None:
    folder.entries[0] = msgspec.structs.replace(folder.entries[0], counts=folder.entries[2].counts)
    folder.change_manifest(deltas=folder.entries)


def say_wrong_counts_of_the_snapshot(folder: Folder) -> None:
    snapshot = decode(folder.files[MANIFEST]).snapshot
    folder.change_manifest(snapshot=msgspec.structs.replace(snapshot, counts=Totals(1, 1, 1)))


def tell_a_record_otherwise_in_a_snapshot(folder: Folder) -> None:
    folder.files[FIRST] = folder.files[FIRST].replace(b"<short>B1", b"<short>B2")


def leave_a_member_out_of_a_snapshot(folder: Folder) -> None:
    folder.files[SECOND] = folder.files[SECOND].replace(fragment(BO_LEARNS).encode(), b"")


def put_a_person_into_a_snapshot(folder: Folder) -> None:
    stranger = fragment(msgspec.structs.replace(BO, id="1003")).encode()
    folder.files[SECOND] = folder.files[SECOND].replace(b"  <group>", stranger + b"  <group>")


def put_a_person_twice_into_a_snapshot(folder: Folder) -> None:
    folder.files[SECOND] = folder.files[SECOND].replace(b"  <group>", fragment(BO).encode() + b"  <group>")


def leave_a_group_out_of_the_snapshot(folder: Folder) -> None:
    folder.files[SECOND] = folder.files[SECOND].replace(fragment(B1).encode(), b"")


def leave_a_person_out_of_the_snapshot(folder: Folder) -> None:
    folder.files[SECOND] = folder.files[SECOND].replace(fragment(BO).encode(), b"")


def put_a_delta_in_the_place_of_a_snapshot(folder: Folder) -> None:
    folder.files[FIRST] = folder.files["deltas/1.xml"]


def put_a_snapshot_in_the_place_of_a_delta(folder: Folder) -> None:
    folder.replace_delta(3, folder.files[FIRST])


def write_a_delta_against_the_schema(folder: Folder) -> None:
    folder.replace_delta(1, folder.files["deltas/1.xml"].replace(b"    <member>\n", b'    <member id="01810012345">\n'))


def write_a_snapshot_against_the_schema(folder: Folder) -> None:
    person, group = fragment(ANNA).encode(), fragment(B1).encode()
    folder.files[FIRST] = folder.files[FIRST].replace(person + group, group + person)


def lose_the_manifest(folder: Folder) -> None:
    del folder.files[MANIFEST]


def spoil_the_manifest(folder: Folder) -> None:
    folder.files[MANIFEST] = b"{}"


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
        (tell_a_record_otherwise_in_a_snapshot, f"{SECOND}: 1 x a group record is not as the snapshot and"),
        (leave_a_member_out_of_a_snapshot, f"{SECOND}: 1 x a membership record is missing"),
        (put_a_person_into_a_snapshot, f"{SECOND}: 1 x a person record is there that"),
        (put_a_person_twice_into_a_snapshot, f"{SECOND}: 1 x a record stands twice"),
        (leave_a_group_out_of_the_snapshot, f"{SECOND}: 2 x a membership of a group that is not there"),
        (leave_a_person_out_of_the_snapshot, f"{SECOND}: 1 x a membership of a person who is not there"),
        (put_a_delta_in_the_place_of_a_snapshot, f"{FIRST}: its type is delta, not full"),
        (put_a_snapshot_in_the_place_of_a_delta, "deltas/3.xml: its type is full, not delta"),
        (write_a_delta_against_the_schema, "deltas/1.xml: line 14: <member> has a wrong attribute"),
        (write_a_snapshot_against_the_schema, f"{FIRST}: line 28: <person> does not belong here"),
        (lose_the_manifest, "manifest.json: is not there"),
        (spoil_the_manifest, "manifest.json cannot be read"),
    ],
)
def test_damage_is_found(damage: Callable[[Folder], None], problem: str) -> None:
    folder = a_folder()
    before = dict(folder.files)
    damage(folder)
    assert folder.files != before
    problems = folder.verify().problems
    assert any(found.startswith(problem) for found in problems), problems
    assert ANNA.id not in str(problems)
