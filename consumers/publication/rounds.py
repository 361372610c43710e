"""The rounds of a publication: one, or two if the target's settings have changed.

If they have, the source's changes are published first, with the settings as they were. So the second round shows what
the settings alone take away, which waits for an approval.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Final

import msgspec

from consumers.database.targets_table import FeedPosition, TargetRow
from consumers.facts.pending_changes import Days, Pending, settled
from consumers.publication.gathering import Gatherer, Request
from consumers.publication.view import View
from ims.feed.delta_files import Writing
from ims.holds.losses import Cause
from ims.publication.decision import Decision, decide
from ims.publication.gathered import Format, Terms
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings
from ims.xml.writer import Properties

_FOLLOWING: Final = 10
"""Rounds at most, for the logins of one: two are enough, and more would be a defect."""


class Round(msgspec.Struct, frozen=True):
    """One comparison of the published records with the current ones.

    Attributes:
        cause: as for :func:`ims.publication.decision.decide`.
    """

    terms: Terms
    request: Request
    cause: Cause | None

    def evaluate(self, view: View, position: FeedPosition) -> Decision:
        """Return the decision about what has to be gathered first."""
        gathered = Gatherer(view, self.terms).gather(self.request)
        before = Format(position.source, position.dialect)
        return decide(gathered, self.terms, before, self.cause)

    def writing(self) -> Writing:
        """Return the properties of this round's deltas."""
        settings, request = self.terms.settings, self.request
        properties = Properties(self.terms.source, settings.name, "delta", request.now, settings.dialect)
        tombstones = settings.export_shape == "tombstones"
        oldest = request.changes.oldest_event_at
        return Writing(properties, self.terms.today, oldest, tombstones, settings.profile)

    def following(self, decision: Decision) -> "Round | None":
        """Return the round for the persons whose logins need another delta; ``None`` if there are none.

        It follows at once, in the same transaction: nothing that one delta leaves unfinished is forgotten.
        """
        if not decision.unfinished:
            return None
        changes = msgspec.structs.replace(
            self.request.changes,
            everything=False,
            schools=frozenset(),
            persons=decision.unfinished,
            groups=frozenset(),
        )
        request = Request(changes=changes, held=True, holds=self.request.holds, now=self.request.now)
        return Round(self.terms, request, None)

    def position_after(self, position: FeedPosition) -> FeedPosition:
        """Return the feed's position after this round, apart from its files."""
        return msgspec.structs.replace(
            position,
            source=self.terms.source,
            dialect=self.terms.settings.dialect,
            published_settings=self.terms.settings,
            changes_through=self.request.changes.through,
            dated_through=self.terms.today,
        )


def publish_in_turn(all_rounds: Iterable[Round], publish: Callable[[Round], Decision]) -> None:
    """Publish each round, and those that follow from it.

    Args:
        publish: evaluates a round and stores the decision.
    """
    for first in all_rounds:
        each: Round | None = first
        for _ in range(_FOLLOWING):
            if each is None:
                break
            each = each.following(publish(each))


def rounds(
    row: TargetRow, pending: Pending, explained: Pending, now: datetime, *, everybody: bool = False, holds: bool = True
) -> list[Round]:
    """Return the rounds in which a target is published now; none if there is nothing to compare.

    Args:
        pending: the changes that are taken.
        explained: all pending changes, taken or not: what events have reported.
        everybody: compare all persons and groups, not only those that the changes affect.
        holds: whether anything may wait for an approval.
    """
    maker = _Rounds(row, now, holds=holds)
    before, settings, outstanding = row.position.published_settings, row.settings, row.outstanding
    everybody = everybody or outstanding.recompute or outstanding.repair
    if not outstanding.recompute or before in {None, settings}:
        return maker.of_changes(settings, pending, explained, everybody=everybody)
    assert before is not None  # noqa: S101 - said by the line above
    first = maker.of_changes(before, pending, explained, everybody=True)
    return [*first, maker.of_settings(settings, pending.through, first[0].terms.today)]


class _Rounds:
    """The rounds of one publication, with what they have in common."""

    def __init__(self, row: TargetRow, now: datetime, *, holds: bool) -> None:
        self._row = row
        self._now = now
        self._holds = holds

    def of_changes(
        self, settings: TargetSettings, pending: Pending, explained: Pending, *, everybody: bool
    ) -> list[Round]:
        """Return the round that publishes *pending*, if there is anything to compare."""
        outstanding = self._row.outstanding
        terms, days = self._terms(settings, self._row.position.dated_through)
        everybody = everybody or pending.everything
        if not (everybody or pending or days or outstanding.review):
            return []
        loaded = pending.everything or outstanding.repair
        request = Request(
            changes=pending,
            days=days,
            everybody=everybody,
            explained=explained if loaded else None,
            held=outstanding.held,
            review=outstanding.review,
            holds=self._holds,
            now=self._now,
        )
        return [Round(terms, request, Cause.RESYNC if loaded else None)]

    def of_settings(self, settings: TargetSettings, through: int, dated_through: date) -> Round:
        """Return the second round, in which only the settings have changed."""
        terms, days = self._terms(settings, dated_through)
        changes = settled((), 0, after=through)
        request = Request(changes=changes, days=days, everybody=True, held=True, holds=self._holds, now=self._now)
        return Round(terms, request, Cause.SETTING)

    def _terms(self, settings: TargetSettings, dated_through: date | None) -> tuple[Terms, Days | None]:
        """Return the terms of today, and the days that have passed: none if the clock was set back."""
        today = max(local_day(self._now, settings.zone), dated_through or date.min)
        terms = Terms(settings, self._row.position.orgnr or "", today)
        if dated_through is None or dated_through >= today:
            return terms, None
        return terms, Days(dated_through, today, settings.lead_days, settings.grace_days, settings.login_reserved_days)
