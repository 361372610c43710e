"""Random changes of persons and groups: an importer that reads the files always has exactly the current state."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ims.feed.previous_ids import former_ids, with_old_ids
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey, UserId
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.xml.dialect import Dialect
from ims.xml.reader import ReadRecord, read
from ims.xml.schema import problems
from tests.support.memory.feed import SOURCE, MemoryFeed, State, state_of
from tests.support.memory.verification import apply
from tests.unit.ims.xml.test_reader import AWKWARD, as_written

PEOPLE = st.integers(0, 3)
CLASSES = st.integers(0, 2)
LOGINS = st.sampled_from([None, "a@fjord.no", "A@fjord.no", "b@fjord.no"])


class Roster(RuleBasedStateMachine):
    """A roster in which persons join, leave, change name and id, and groups open and close.

    At random times a delta is published or a snapshot taken.
    """

    dialect: Dialect = "ims"

    def __init__(self) -> None:
        super().__init__()
        self.persons: dict[int, tuple[str, str | None]] = {}
        self.identified: set[int] = set()
        self.groups: dict[int, str] = {}
        self.roles: dict[tuple[int, int], RoleType] = {}
        self.feed = MemoryFeed(self.dialect)
        self.importer: State = {}
        self.published: State = {}

    @initialize()
    def first_publication(self) -> None:
        self.take_a_snapshot()

    @rule(person=PEOPLE, name=AWKWARD, login=LOGINS)
    def joins_or_is_renamed(self, person: int, name: str, login: str | None) -> None:
        self.persons[person] = (name, login and f"{person}.{login}")  # no two persons have the same

    @rule(person=PEOPLE)
    def leaves(self, person: int) -> None:
        self.persons.pop(person, None)

    @rule(person=PEOPLE)
    def gets_another_id(self, person: int) -> None:
        self.identified ^= {person}

    @rule(group=CLASSES, name=AWKWARD)
    def opens_or_is_renamed(self, group: int, name: str) -> None:
        self.groups[group] = name

    @rule(group=CLASSES)
    def closes(self, group: int) -> None:
        self.groups.pop(group, None)

    @rule(person=PEOPLE, group=CLASSES, role=st.sampled_from(RoleType))
    def joins_or_changes_role(self, person: int, group: int, role: RoleType) -> None:
        self.roles[group, person] = role

    @rule(person=PEOPLE, group=CLASSES)
    def leaves_a_group(self, person: int, group: int) -> None:
        self.roles.pop((group, person), None)

    @rule()
    def publish_a_delta(self) -> None:
        current = self.current()
        xml = self.feed.publish_delta(current)
        self.published = {key: as_written(record, self.dialect) for key, record in current.items()}
        if xml is not None:
            assert problems(xml) == []
            assert apply(self.importer, xml).total() == 0
            self.check_that_no_login_in_use_is_deleted(xml)

    @rule()
    def take_a_snapshot(self) -> None:
        xml = self.feed.take_snapshot()
        assert problems(xml) == []
        assert self.feed.verify_last_step().problems == []
        self.importer = state_of(*(item.record for item in read(xml) if isinstance(item, ReadRecord)))

    @invariant()
    def the_importer_has_exactly_the_published_state(self) -> None:
        assert self.importer == self.published

    def teardown(self) -> None:
        if self.feed.snapshots:
            self.publish_a_delta()
            self.the_importer_has_exactly_the_published_state()
            self.take_a_snapshot()
            assert self.feed.verify().problems == []

    def check_that_no_login_in_use_is_deleted(self, xml: bytes) -> None:
        """Check that no deleted login is in use: Moodle deletes by user name alone, perhaps in lower case."""
        deleted = {
            item.record.login.lower()
            for item in read(xml)
            if isinstance(item, ReadRecord) and item.recstatus is RecStatus.GONE
            if isinstance(item.record, PersonRecord) and item.record.login
        }
        assert not deleted & {login.lower() for _, login in self.persons.values() if login}

    def current(self) -> dict[RecordKey, Record]:
        return state_of(
            *(
                PersonRecord(SOURCE, self.id_of(person), login, name, "Li", None, (InstitutionRole.STUDENT,))
                for person, (name, login) in self.persons.items()
            ),
            *(
                GroupRecord(SOURCE, f"group-{group}", "class", name, name, "Fjord", "", None, None)
                for group, name in self.groups.items()
            ),
            *(
                MemberRecord(SOURCE, f"group-{group}", self.id_of(person), role)
                for (group, person), role in self.roles.items()
                if group in self.groups and person in self.persons
            ),
        )

    def id_of(self, person: int) -> str:
        return f"0181001234{person}" if person in self.identified else f"100{person}"


class PifuRoster(Roster):
    """The same roster in PIFU-IMS: a new id is published with the old one, and persons exchange ids."""

    dialect: Dialect = "pifu"

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[int, str] = {}
        self.published_ids: dict[int, str] = {}

    @rule(person=PEOPLE, other=PEOPLE)
    def takes_the_id_of(self, person: int, other: int) -> None:
        mine, theirs = self.id_of(person), self.id_of(other)
        self.ids |= {person: theirs, other: mine}

    def current(self) -> dict[RecordKey, Record]:
        plain = super().current()
        for person in self.persons:
            record = plain[RecordKey(RecordKind.PERSON, self.id_of(person))]
            assert isinstance(record, PersonRecord)
            userids = UserId("personNIN", record.id), UserId("personLIN", str(person))
            plain[record.key] = msgspec.structs.replace(record, userids=userids)
        ids = {person: self.id_of(person) for person in self.persons}
        records = with_old_ids(self.feed.published, plain, former_ids(self.published_ids, ids))
        self.published_ids = ids
        return records

    @invariant()
    def no_old_id_is_another_persons_current_id(self) -> None:
        people = [record for record in self.importer.values() if isinstance(record, PersonRecord)]
        assert not {record.id for record in people} & {record.old_id for record in people}

    def id_of(self, person: int) -> str:
        return self.ids.get(person) or super().id_of(person)


TestRoster = Roster.TestCase
TestPifuRoster = PifuRoster.TestCase
TestRoster.settings = TestPifuRoster.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
