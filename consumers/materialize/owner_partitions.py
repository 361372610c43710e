"""Rows that come in another partition than their owner's, because the topic has more partitions than before."""

import msgspec

from consumers.materialize.batch import Outcome, Refused


def without_misplaced(outcome: Outcome, partition: int, partitions: int) -> tuple[Outcome, list[Refused]]:
    """Take the rows of owners that belong to another partition out of *outcome*, and refuse their messages.

    Partitions are read independently. The load of everything that follows a change of their number may have been
    applied in the owner's new partition already, and what is left in the old one is older: it could bring a leaver
    back. The load resolves these messages when it comes to the old partition.

    Producers agree on an owner's partition for numbers from 0 on only, so others are not checked.
    """
    misplaced = {
        row: state
        for row, state in outcome.rows.items()
        if row[1].owner_id >= 0 and row[1].owner_id % partitions != partition
    }
    if not misplaced:
        return outcome, []
    rows = {row: state for row, state in outcome.rows.items() if row not in misplaced}
    refused = [
        Refused(
            state.message,
            "wrong_partition",
            f"owner {key.owner_id} belongs to partition {key.owner_id % partitions} of {partitions}:"
            " the topic has other partitions than before; run `imsfeed resync all`",
        )
        for (_, key), state in misplaced.items()
    ]
    return msgspec.structs.replace(outcome, rows=rows), refused
