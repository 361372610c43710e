"""What one process of compact remembers of a target between two steps, and when something is due again."""

from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

import msgspec

from consumers.targets_table import TargetRow

_EXPORT_EVERY: Final = timedelta(seconds=60)
"""Shortest time between two writings of a file at a fixed path, which holds everything every time."""


class Progress(msgspec.Struct):
    """What a process remembers of a target: the manifest and the file at the fixed path that it wrote last."""

    manifest_at: datetime | None = None
    manifest_state: str | None = None
    exported_at: datetime | None = None
    exported_seq: int | None = None
    writing: Future[bool] | None = None
    failed_at: datetime | None = None


def passed(since: datetime | None, time: timedelta, now: datetime) -> bool:
    """Whether so much time has passed; a clock that was set back counts as that, or nothing would happen for long."""
    return since is None or now < since or now - since >= time


def export_is_due(target: TargetRow, progress: Progress, now: datetime) -> bool:
    """Whether the file at the target's fixed path is behind, and may be written again."""
    return (
        target.settings.export_path is not None
        and target.head_seq != progress.exported_seq
        and passed(progress.exported_at, _EXPORT_EVERY, now)
    )
