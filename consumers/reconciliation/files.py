"""The first check of a reconciliation: the last snapshot is the one before and the deltas between, from files alone."""

from pathlib import Path

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.feed.feed_directory import verify_step_in
from consumers.published import recorded_files
from consumers.reconciliation import results_store
from consumers.reconciliation.results_store import Checked, done


def check_files(connection: Connection, root: Path, target: TargetRow) -> Checked:
    """Verify the last step of a target's feed.

    A file that is not what was recorded cannot be fixed from here: it is not touched, and a person must look. Where
    all files are whole and yet do not add up, ``broken_at`` names the snapshot.
    """
    folder = root / (target.position.orgnr or "") / target.settings.name
    while True:
        earlier, later = results_store.last_two_snapshots(connection, target.target_id)
        if later is None:
            return results_store.not_done("files", "there is no snapshot yet", skipped=True)
        after = (earlier or later).seq
        deltas = [entry for entry in recorded_files.deltas(connection, target.target_id) if entry.seq > after]
        verification = verify_step_in(folder, earlier, later, deltas)
        # What is past its time is removed at any moment, and a snapshot may be added.
        if (earlier, later) == results_store.last_two_snapshots(connection, target.target_id):
            break
    if verification.damaged:
        return done("files", verification.damaged)
    # A new epoch would have the same inconsistencies; the comparison with the rules finds them, and repairs them.
    return msgspec.structs.replace(
        done("files", verification.differences), broken_at=later.path if verification.differences else None
    )
