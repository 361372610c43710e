"""The checks of a schedule: feeds against the source's rows, and deltas against the states of the source."""

from collections.abc import Mapping
from datetime import datetime
from io import BytesIO

from consumers.materialize.batch import Message
from ims.feed.verification import verify
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.roster import roster_of
from ims.source.facts import Table
from ims.targets.schedule import local_day
from ims.xml.dialect import Dialect
from ims.xml.reader import ReadRecord, read
from ims.xml.writer import fragment
from tests.simulation.pipeline.broker import Broker, seen_in
from tests.simulation.pipeline.feed_folder import FeedFolder
from tests.simulation.pipeline.source import HOME_GROUPS, Source
from tests.simulation.violations import ViolationError
from tests.support.memory.state import MemoryState, Target

_HOMES = {f"group-{number}": number for number in HOME_GROUPS}
States = Mapping[tuple[int, str], list[object]]


class Importer:
    """An importer that follows one target's deltas in order, and checks that each step is a state of the source.

    Args:
        states: every state of each watched person and group, in order (:attr:`Source.states`).
    """

    def __init__(self, target: Target, folder: FeedFolder, states: States) -> None:
        self._owner = target.settings.owner
        self._folder = folder
        self._states = states
        self._at: dict[tuple[int, str], int] = {}
        self.state: dict[RecordKey, Record] = {}
        self.seq: int | None = None
        self._dialect: Dialect = "ims"
        self._published_again = False

    def follow(self) -> None:
        """Apply the files in the manifest: the first snapshot, then each delta; check that later snapshots agree."""
        manifest = self._folder.manifest
        if manifest is None:
            return
        if self.seq is None:
            first = min(name for name in self._folder.names("snapshots") if name.endswith("-0.xml"))
            self.state = self._snapshot(f"snapshots/{first}")
            self.seq = 0
            self._was_a_state("the first snapshot")
        for entry in manifest.deltas[self.seq :]:
            self._apply(entry.path)
            self.seq = entry.seq
            self._was_a_state(entry.path)
            for name in self._folder.names("snapshots"):
                if name.endswith(f"-{self.seq}.xml") and self._snapshot(f"snapshots/{name}") != self.state:
                    raise ViolationError(f"snapshots/{name} is not what the snapshot and deltas before it give")

    def _snapshot(self, path: str) -> dict[RecordKey, Record]:
        items = read(self._folder.read(path))
        return {item.record.key: item.record for item in items if isinstance(item, ReadRecord)}

    def _apply(self, path: str) -> None:
        touched: set[RecordKey] = set()
        for item in self._records(path):
            key, known = item.record.key, self.state.get(item.record.key)
            if item.recstatus is RecStatus.GONE:
                if known is None:
                    raise ViolationError(f"{path}: a {key.kind.name.lower()} is removed that did not exist")
                del self.state[key]
            else:
                if (item.recstatus is RecStatus.NEW) is not (known is None):
                    raise ViolationError(f"{path}: a {key.kind.name.lower()} has the wrong recstatus, new or changed")
                if known == item.record and not self._published_again:
                    raise ViolationError(f"{path}: a {key.kind.name.lower()} is changed without a difference")
                self.state[key] = item.record
            touched.add(key)
        if not touched:
            raise ViolationError(f"{path}: is empty")

    def _records(self, path: str) -> list[ReadRecord]:
        items = list(read(self._folder.read(path)))
        records = [item for item in items if isinstance(item, ReadRecord)]
        (properties,) = (item for item in items if not isinstance(item, ReadRecord))
        self._published_again, self._dialect = properties.dialect != self._dialect, properties.dialect
        return records

    def _was_a_state(self, path: str) -> None:
        """Check that each watched person has a state of the source, and none older than the one published last."""
        groups = {key.id for key in self.state if key.kind is RecordKind.GROUP}
        if any(key.id not in groups for key in self.state if key.kind is RecordKind.MEMBERSHIP):
            raise ViolationError(f"{path}: a membership of a missing group")
        published = watched_in(self.state, path)
        for key, states in self._states.items():
            if key[0] != self._owner:
                continue
            state, at = published.get(key[1]), self._at.get(key, 0)
            while at < len(states) and states[at] != state:
                at += 1
            if at == len(states):
                raise ViolationError(
                    f"{path}: {key[1]} is published as {state}, which is no later state than the published one"
                )
            self._at[key] = at


class FactsChecker:
    """A check that facts never go back.

    Args:
        states: every version of each watched person's row, in order (:attr:`Source.versions`).
    """

    def __init__(self, state: MemoryState, states: Mapping[tuple[int, int], list[str]]) -> None:
        self._state = state
        self._states = states
        self._at: dict[tuple[int, int], int] = {}

    def look(self) -> None:
        """Check the facts as they are now."""
        for key, row in self._state.facts.rows(Table.PERSON).items():
            version = row["family_name"]
            if key not in self._states:
                continue
            try:
                self._at[key] = self._states[key].index(version, self._at.get(key, 0))
            except ValueError:
                raise ViolationError(f"the facts of {row['given_name']} go back to {version}") from None


def watched_in(state: Mapping[RecordKey, Record], path: str) -> dict[str, object]:
    """Return the watched persons and groups of an importer; see :func:`tests.simulation.pipeline.source.watched`."""
    homes: dict[str, list[int]] = {}
    for record in state.values():
        if isinstance(record, MemberRecord) and record.group in _HOMES:
            homes.setdefault(record.person, []).append(_HOMES[record.group])
    published: dict[str, object] = {}
    for record in state.values():
        if isinstance(record, GroupRecord) and record.id in _HOMES:
            published[record.id] = record.long
        elif isinstance(record, PersonRecord) and record.given_name.startswith("P"):
            home = homes.get(record.id, [])
            if record.given_name in published or len(home) != 1:
                raise ViolationError(f"{path}: {record.given_name} is published twice, or in {len(home)} home groups")
            published[record.given_name] = (record.family_name, home[0])
    return published


def at_rest(source: Source, state: MemoryState, broker: Broker, now: datetime) -> None:
    """Check that facts and feeds agree with the source's current rows."""
    for target in state.targets:
        facts, settings, position = source.facts(target.settings.owner), target.settings, target.position
        if state.owner_facts(target) != facts:
            raise ViolationError(f"the facts of owner {settings.owner} are not the source's rows")
        today = max(local_day(now, settings.zone), position.dated_through or local_day(now, settings.zone))
        roster = roster_of(
            facts, settings, orgnr=position.orgnr or "", today=today, persons=facts.persons, groups=facts.groups
        )
        expected = {key: fragment(record, dialect=settings.dialect) for key, record in roster.records.items()}
        if settings.dialect == "ims" and target.published != expected:
            raise ViolationError(f"{settings.name} is published as {_difference(target.published, expected)}")
        if target.published.keys() != expected.keys():
            raise ViolationError(f"{settings.name} is published as {_difference(target.published, expected)}")
    if broker.truncates:
        for partition, log in enumerate(broker.log):
            _check_that_truncates_are_refused(partition, log, state)


def _check_that_truncates_are_refused(partition: int, log: list[Message], state: MemoryState) -> None:
    """Check that each new message that empties a table was quarantined for an operator."""
    newest = (0, 0, 0)
    for message in log:
        seen = seen_in(message.value)
        if seen.op == "t" and seen.position > newest and (partition, message.offset) not in state.facts.refused:
            raise ViolationError("a table was emptied in one step and no message was quarantined")
        newest = max(newest, seen.position)


def importer_is_up_to_date(importer: Importer, target: Target) -> None:
    """Check that the files give the records that are stored as published."""
    if importer.seq != target.position.head_seq or importer.state.keys() != target.published.keys():
        raise ViolationError(f"{target.settings.name}: the files give other records than those stored as published")


def folder_holds_together(folder: FeedFolder) -> None:
    """Verify the whole feed from its files alone: snapshot + deltas = next snapshot."""
    verification = verify(lambda path: BytesIO(folder.read(path)), folder.names)
    if verification.problems:
        raise ViolationError(verification.problems[0])


def _difference(published: Mapping[RecordKey, str], expected: Mapping[RecordKey, str]) -> str:
    kinds = dict.fromkeys(RecordKind, 0)
    for key in published.keys() | expected.keys():
        kinds[key.kind] += published.get(key) != expected.get(key)
    return (
        ", ".join(f"{count} x a {kind.name.lower()}" for kind, count in kinds.items() if count)
        + " different from expected"
    )
