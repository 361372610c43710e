"""The situation in which each planted bug shows, as a scenario with real processes.

A scenario returns what is wrong in the end: nothing without the bug, something with it.
"""

from collections.abc import Callable
from typing import Final

from tests.chaos.planted_bugs.scene import LEARNER, Scene
from tests.support.waiting import until

Scenario = Callable[[Scene], list[str]]

_ORIGINAL: Final = "as importers have read it"


def kafka_has_nothing_yet(scene: Scene) -> list[str]:
    """Kill capture when Kafka's client has everything and Kafka nothing."""
    scene.stop("capture")
    scene.owner.move(LEARNER, 1, 3)
    scene.start_planted("capture", "no_heartbeat", "kafka_takes_its_time")
    scene.await_metric("capture", "imsfeed_publish_attempts_total", 2)
    scene.await_report()
    scene.await_report()
    scene.kill("capture")
    scene.start("capture")
    return scene.capture_refuses() or scene.moved()


def sent_again(scene: Scene) -> list[str]:
    """Let capture send everything again that it had not confirmed, and apply that one message at a time."""
    scene.stop("capture", "materialize")
    scene.join_and_leave()
    scene.start("capture", FAILPOINT="capture.before_confirm:2")
    scene.dies("capture")
    scene.start("materialize")
    scene.await_name(LEARNER, 2)
    scene.stop("materialize")
    end = scene.source("select pg_current_wal_lsn()::text from pg_replication_slots where slot_name = %s")
    scene.start("capture")
    until(lambda: scene.slot_has_passed(end), what=f"everything was sent again; {scene.owner.logs()}")
    scene.start_planted("materialize", BATCH_LIMIT="1", FAILPOINT="materialize.committed")
    scene.dies("materialize")
    scene.await_no_pending_change()
    scene.start("materialize")
    scene.await_all_published()
    return scene.never_published()


def two_materializers(scene: Scene) -> list[str]:
    """Wake a paused materialize before messages that another one has applied long ago."""
    scene.stop("materialize")
    scene.installation.write(scene.owner.named(4, 2))
    scene.join_and_leave()
    pausing = {"PAUSE_AT": "materialize.committed", "FAILPOINT": "materialize.committed", "BATCH_LIMIT": "1"}
    scene.start_planted("zombie", command=("materialize",), **pausing)
    scene.pauses("zombie")
    scene.start("materialize")
    scene.await_all_published()
    scene.wake("zombie")
    scene.await_metric_or_end("zombie", "imsfeed_fencing_rejections_total", 1)
    scene.await_no_pending_change()
    scene.kill("zombie")
    scene.await_all_published()
    return scene.never_published()


def many_rows(scene: Scene) -> list[str]:
    """Apply a transaction of more than one row."""
    scene.stop("materialize")
    scene.owner.move(LEARNER, 1, 3)
    scene.start_planted("materialize")
    scene.await_all_published()
    return scene.moved()


def slot_lost(scene: Scene) -> list[str]:
    """Lose the slot, and remove a person before everything is loaded again."""
    scene.stop("capture")
    scene.source("select pg_drop_replication_slot(%s)::text")
    scene.installation.source.execute(
        "delete from enrolment where (owner_id, person_id) = (%s, %s)", [scene.owner.owner_id, LEARNER]
    )
    scene.request_load()
    scene.start_planted("capture", "no_heartbeat")
    scene.await_all_published()
    left = scene.owner.state("select count(*) from imsfeed.enrolment where owner_id = %s and person_id = 2")
    return [f"{left} enrolment is there that the source does not have"] if left else []


def load_broken_off(scene: Scene) -> list[str]:
    """Kill capture in the middle of a load."""
    scene.stop("capture")
    scene.request_load()
    scene.owner.move(LEARNER, 1, 3)
    scene.start_planted("capture", "no_heartbeat", FAILPOINT="load.sent")
    scene.dies("capture")
    scene.start("capture")
    if refused := scene.capture_refuses():
        return refused
    scene.approve()
    return scene.moved()


def first_half_applied(scene: Scene) -> list[str]:
    """Let compact run when only the first of a move's two rows has been applied."""
    scene.stop("materialize", "compact")
    scene.owner.move(LEARNER, 1, 3)
    scene.start("materialize", BATCH_LIMIT="1", FAILPOINT="materialize.committed")
    scene.dies("materialize")
    checked = scene.checked_at()
    scene.start_planted("compact")
    until(lambda: scene.checked_at() > checked, what=f"compact has made a round; {scene.owner.logs()}")
    scene.start("materialize")
    scene.await_all_published()
    return scene.moved()


def killed_in_a_publication(scene: Scene) -> list[str]:
    """Kill compact before the publication of a delta is committed."""
    scene.stop("compact")
    scene.owner.move(LEARNER, 1, 3)
    scene.await_pending_change()
    scene.start_planted("compact", FAILPOINT="publication.before_commit")
    scene.dies("compact")
    scene.start("compact")
    scene.await_all_published()
    return scene.moved()


def another_file_is_there(scene: Scene) -> list[str]:
    """Put a file there under the next delta's name, which an earlier epoch has left and importers have read."""
    scene.stop("compact")
    file = scene.owner.log.folder / "deltas/1.xml"
    file.write_text(_ORIGINAL)
    file.chmod(0o640)
    scene.owner.move(LEARNER, 1, 3)
    scene.await_pending_change()
    log = scene.installation.log("compact")
    before = log.read_text().count("target failed")
    scene.start_planted("compact")
    until(
        lambda: log.read_text().count("target failed") > before or file.read_text() != _ORIGINAL,
        what="compact meets the file",
    )
    scene.stop("compact")
    if file.read_text() != _ORIGINAL:
        return ["an existing file has changed"]
    file.unlink()
    scene.start("compact")
    scene.await_all_published()
    return scene.moved()


def killed_after_the_manifest(scene: Scene) -> list[str]:
    """Kill compact right after it has written the manifest."""
    scene.stop("compact")
    scene.owner.move(LEARNER, 1, 3)
    scene.await_pending_change()
    scene.start_planted("compact", FAILPOINT=f"manifest.renamed:{scene.targets()}")
    scene.dies("compact")
    if found := scene.owner.log.problems():
        return found
    scene.start("compact")
    scene.await_all_published()
    return scene.moved()


def overtaken_at_the_manifest(scene: Scene) -> list[str]:
    """Pause compact before it replaces the manifest, and wake it when another one has written newer manifests."""
    scene.stop("compact")
    pausing = {"PAUSE_AT": f"manifest.before_rename:{scene.targets()}", "FAILPOINT": "manifest.renamed"}
    scene.start_planted("zombie", "short_timeouts", command=("compact",), **pausing)
    scene.pauses("zombie")
    scene.start("compact")
    scene.owner.move(LEARNER, 1, 3)
    scene.await_all_published()
    head = scene.owner.state("select head_seq from imsfeed.target where owner_id = %s")
    scene.wake("zombie")
    scene.dies("zombie")  # after the first manifest that it writes: this one, or one after a restart of its loop
    manifest = scene.owner.log.manifest()
    found = [] if manifest is not None and manifest.head_seq == head else ["an older manifest took a newer one's place"]
    scene.await_all_published()
    return [*found, *scene.moved()]


def change_in_a_snapshot(scene: Scene) -> list[str]:
    """Publish a change while a snapshot is being written."""
    scene.await_all_published()  # otherwise the snapshot would have the first one's name
    command = ("snapshot", "--now", f"{scene.owner.owner_id}/lms")
    scene.start_planted("snapshot", command=command, PAUSE_AT="snapshot.before_link")
    scene.pauses("snapshot")
    scene.owner.move(LEARNER, 1, 3)
    scene.owner.await_feed(lambda: scene.owner.is_member(LEARNER, 3), "the move")
    scene.wake("snapshot")
    assert scene.installation.await_end("snapshot") == 0, scene.owner.logs()
    return scene.moved()


def paused_in_a_transaction(scene: Scene) -> list[str]:
    """Pause a materialize in the middle of a transaction while another one stands by."""
    scene.stop("materialize")
    scene.owner.move(LEARNER, 1, 3)
    scene.start_planted("zombie", "short_timeouts", command=("materialize",), PAUSE_AT="materialize.before_commit")
    scene.pauses("zombie")
    scene.start("materialize")
    found = []
    try:
        until(lambda: scene.owner.is_member(LEARNER, 3), within=20, what="another one has taken over")
    except AssertionError:
        found = ["the other one could not take over"]
    scene.wake("zombie")
    scene.await_all_published()
    found += [] if scene.runs("zombie") else ["it did not survive the loss of its transaction"]
    scene.kill("zombie")
    return [*found, *scene.moved()]


SCENARIOS: Final[dict[str, Scenario]] = {
    "acknowledged_before_durable": kafka_has_nothing_yet,
    "confirmed_as_received": kafka_has_nothing_yet,
    "everything_is_news": sent_again,
    "ordinal_forgotten": many_rows,
    "offset_not_compared": two_materializers,
    "epoch_not_raised": slot_lost,
    "loaded_too_early": load_broken_off,
    "half_a_transaction": first_half_applied,
    "numbered_outside_the_transaction": killed_in_a_publication,
    "renamed_instead_of_linked": another_file_is_there,
    "manifest_before_its_files": killed_after_the_manifest,
    "manifest_not_fenced": overtaken_at_the_manifest,
    "snapshot_in_two_views": change_in_a_snapshot,
    "no_timeouts": paused_in_a_transaction,
}
