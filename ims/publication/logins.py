"""Who is published with which login: no two persons with the same one, and none with that of another's account.

An importer that finds accounts by user name makes one account of two persons with one login, so that the second is let
in as the first. So a login belongs to the person who was published with it first, for as long as the person has it.
Another person is published with the login that importers know already, or without one, with a warning for the case
worker. Many importers keep the account of a person who leaves, and the login of one who has none any more; so such a
login stays reserved for a time.

A login may pass to another person in one delta, if the record that gives it up comes first. Where that is impossible,
since two persons swap their logins, they get there by a second delta (:mod:`ims.publication.handovers`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from ims.feed.login_order import Handover
from ims.publication.login_holders import LoginHolders
from ims.records.logins import Names, as_compared, published_names, slots_of, with_slots
from ims.records.model import PersonRecord, Record, RecordKey, Subjects
from ims.records.vocabulary import RecordKind


class Before(msgspec.Struct, frozen=True):
    """What was published in a scope.

    Attributes:
        texts: by key, frozen records included.
        subjects: of each, by running number.
        frozen: the keys that a hold keeps as they are.
    """

    texts: Mapping[RecordKey, str] = {}
    subjects: Subjects = {}
    frozen: AbstractSet[RecordKey] = frozenset()


class Assignment(msgspec.Struct, frozen=True):
    """The person records with the logins that they are published with.

    Attributes:
        records: the current records, in which only logins and Feide names differ.
        denied: by running number, the logins that a person does not get, and who has each (``None``: one who left).
        handovers: the logins that pass from one person to another.
        emptied: the logins of persons who have none any more, by running number; importers may keep them.
    """

    records: dict[RecordKey, Record]
    denied: dict[int, dict[str, int | None]] = {}
    handovers: list[Handover] = []
    emptied: dict[str, int] = {}


class _Account(msgspec.Struct, frozen=True):
    """A person as the importer knows them now.

    Attributes:
        id: ``sourcedid/id``.
        slots: the published login and Feide name.
        successor: the record that is published for the person next, under this id or another; ``None`` if none is, or
            if the account stays as it is.
        frozen: a hold keeps the account as it is.
    """

    id: str
    person: int
    slots: Names
    successor: RecordKey | None
    frozen: bool

    def keeps(self, name: str, wanted: Mapping[RecordKey, Names]) -> bool:
        """Return whether an importer may keep the account under a name that no record gives up.

        The person leaves, has another id, or has no login in the place of this one.
        """
        if self.successor is None or self.successor.id != self.id:
            return True
        now = wanted.get(self.successor, Names())
        return all(new is None for old, new in zip(self.slots, now, strict=True) if old is not None and old == name)


def assigned(
    before: Before, current: Mapping[RecordKey, Record], subjects: Subjects, holders: LoginHolders, *, reserve: bool
) -> Assignment:
    """Return the current records with the logins that they are published with.

    Args:
        before: what was published.
        current: the records to be published, with the logins that the source says.
        subjects: of these.
        holders: who else has the logins.
        reserve: the login of a person who leaves now is given to no one else.
    """
    return _Assigning(before, current, subjects, holders, reserve=reserve).result()


class _Assigning:
    """The assignment of the logins of one scope."""

    def __init__(
        self,
        before: Before,
        current: Mapping[RecordKey, Record],
        subjects: Subjects,
        holders: LoginHolders,
        *,
        reserve: bool,
    ) -> None:
        self._current = current
        self._holders = holders
        self._reserve = reserve
        persons = {key: record for key, record in current.items() if isinstance(record, PersonRecord)}
        self._wanted = {key: slots_of(record).compared() for key, record in persons.items()}
        self._number = {key: subjects[key][0] or 0 for key in persons}
        self._accounts = list(self._accounts_of(before))
        self._by_id = {account.id: account for account in self._accounts}
        self._before: defaultdict[str, list[_Account]] = defaultdict(list)
        for account in self._accounts:
            for name in account.slots.compared().both():
                self._before[name].append(account)
        self._wanters: defaultdict[str, set[RecordKey]] = defaultdict(set)
        for key, names in self._wanted.items():
            for name in names.both():
                self._wanters[name].add(key)
        self._winners = {name: self._first_of(name) for name in self._wanters}

    def result(self) -> Assignment:
        """Return the assignment."""
        final = self._final()
        assignment = Assignment(dict(self._current))
        for key, names in final.items():
            wanted, record = self._wanted[key], self._current[key]
            if names.compared() != wanted and isinstance(record, PersonRecord):
                assignment.records[key] = with_slots(record, names)
            lost = wanted.both() - names.compared().both()
            if lost:
                assignment.denied[self._number[key]] = {name: self._has(name) for name in sorted(lost)}
            for name in sorted(names.compared().both()):
                assignment.handovers.extend(self._handovers(name, key))
        used = {name for names in final.values() for name in names.compared().both()}
        for account in self._accounts:
            if account.successor is not None and account.successor.id == account.id:
                free = account.slots.compared().both() - used
                assignment.emptied.update({name: account.person for name in free if account.keeps(name, self._wanted)})
        return assignment

    def _accounts_of(self, before: Before) -> Iterator[_Account]:
        now = {number: key for key, number in self._number.items()}
        for key, text in before.texts.items():
            if key.kind is RecordKind.PERSON and (slots := published_names(text)).both():
                person = before.subjects[key][0] or 0
                successor = None if key in before.frozen else key if key in self._wanted else now.get(person)
                yield _Account(key.id, person, slots, successor, key in before.frozen)

    def _final(self) -> dict[RecordKey, Names]:
        """Return the names of each record, after each person who does not get a new one has kept the former one.

        The former name is then not free for another person, who may keep another one for the same reason, and so on.
        """
        final: dict[RecordKey, Names] = {}
        to_visit = list(self._wanted)
        while to_visit:
            key = to_visit.pop()
            names = self._names(key)
            for name in names.compared().both():
                taken_from = self._winners.get(name)
                if taken_from != key:
                    self._winners[name] = key
                    if taken_from is not None:
                        to_visit.append(taken_from)
            final[key] = names
        return final

    def _names(self, key: RecordKey) -> Names:
        """Return the names of a record: in each place the wanted one, else the former one, if an importer has it."""
        record, account = self._current[key], self._by_id.get(key.id)
        wanted = slots_of(record) if isinstance(record, PersonRecord) else Names()
        former = account.slots if account is not None and account.successor == key else Names()
        return Names(
            *(
                new if new is None or self._winners.get(as_compared(new)) == key else self._former(key, old)
                for new, old in zip(wanted, former, strict=True)
            )
        )

    def _former(self, key: RecordKey, name: str | None) -> str | None:
        """Return a name of a record's account, unless another account that stays has it too."""
        if name is None:
            return None
        compared = as_compared(name)
        others = [account for account in self._before[compared] if account.successor != key]
        winner = self._winners.get(compared)
        stays = any(account.frozen or account.successor == winner for account in others if winner is not None)
        return (
            None if stays or any(account.frozen for account in others) or compared in self._holders.elsewhere else name
        )

    def _has(self, name: str) -> int | None:
        """Return the running number of the person who has a login, ``None`` if that person has left."""
        key = self._winners.get(name)
        if key is not None:
            return self._number[key]
        persons = [account.person for account in self._before.get(name, ()) if account.frozen]
        elsewhere = self._holders.elsewhere.get(name)
        return min([*persons, *([] if elsewhere is None else [elsewhere])], default=None)

    def _handovers(self, name: str, taker: RecordKey) -> list[Handover]:
        """Return from whom a login passes to the record *taker*, which is published with it now."""
        givers = self._before.get(name, [])
        if any(account.id == taker.id for account in givers):
            return []
        own = self._same(self._number[taker])
        return [
            Handover(name, account.id, taker.id)
            for account in givers
            # A person's own login, under a new id or running number: the new record takes the account over.
            if account.successor != taker and not (account.successor is None and account.person in own)
        ]

    def _first_of(self, name: str) -> RecordKey | None:
        """Return the record that gets a login that is wanted: of the person who has it, else of the first one."""
        wanters, before = self._wanters[name], self._before.get(name, [])
        if any(account.frozen for account in before):
            return None
        staying = wanters.intersection(account.successor for account in before if account.successor is not None)
        elsewhere = self._holders.elsewhere.get(name)
        first = min(staying, key=self._order, default=None)
        if first is not None and (elsewhere is None or self._number[first] < elsewhere):
            return first
        if elsewhere is not None:
            return None
        allowed = self._allowed(name, before)
        return min(
            (key for key in wanters if allowed is None or self._number[key] in allowed), key=self._order, default=None
        )

    def _order(self, key: RecordKey) -> tuple[int, RecordKey]:
        return self._number[key], key

    def _allowed(self, name: str, before: list[_Account]) -> AbstractSet[int] | None:
        """Return who may take a login that no one has any more; ``None`` if anyone may."""
        allowed = self._holders.reserved.get(name)
        for account in before if self._reserve else ():
            if account.keeps(name, self._wanted):
                own = self._same(account.person)
                allowed = own if allowed is None else allowed & own
        return allowed

    def _same(self, person: int) -> AbstractSet[int]:
        return {person} | self._holders.same.get(person, frozenset())
