"""A play: an importer reads a feed from its oldest kept snapshot on, and what it ends with is compared with the feed.

An importer of records gets every delta. If the target has files at fixed paths, it is also played as one that was away
(it has read the oldest snapshot, and then only such a file), and as one that begins with the file. Of these two only
the access is compared, since a full file brings no changed name to an importer that ignores what it knows. An importer
of full files gets every kept snapshot, and each file at a fixed path.

Problems count records and never identify a person.

>>> from ims.targets.importer_profiles import PROFILES
>>> compared(State(), model_of(PROFILES["moodle"]))
Counter()
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final, TypeVar

from ims.errors import FeedError
from ims.feed.files import OpenFile
from ims.feed.manifest import MANIFEST, SNAPSHOTS, Manifest, decode, parse_snapshot_name
from ims.importers.instructions import Group, Instruction, Member, Person, instructions
from ims.importers.models import Model, model_of
from ims.records.vocabulary import RecStatus
from ims.targets.importer_profiles import Profile

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_GONE: Final = RecStatus.GONE.value
_NAMES: Final = {
    "login": "a person has another login than in the feed",
    "given_name": "a person has another name than in the feed",
    "family_name": "a person has another name than in the feed",
    "email": "a person has another e-mail address than in the feed",
}


class State:
    """What the feed says: the records of its files, applied as the contract says.

    Attributes:
        persons: by ``sourcedid/id``.
        groups: likewise.
        roles: by group and person.
    """

    def __init__(self) -> None:
        self.persons: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.roles: dict[tuple[str, str], str] = {}

    def read(self, records: Iterable[Instruction]) -> None:
        """Apply the records of a file."""
        for record in records:
            gone = record.recstatus == _GONE
            match record:
                case Person():
                    _put(self.persons, record.id, None if gone else record)
                case Group():
                    _put(self.groups, record.id, None if gone else record)
                case Member():
                    _put(self.roles, (record.group, record.person), None if gone else record.role)

    def close(self, groups: Iterable[str]) -> None:
        """Remove groups that a delta closes without a record."""
        for group in groups:
            self.groups.pop(group, None)


def play(open_file: OpenFile, names: Iterable[str], exports: Collection[str], profile: Profile) -> list[str]:
    """Return what the importer would have wrong at the end; empty if nothing.

    Args:
        open_file: opens a file of the feed.
        names: the names of the files in its folder of snapshots.
        exports: the paths of its files at fixed paths.

    Raises:
        FeedError: a file cannot be read, or there is no snapshot.
        FileNotFoundError: a file does not exist.
    """
    with open_file(MANIFEST) as file:
        manifest = decode(file.read())
    found = (name for name in map(parse_snapshot_name, names) if name is not None)
    snapshots = sorted(one for one in found if manifest.epoch_seq <= one.seq <= manifest.snapshot.seq)
    if not snapshots:
        raise FeedError(f"{SNAPSHOTS}: there is no snapshot")
    seqs = {entry.seq for entry in manifest.deltas}
    start = next((one for one in snapshots if seqs >= {*range(one.seq + 1, manifest.head_seq + 1)}), snapshots[-1])
    if profile.reads == "full":
        return list(_full_files(open_file, [one.path for one in snapshots], exports, profile))
    problems = list(_deltas(open_file, start.path, start.seq, manifest, profile))
    for path in sorted(exports):
        problems += _away(open_file, start.path, path, profile)
    return problems


def compared(state: State, model: Model, *, names: bool = True) -> Counter[str]:
    """Return how often the importer's state differs from the feed's, by difference.

    Args:
        names: compare logins, names and addresses too, and not only the access.
    """
    wrong = Counter(model.wrong)
    for id_, person in state.persons.items():
        account = model.accounts.get(id_)
        if account is None:
            wrong["a person has no account"] += 1
        elif names:
            differing = {
                text for field, text in _NAMES.items() if getattr(account, field) != (getattr(person, field) or "")
            }
            wrong.update(differing)
    for id_, group in state.groups.items():
        course = model.courses.get(id_)
        if course is None:
            wrong["a group has no course"] += 1
        elif names and (course.name, course.short) != (group.name, group.short):
            wrong["a group has another name than in the feed"] += 1
    wrong["a course is hidden, and nothing shows it again"] += sum(course.hidden for course in model.courses.values())
    return +(wrong + _access(state, model))


def _access(state: State, model: Model) -> Counter[str]:
    wrong: Counter[str] = Counter()
    for key, role in state.roles.items():
        roles = model.roles.get(key, set())
        if role not in roles:
            wrong["a member is not enrolled"] += 1
        if roles - {role}:
            wrong["a member keeps another role than in the feed"] += 1
    wrong["a person who has left is still enrolled"] += len(model.roles.keys() - state.roles.keys())
    return wrong


def _deltas(open_file: OpenFile, snapshot: str, seq: int, manifest: Manifest, profile: Profile) -> Iterator[str]:
    state, model = State(), model_of(profile)
    _read(open_file, snapshot, state, model)
    for entry in manifest.deltas:
        if entry.seq > seq:
            _read(open_file, entry.path, state, model, full=False)
            state.close(entry.closed_groups)
            model.close(entry.closed_groups)
    yield from _as_texts("after the last delta", compared(state, model))


def _away(open_file: OpenFile, snapshot: str, export: str, profile: Profile) -> Iterator[str]:
    """Play an importer that has read a snapshot and then only the file at a fixed path, and one that begins with it."""
    for before, when in (((snapshot,), f"after a gap, with {export}"), ((), f"with {export} alone")):
        model = model_of(profile)
        for path in before:
            model.read(path, instructions(open_file, path), full=True)
        state = State()
        _read(open_file, export, state, model)
        yield from _as_texts(when, compared(state, model, names=False))


def _full_files(
    open_file: OpenFile, snapshots: Iterable[str], exports: Iterable[str], profile: Profile
) -> Iterator[str]:
    model = model_of(profile)
    for path in (*snapshots, *sorted(exports)):
        state = State()
        _read(open_file, path, state, model)
        found = compared(state, model)
        found["a person who has left still has an account"] += len(model.accounts.keys() - state.persons.keys())
        model.wrong.clear()
        yield from _as_texts(f"after {path}", +found)


def _read(open_file: OpenFile, path: str, state: State, model: Model, *, full: bool = True) -> None:
    records = list(instructions(open_file, path))
    state.read(records)
    model.read(path, records, full=full)


def _as_texts(when: str, wrong: Counter[str]) -> Iterator[str]:
    for text, count in sorted(wrong.items()):
        yield f"{when}: {count} x {text}"


def _put(records: dict[_Key, _Value], key: _Key, value: _Value | None) -> None:
    if value is None:
        records.pop(key, None)
    else:
        records[key] = value
