"""A replay: it makes feeds from a file of change events, without Kafka or PostgreSQL.

The rules and the writers are those of production, but the clock follows the file. It goes from one moment at which
something is due to the next: the moment at which an owner's changes have settled, a target's midnight, a snapshot's
hour. Nothing reads the real time, so the same file always gives the same bytes.

Changes of one owner whose times lie within the settling time of each other are published together, at most five
settling times later, as in production (:mod:`consumers.facts.pending_changes`); a source transaction that has arrived
in part is never published.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from consumers.database.targets_table import OwnerState, named, valid_orgnr
from consumers.facts.pending_changes import LONGEST_WAIT
from consumers.materialize.batch import Message, Outcome, Refused, read_batch
from consumers.materialize.row_state import changed_keys
from consumers.replay.events_file import EventsFileError, Line, MessageLine, SettingsLine
from consumers.replay.memory_store import MemoryFacts
from consumers.replay.replay_feed import Replayed, ReplayedFeed
from ims.errors import InvalidSettingsError
from ims.source.facts import Facts
from ims.source.mapping import REFERENCE_MAPPING, SourceMapping
from ims.targets.schedule import next_midnight, next_snapshot
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import changed

SETTLE: Final = timedelta(seconds=0.2)
"""How long a change has to settle before it is published; the default of ``SETTLE_SECONDS``."""


class Result(msgspec.Struct, frozen=True):
    """The result of a replay.

    Attributes:
        messages: how many messages were read.
        duplicates: how many of them had been applied already, by their position in the source.
        refused: how many would be quarantined in production, by reason.
    """

    messages: int
    duplicates: int
    refused: dict[str, int]
    targets: list[Replayed]


class _Unsettled(msgspec.Struct, frozen=True):
    """An owner's changes that have not settled: the time of the first one, and the time of their publication."""

    first: datetime
    due: datetime


class Replay:
    """The replay of lines into feeds under *root*.

    Args:
        targets: the settings with which the replay starts.
        root: an empty feed directory.
        name: the name of the file of events, for errors.
        holds: what waits for an approval in production waits here for ever; without holds nothing waits.
        mapping: from the tables and columns of the events to ours.
    """

    def __init__(
        self,
        targets: Iterable[TargetSettings],
        root: Path,
        name: str = "events",
        *,
        holds: bool = True,
        mapping: SourceMapping = REFERENCE_MAPPING,
    ) -> None:
        self._mapping = mapping
        self._feeds = [ReplayedFeed(number, settings, root, holds=holds) for number, settings in enumerate(targets, 1)]
        self._name = name
        self._facts = MemoryFacts()
        self._unsettled: dict[int, _Unsettled] = {}
        self._now: datetime | None = None
        self._loading = True
        self._loaded = False
        self._messages = self._duplicates = 0
        self._refused: Counter[str] = Counter()

    def run(self, lines: Iterable[Line], until: datetime | None = None) -> Result:
        """Replay *lines* and write the manifests.

        Args:
            until: the time at which it ends; lines after it are not replayed. By default it ends once the last line
                has settled.

        Raises:
            EventsFileError: a line is wrong, or names a target or setting that does not exist.
            FeedError: *root* has other files of the same name.
        """
        for line in lines:
            if until is not None and line.at > until:
                break
            self._take(line)
        end = until or (None if self._now is None else self._now + SETTLE)
        if end is not None:
            self._end_load()
            self._advance(end, last=True)
            for feed in self._feeds:
                feed.finish(end)
        return Result(
            messages=self._messages,
            duplicates=self._duplicates,
            refused=dict(sorted(self._refused.items())),
            targets=[feed.replayed() for feed in self._feeds],
        )

    def _take(self, line: Line) -> None:
        if isinstance(line, MessageLine):
            self._take_message(line)
            return
        if self._loaded:
            self._end_load()
        self._advance(line.at)
        if isinstance(line, SettingsLine):
            self._set(line)

    def _take_message(self, line: MessageLine) -> None:
        progress = self._facts.begin(line.partition, 0)
        message = Message(progress.next_offset, None, line.value)
        outcome = read_batch(progress, [message], self._mapping, 0, sparse=True)
        loading = [row.loading for row in outcome.rows.values()]
        loading += [row.loading for row in outcome.restricted.values()]
        if not all(loading):
            self._end_load()
        self._advance(line.at)
        self._loaded = self._loaded or bool(loading)
        self._note_changes(outcome)
        refused = self._facts.apply(line.partition, progress.next_offset, outcome)
        self._note(outcome, refused)
        finished = progress.open_owners - outcome.progress.open_owners
        self._changed({*finished, *(key.owner_id for _, key in (*outcome.rows, *outcome.restricted))}, line.at)

    def _note_changes(self, outcome: Outcome) -> None:
        """Note what the rows affect; to be called before they are applied."""
        for (table, key), row in outcome.rows.items():
            changes = list(changed_keys(table, key, row, None if row.loading else self._facts.stored(table, key)))
            for feed in self._of(key.owner_id):
                feed.changes.add(changes)
        for (table, key), restricted in outcome.restricted.items():
            stored = self._facts.stored(table, key)
            left = restricted.row(table, stored)
            if left is not None:
                for feed in self._of(key.owner_id):
                    feed.changes.add(list(changed_keys(table, key, left, stored)))
        for load in outcome.loads:
            for feed in self._feeds if load.owner_id is None else self._of(load.owner_id):
                feed.changes.everything = True

    def _note(self, outcome: Outcome, refused: Sequence[Refused]) -> None:
        self._messages += 1
        self._duplicates += outcome.duplicates
        self._refused.update(one.reason for one in refused)
        times = [(key, row.committed_at) for (_, key), row in outcome.rows.items()]
        times += [(key, row.committed_at) for (_, key), row in outcome.restricted.items()]
        for key, committed_at in times:
            for feed in self._of(key.owner_id):
                feed.changes.committed(committed_at)

    def _set(self, line: SettingsLine) -> None:
        try:
            row = named((feed.row for feed in self._feeds), line.target)
            settings = changed(row.settings, line.set)
        except InvalidSettingsError as error:
            raise EventsFileError(self._name, line.number, str(error)) from None
        self._feeds[row.target_id - 1].target.set(settings)
        self._changed({row.owner_id}, line.at)

    def _of(self, owner_id: int) -> list[ReplayedFeed]:
        return [feed for feed in self._feeds if feed.target.settings.owner == owner_id]

    def _changed(self, owners: Iterable[int], at: datetime) -> None:
        """Let the changes of these owners settle from *at* on."""
        for owner_id in owners:
            known = self._unsettled.get(owner_id)
            first = at if known is None else known.first
            self._unsettled[owner_id] = _Unsettled(first, min(at + SETTLE, first + LONGEST_WAIT * SETTLE))

    def _end_load(self) -> None:
        """Publish the leading rows of a load, as of the time of the last one."""
        if self._loading and self._now is not None:
            self._unsettled.clear()
            for feed in self._feeds:
                feed.asked = True
            self._step(self._now)
        self._loading = False

    def _advance(self, to: datetime, *, last: bool = False) -> None:
        """Advance the clock to *to*, from one moment at which something is due to the next.

        Args:
            last: no further line at *to* can be published together with the changes that settle at that moment.
        """
        now = to if self._now is None else self._now
        through = to + datetime.resolution if last else to
        while not self._loading and (moment := self._next_moment(now, to, through)) is not None:
            now = max(now, moment)
            for owner_id in [owner for owner, unsettled in self._unsettled.items() if unsettled.due <= now]:
                del self._unsettled[owner_id]
                for feed in self._of(owner_id):
                    feed.asked = True
            self._step(now)
        self._now = to

    def _next_moment(self, now: datetime, to: datetime, settled_before: datetime) -> datetime | None:
        """Return the next moment up to *to* at which something is due; changes must have *settled_before* to count."""
        moments = [unsettled.due for unsettled in self._unsettled.values() if unsettled.due < settled_before]
        for feed in self._feeds:
            if feed.published:
                settings = feed.target.settings
                moments += [next_midnight(now, settings.zone)]
                moments += [next_snapshot(now, settings.snapshot_hour, settings.zone)]
        moment = min(moments, default=None)
        return None if moment is None or moment > to else moment

    def _step(self, now: datetime) -> None:
        """Do what is due for every target, in the order of :class:`consumers.compact.process.Compactor`."""
        open_owners = self._facts.open_owners()
        facts_of = cache(self._facts.facts)
        for feed in self._feeds:
            owner_id = feed.target.settings.owner
            feed.owner = OwnerState(self._facts.orgnr(owner_id), owner_id in open_owners)
            self._step_one(feed, facts_of, now)

    def _step_one(self, feed: ReplayedFeed, facts_of: Callable[[int], Facts], now: datetime) -> None:
        owner_id, state = feed.target.settings.owner, feed.row.state
        ready = not feed.owner.open and (feed.asked or feed.is_new_day(now))
        if ready and owner_id in self._unsettled:
            return  # the change may be the first half of a move whose second half follows in a moment
        has_orgnr = valid_orgnr(feed.owner.registered, feed.target.settings) is not None
        if state == "waiting" and ready and has_orgnr:
            feed.publish_first(facts_of(owner_id), now)
        elif state == "ok":
            if ready:
                feed.publish(facts_of(owner_id), now)
            feed.snapshot_if_due(now)
