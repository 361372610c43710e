"""A process dies at a failpoint and is started again: nothing is lost, doubled or left half done."""

from collections.abc import Callable

import psycopg
import pytest

from ims.records.vocabulary import RecStatus
from ims.runtime.failpoints import EXIT_CODE, FAILPOINTS
from ims.runtime.settings import Settings
from producers.source import source_setup
from tests.chaos.workload.school_owner import SchoolOwner
from tests.support.waiting import until

HEAD = "select head_seq from imsfeed.target where owner_id = %s"
UNLINKED = (
    "select count(*) from imsfeed.delta join imsfeed.target using (target_id) where owner_id = %s and linked_at is null"
)
PENDING = (
    "select count(*) from imsfeed.pending_change m join imsfeed.target t using (owner_id)"
    " where owner_id = %s and m.change_id > t.changes_through"
)
SNAPSHOTS = "select count(*) from imsfeed.snapshot join imsfeed.target using (target_id) where owner_id = %s"
MOVED = 2
"""The learner who is moved from group 1 to group 3 in the transaction after which a process dies."""


def settings_of(owner: SchoolOwner) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in owner.installation.environment.items()})


def source(owner: SchoolOwner, query: str) -> object:
    row = owner.installation.source.execute(query.encode(), [owner.installation.environment["SOURCE_SLOT"]]).fetchone()
    assert row is not None
    return row[0]


def slot_is_behind(owner: SchoolOwner) -> bool:
    """Return True while the slot's confirmed position is before the last commit."""
    query = "select confirmed_flush_lsn < pg_current_wal_lsn() from pg_replication_slots where slot_name = %s"
    return bool(source(owner, query))


def not_loaded(owner: SchoolOwner) -> bool:
    return source(owner, "select loaded_at is null from imsfeed.capture where slot_name = %s") is True


def announced(owner: SchoolOwner) -> int:
    manifest = owner.log.manifest()
    assert manifest is not None
    return manifest.head_seq


def files(owner: SchoolOwner) -> tuple[int, int]:
    """Return the number of deltas and of snapshots that exist as files."""
    folder = owner.log.folder
    return len(list((folder / "deltas").glob("[!.]*"))), len(list((folder / "snapshots").glob("[!.]*")))


def progress(owner: SchoolOwner) -> tuple[object, object, int, int]:
    """Return the head in the state database, its unlinked deltas, the deltas as files, and the manifest's head."""
    return owner.state(HEAD), owner.state(UNLINKED), files(owner)[0], announced(owner)


LEFT_BEHIND: dict[str, Callable[[SchoolOwner], bool]] = {
    "load.begun": not_loaded,
    "load.sent": not_loaded,
    "load.acknowledged": not_loaded,
    "capture.before_send": slot_is_behind,
    "capture.sent": slot_is_behind,
    "capture.acknowledged": slot_is_behind,
    "capture.before_confirm": slot_is_behind,
    "materialize.before_commit": lambda owner: owner.state(PENDING) == 0,
    "materialize.committed": lambda owner: owner.state(PENDING) > 0,
    "first.before_commit": lambda owner: owner.state(HEAD) is None,
    "first.committed": lambda owner: (owner.state(HEAD), owner.state(SNAPSHOTS)) == (0, 0),
    "snapshot.before_link": lambda owner: (files(owner)[1], owner.state(SNAPSHOTS)) == (1, 1),
    "snapshot.linked": lambda owner: (files(owner)[1], owner.state(SNAPSHOTS)) == (2, 1),
    "snapshot.recorded": lambda owner: (files(owner)[1], owner.state(SNAPSHOTS)) == (2, 2),
    "publication.before_commit": lambda owner: progress(owner) == (0, 0, 0, 0),
    "publication.committed": lambda owner: progress(owner) == (1, 1, 0, 0),
    "delta.before_link": lambda owner: progress(owner) == (1, 1, 0, 0),
    "delta.linked": lambda owner: progress(owner) == (1, 1, 1, 0),
    "manifest.before_rename": lambda owner: progress(owner) == (1, 1, 1, 0),
    "manifest.renamed": lambda owner: progress(owner) == (1, 1, 1, 1),
}
"""What is true when the process has died, which shows that the failpoint is where its name says."""


def die_and_restart(owner: SchoolOwner, name: str, failpoint: str) -> None:
    """Start the process with a failpoint, wait until it has died there, and start it again."""
    installation = owner.installation
    installation.start(name, FAILPOINT=failpoint)
    assert installation.await_end(name) == EXIT_CODE, installation.last_lines()
    point = failpoint.partition(":")[0]
    if point in LEFT_BEHIND:
        assert LEFT_BEHIND[point](owner), f"it died elsewhere: {progress(owner)}"
    installation.start(name)


def move_is_published_once(owner: SchoolOwner) -> None:
    """Wait until the move is published; check that the feed contains it exactly once, in one delta, and no more."""
    owner.await_feed(lambda: owner.is_member(MOVED, 3), "the move is published")
    entries = [owner.log.entries(owner.membership(MOVED, group)) for group in (1, 3)]
    assert entries == [[(1, RecStatus.GONE)], [(1, RecStatus.NEW)]]
    assert owner.log.problems() == []
    assert announced(owner) == 1


@pytest.mark.parametrize(
    "failpoint",
    [
        "capture.before_send",
        "capture.before_send:2",
        "capture.sent",
        "capture.acknowledged",
        "capture.before_confirm:2",
        "capture.confirmed:2",
    ],
)
def test_capture_dies_while_streaming(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.publish()
    owner.installation.stop("capture")
    owner.move(MOVED, 1, 3)
    die_and_restart(owner, "capture", failpoint)
    move_is_published_once(owner)


@pytest.mark.parametrize("failpoint", ["load.begun", "load.sent", "load.sent:9", "load.acknowledged"])
def test_capture_dies_in_an_initial_load(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.publish()
    owner.installation.stop("capture")
    with psycopg.connect(owner.installation.environment["SOURCE_DSN"], autocommit=True) as connection:
        source_setup.apply(connection, settings_of(owner), reload=True)
    owner.move(MOVED, 1, 3)
    die_and_restart(owner, "capture", failpoint)
    owner.approve()
    move_is_published_once(owner)


@pytest.mark.parametrize("failpoint", ["materialize.before_commit", "materialize.committed"])
def test_materialize_dies_around_its_commit(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.publish()
    owner.installation.stop("compact", "materialize")
    owner.move(MOVED, 1, 3)
    die_and_restart(owner, "materialize", failpoint)
    owner.installation.start("compact")
    move_is_published_once(owner)


@pytest.mark.parametrize(
    "failpoint",
    [
        "publication.before_commit",
        "publication.committed",
        "delta.before_link",
        "delta.linked",
        "manifest.before_rename",
        "manifest.renamed",
    ],
)
def test_compact_dies_on_a_deltas_way_to_the_manifest(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.publish()
    owner.installation.stop("compact")
    owner.move(MOVED, 1, 3)
    until(lambda: owner.state(PENDING), what="the move waits to be published")
    # At its start, compact writes every target's manifest; that of this target is the last.
    times = owner.state("select count(*) from imsfeed.target") if failpoint.startswith("manifest") else 1
    die_and_restart(owner, "compact", f"{failpoint}:{times}")
    move_is_published_once(owner)


@pytest.mark.parametrize("failpoint", ["first.before_commit", "first.committed"])
def test_compact_dies_at_a_first_publication(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.installation.stop("compact")
    owner.write()
    until(lambda: owner.state("select count(*) from imsfeed.enrolment where owner_id = %s") == 4, what="facts arrived")
    die_and_restart(owner, "compact", failpoint)
    owner.await_manifest()
    assert owner.log.memberships() == {owner.membership(person, 1) for person in range(1, 5)}
    owner.move(MOVED, 1, 3)
    move_is_published_once(owner)


@pytest.mark.parametrize("failpoint", ["snapshot.before_link", "snapshot.linked", "snapshot.recorded"])
def test_the_snapshot_command_dies_and_is_repeated(an_owner_of_its_own: SchoolOwner, failpoint: str) -> None:
    owner = an_owner_of_its_own
    owner.publish()
    owner.move(MOVED, 1, 3)
    move_is_published_once(owner)
    target = f"{owner.owner_id}/lms"
    owner.installation.imsfeed("snapshot", "--now", target, code=EXIT_CODE, FAILPOINT=failpoint)
    assert LEFT_BEHIND[failpoint](owner), f"it died elsewhere: {files(owner)}, {owner.state(SNAPSHOTS)}"
    owner.installation.imsfeed("snapshot", "--now", target)
    manifest = owner.log.manifest()
    assert manifest is not None
    assert manifest.snapshot.seq == 1
    assert owner.log.problems() == []
    assert files(owner) == (1, 2)


def test_a_process_dies_at_every_failpoint() -> None:
    tests = [value for name, value in globals().items() if name.startswith("test_") and hasattr(value, "pytestmark")]
    tried = {value.partition(":")[0] for test in tests for value in test.pytestmark[0].args[1]}
    assert tried == set(FAILPOINTS)
