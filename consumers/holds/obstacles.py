"""Why a target publishes nothing now, from its row and its open holds."""

from collections.abc import Iterable

from consumers.database.targets_table import TargetRow
from consumers.holds.open_holds import Hold
from ims.holds.losses import Cause
from ims.reports.states import FirstHold, Situation, obstacle_of
from ims.targets.target_settings import TargetSettings


def obstacle_at(target: TargetRow, holds: Iterable[Hold], settings: TargetSettings | None = None) -> Situation | None:
    """Return why *target* publishes nothing, or ``None`` if it does.

    Args:
        target: its row, as just read.
        holds: its open holds.
        settings: other settings than those in force, to know what they would do.
    """
    first = next((one for one in holds if one.cause is Cause.INITIAL), None)
    return obstacle_of(
        settings or target.settings,
        registered=target.owner.registered,
        arriving=target.owner.open,
        orgnr=target.position.orgnr,
        published=target.position.head_seq is not None,
        halt_reason=target.position.halt_reason,
        hold=None
        if first is None
        else FirstHold(first.hold_id, first.began_at, first.state == "rejected", first.state == "approved"),
    )
