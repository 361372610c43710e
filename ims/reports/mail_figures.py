"""What the mails to case workers are about: the figures of a target, and the ways in which it fails."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from ims.feed.manifest import Counts, Totals
from ims.reports.hold_texts import HeldFigure
from ims.reports.states import Situation
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning


class Failure(StrEnum):
    """Why a target fails: its importer misses changes until an operator or case worker acts."""

    STALE = "stale"
    """Nothing is published until its cause is fixed (:class:`ims.reports.states.Obstacle`)."""
    FEED_BROKEN = "feed_broken"
    """A file of the feed contradicts what was recorded about it."""
    NOT_UPDATED = "not_updated"
    """The feed could not be brought up to date: a full disk, a missing right, or an error in imsfeed."""
    FOLDER_TAKEN = "folder_taken"
    """The target's folder belongs to another target."""
    SNAPSHOT_MISSING = "snapshot_missing"
    """The daily snapshot is late, or missing when the importer reads."""
    MANY_PROTECTED = "many_protected"
    """Unusually many persons were removed in a day because they are protected: right for each, if it is no mistake."""


class ExcludedCount(NamedTuple):
    """How many persons and groups are excluded for a reason."""

    reason: Reason
    persons: int
    groups: int


class WarnedCount(msgspec.Struct, frozen=True):
    """How many persons and groups are exported with a warning."""

    warning: RecordWarning
    count: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a daily mail.

    Attributes:
        owner: the school owner's name.
        situation: why nothing is published, or ``None`` if the target publishes.
        published: how many records are in the feed.
        last_day: how many records the deltas of the last 24 hours added, changed and removed.
        quarantined: messages from the administration system that could not be applied, of all owners.
        failures: why the target fails now, if it does.
        short_notice: the snapshot is made less than an hour before the importer reads it.
        link: where the report is.
        holds: what waits for an approval, except what was rejected.
        warned: what should be corrected about persons and groups that are exported.
    """

    target: str
    owner: str
    published: Totals
    last_day: Counts
    excluded: tuple[ExcludedCount, ...]
    quarantined: int
    failures: tuple[Failure, ...]
    short_notice: bool
    link: str | None
    holds: tuple[HeldFigure, ...] = ()
    situation: Situation | None = None
    warned: tuple[WarnedCount, ...] = ()
