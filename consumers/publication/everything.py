"""All of an owner's records, gathered and worked out part by part for a first publication.

The groups come first, once for all persons, then the persons: an owner may have a million, and memory holds two parts.
"""

import hashlib
from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import NamedTuple

from consumers.publication import gathering
from consumers.publication.view import View
from consumers.published.logins_store import Denied
from ims.publication.gathered import Scope, Terms
from ims.publication.login_holders import LoginHolders, wanted_names, with_logins
from ims.publication.logins import Before, assigned
from ims.rules.roster import Roster, roster_of_groups, roster_of_persons
from ims.source.facts import Facts


class Part(NamedTuple):
    """Some persons and groups, their records, and the logins that persons are published without."""

    scope: Scope
    roster: Roster
    denied: Denied = MappingProxyType({})


class Everything:
    """All persons and groups of an owner.

    Which person has a login is remembered by a number made of it, about a hundred bytes for each.

    Attributes:
        groups: the first part.
    """

    def __init__(self, view: View, terms: Terms) -> None:
        self._view = view
        self._terms = terms
        self._logins: dict[int, int] = {}
        everything = view.everything()
        self._persons, scope = everything.persons, Scope([], everything.groups)
        roster, self._published = roster_of_groups(
            view.facts([], scope.groups), terms.settings, orgnr=terms.orgnr, today=terms.today, groups=scope.groups
        )
        self.groups = Part(scope, roster)

    def read(self) -> Iterator[tuple[Scope, Facts]]:
        """Yield the persons of each other part, and the facts about them and all with the same national ids."""
        for start in range(0, len(self._persons), gathering.CHUNK):
            persons = self._persons[start : start + gathering.CHUNK]
            yield Scope(persons, []), self._view.facts(self._view.with_same_national_id(persons), None)

    def part(self, scope: Scope, facts: Facts) -> Part:
        """Work out a part from facts that were read already; the parts in order, since the first has a login."""
        settings = self._terms.settings
        roster = _restricted(roster_of_persons(facts, settings, self._published, facts.persons), scope.persons)
        wanted = wanted_names(roster.records, roster.subjects)
        digests = {name: _digest(name) for name in wanted}
        elsewhere = {
            name: first
            for name, digest in digests.items()
            if (first := self._logins.get(digest)) is not None and first not in wanted[name]
        }
        assignment = assigned(Before(), roster.records, roster.subjects, LoginHolders(elsewhere), reserve=False)
        roster = with_logins(roster, assignment.records, assignment.denied.keys(), {}, settings)
        for name, persons in wanted_names(roster.records, roster.subjects).items():
            self._logins[digests[name]] = min(persons)
        return Part(scope, roster, assignment.denied)

    def parts(self) -> Iterator[Part]:
        """Yield all parts."""
        yield self.groups
        for scope, facts in self.read():
            yield self.part(scope, facts)


def _restricted(roster: Roster, persons: Collection[int]) -> Roster:
    """Return the part of a roster about some persons: each is in one part, where the first has a login."""
    there = frozenset(persons)
    records = {key: record for key, record in roster.records.items() if roster.subjects[key][0] in there}
    return Roster(
        records,
        {key: roster.subjects[key] for key in records},
        {key: reason for key, reason in roster.excluded.items() if key[1] in there},
        {key: warnings for key, warnings in roster.warnings.items() if key[1] in there},
    )


def _digest(login: str) -> int:
    return int.from_bytes(hashlib.blake2b(login.encode(), digest_size=8).digest())
