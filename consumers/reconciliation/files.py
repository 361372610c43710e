"""The first check of a reconciliation: the last snapshot is the sum of the one before and the deltas between."""

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

    A file that differs from its record cannot be fixed here: it is left as it is, and an operator must act. If all
    files are intact and yet do not add up, ``broken_at`` names the snapshot.
    """
    folder = root / (target.position.orgnr or "") / target.settings.name
    while True:
        earlier, later = results_store.last_two_snapshots(connection, target.target_id)
        if later is None:
            return results_store.not_done("files", "there is no snapshot yet", skipped=True)
        after = (earlier or later).seq
        deltas = [entry for entry in recorded_files.deltas(connection, target.target_id) if entry.seq > after]
        verification = verify_step_in(folder, earlier, later, deltas)
        # Expired files may be removed, and a snapshot added, at any moment; then the check is unfinished.
        if (earlier, later) == results_store.last_two_snapshots(connection, target.target_id):
            break
    if verification.damaged:
        return done("files", verification.damaged)
    # A new epoch would repeat inconsistencies; the check of the rules finds them and repairs them.
    return msgspec.structs.replace(
        done("files", verification.differences), broken_at=later.path if verification.differences else None
    )
