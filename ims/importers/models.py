"""The importers as models: what one of them holds after the files that it has read, by the rules of its profile.

They hold everything in memory, and are for checking feeds, not for following them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from ims.importers.instructions import Group, Instruction, Member, Person
from ims.records.vocabulary import RecStatus
from ims.targets.importer_profiles import Profile
from ims.xml.elements import escape

STOPPED: Final = "the import stops here, and the rest of the file is lost"
_GONE: Final = RecStatus.GONE.value
_CHANGED: Final = RecStatus.CHANGED.value


class _CannotStoreError(Exception):
    """The importer has no room for a record: a text is too long, or what must be unique is another's."""


class Account(msgspec.Struct):
    """A person as an importer holds them."""

    login: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""


class Course(msgspec.Struct):
    """A group as an importer holds it."""

    short: str
    name: str
    hidden: bool = False


class Model(Protocol):
    """An importer, and what it holds.

    Attributes:
        accounts: by ``sourcedid/id``.
        courses: likewise.
        roles: of each person in each group, by group and person.
        wrong: what went wrong while it read, and how often.
    """

    accounts: dict[str, Account]
    courses: dict[str, Course]
    roles: dict[tuple[str, str], set[str]]
    wrong: Counter[str]

    def read(self, path: str, records: Iterable[Instruction], *, full: bool) -> None:
        """Read a file: a full one, or a delta."""
        ...

    def close(self, groups: Iterable[str]) -> None:
        """Take note that a delta closes these groups without a record."""
        ...


class RecordFollower:
    """An importer that does what each record says; the profile says what it makes of it.

    One that needs logins finds an account by its id, or else by its login, which then gets the new id (Moodle).
    """

    def __init__(self, profile: Profile) -> None:
        self.accounts: dict[str, Account] = {}
        self.courses: dict[str, Course] = {}
        self.roles: dict[tuple[str, str], set[str]] = {}
        self.wrong: Counter[str] = Counter()
        self._profile = profile
        self._logins: dict[str, str] = {}
        self._shorts: dict[str, str] = {}

    def read(self, path: str, records: Iterable[Instruction], *, full: bool) -> None:
        """Read a file, until a record that the importer cannot store."""
        if full and not self._profile.keeps_absent:
            self.accounts, self.courses, self.roles, self._logins, self._shorts = {}, {}, {}, {}, {}
        takes = {Person: self._person, Group: self._group, Member: self._member}
        for record in records:
            try:
                takes[type(record)](record)  # type: ignore[operator]  # each takes records of its own kind
            except _CannotStoreError:
                self.wrong[f"{path}: {STOPPED}"] += 1
                return

    def close(self, groups: Iterable[str]) -> None:
        """Remove closed groups, unless the importer keeps them."""
        if not self._profile.keeps_closed_groups:
            for group in groups:
                self._remove_course(group)

    def _person(self, person: Person) -> None:
        profile, known = self._profile, self.accounts.get(person.id)
        if person.recstatus == _GONE:
            if not profile.keeps_accounts:
                self._remove_account(person.id)
        elif known is not None:
            if person.recstatus == _CHANGED or not profile.new_then_changed:
                self._write(person.id, known, person)
        elif not profile.needs_login:
            self._write(person.id, Account(), person)
        elif person.login and person.recstatus != _CHANGED:
            holder = self._logins.get(self._stored(person.login))
            if holder is None:
                self._write(person.id, Account(), person)
            else:
                self._adopt(holder, person.id)

    def _write(self, id_: str, account: Account, person: Person) -> None:
        """Store a person's texts; an importer that needs an empty address leaves what is absent."""
        texts: dict[str, str | None] = {
            "login": person.login,
            "given_name": person.given_name,
            "family_name": person.family_name,
            "email": person.email,
        }
        if self._profile.empties_missing_email:
            texts = {field: text for field, text in texts.items() if text or (text == "" and field == "email")}
        stored = {field: self._stored(text or "") for field, text in texts.items()}
        login = stored.get("login", account.login)
        if any(len(text) > self._profile.limits[field].characters for field, text in stored.items()) or (
            self._profile.needs_login and self._logins.get(login, id_) != id_
        ):
            raise _CannotStoreError
        self._logins.pop(account.login, None)
        self._logins[login] = id_
        for field, text in stored.items():
            setattr(account, field, text)
        self.accounts[id_] = account

    def _adopt(self, holder: str, id_: str) -> None:
        """Give the account of *holder* another id; its roles stay with it."""
        account = self.accounts[id_] = self.accounts.pop(holder)
        self._logins[account.login] = id_
        for group, person in [key for key in self.roles if key[1] == holder]:
            self.roles[group, id_] = self.roles.pop((group, person))

    def _remove_account(self, id_: str) -> None:
        account = self.accounts.pop(id_, None)
        if account is not None:
            self._logins.pop(account.login, None)
            self.roles = {key: roles for key, roles in self.roles.items() if key[1] != id_}

    def _remove_course(self, id_: str) -> None:
        course = self.courses.pop(id_, None)
        if course is not None:
            self._shorts.pop(course.short, None)
            self.roles = {key: roles for key, roles in self.roles.items() if key[0] != id_}

    def _group(self, group: Group) -> None:
        profile, known, gone = self._profile, self.courses.get(group.id), group.recstatus == _GONE
        if gone and not profile.keeps_closed_groups:
            self._remove_course(group.id)
        elif known is None:
            self.wrong["a group record with recstatus 3 makes a course"] += gone
            self._write_course(Course("", ""), group)
        elif gone:
            known.hidden = True
        elif group.recstatus == _CHANGED or not profile.new_then_changed:
            self._write_course(known, group)

    def _write_course(self, course: Course, group: Group) -> None:
        short, limits = self._stored(group.short), self._profile.limits
        taken = self._profile.keeps_closed_groups and self._shorts.get(short, group.id) != group.id
        if len(group.id) > limits["id"].characters or len(short) > limits["short"].characters or taken:
            raise _CannotStoreError
        self._shorts.pop(course.short, None)
        self._shorts[short] = group.id
        course.short, course.name = short, self._stored(group.name)
        self.courses[group.id] = course

    def _member(self, member: Member) -> None:
        if member.group not in self.courses or member.person not in self.accounts:
            return  # passed over without a word
        key = member.group, member.person
        if member.recstatus == _GONE or not member.active:
            self.roles.pop(key, None)
        elif self._profile.adds_roles:
            self.roles.setdefault(key, set()).add(member.role)
        else:
            self.roles[key] = {member.role}

    def _stored(self, text: str) -> str:
        """Return a text as the importer stores it."""
        return escape(text) if self._profile.stores_entities else text


class FullFileReader:
    """An importer that compares each full file with the one before: what is in the last one is all that it holds.

    It does not look at recstatus, so that a removed record in a full file is present.
    """

    def __init__(self, profile: Profile) -> None:
        self.accounts: dict[str, Account] = {}
        self.courses: dict[str, Course] = {}
        self.roles: dict[tuple[str, str], set[str]] = {}
        self.wrong: Counter[str] = Counter()
        self._profile = profile

    def read(self, path: str, records: Iterable[Instruction], *, full: bool) -> None:
        """Read a full file, which takes the place of everything before."""
        if not full:
            return
        self.accounts, self.courses, self.roles = {}, {}, {}
        parents: dict[str, str | None] = {}
        for record in records:
            if isinstance(record, Person):
                texts = (record.login, record.given_name, record.family_name, record.email)
                self.accounts[record.id] = Account(*(text or "" for text in texts))
            elif isinstance(record, Group):
                self.courses[record.id] = Course(record.short, record.name)
                parents[record.id] = record.parent
            elif record.active:
                self.roles.setdefault((record.group, record.person), set()).add(record.role)
        if self._profile.drops_unplaced:
            self._drop(path, parents)

    def close(self, groups: Iterable[str]) -> None:
        """Do nothing: it reads no deltas."""

    def _drop(self, path: str, parents: dict[str, str | None]) -> None:
        orphans = {group for group, parent in parents.items() if parent is not None and parent not in parents}
        placed = {person for group, person in self.roles if group in self.courses.keys() - orphans}
        if dropped := self.accounts.keys() - placed:
            self.wrong[f"{path}: a person in no group is passed over"] += len(dropped)


def model_of(profile: Profile) -> Model:
    """Return an importer that has read nothing."""
    return RecordFollower(profile) if profile.reads == "deltas" else FullFileReader(profile)
