"""All of an owner's records, gathered and worked out part by part for a first publication.

The groups come first, once for all persons, then the persons: an owner may have a million, and memory holds two parts.
"""

from collections.abc import Iterator
from typing import NamedTuple

from consumers.publication.gathering import Gatherer
from consumers.publication.view import View
from ims.publication.gathered import Scope, Terms
from ims.rules.roster import Roster, roster_of_groups, roster_of_persons
from ims.source.facts import Facts


class Part(NamedTuple):
    """Some persons and groups, and their records."""

    scope: Scope
    roster: Roster


class Everything:
    """All persons and groups of an owner.

    Attributes:
        groups: the first part.
    """

    def __init__(self, view: View, terms: Terms) -> None:
        self._view = view
        self._terms = terms
        self._parts = Gatherer(view, terms).chunks()
        scope, _, _ = next(self._parts)
        roster, self._published = roster_of_groups(
            view.facts([], scope.groups), terms.settings, orgnr=terms.orgnr, today=terms.today, groups=scope.groups
        )
        self.groups = Part(scope, roster)

    def read(self) -> Iterator[tuple[Scope, Facts]]:
        """Yield the persons of each other part, and the facts about them."""
        for scope, _, _ in self._parts:
            yield scope, self._view.facts(scope.persons, None)

    def part(self, scope: Scope, facts: Facts) -> Part:
        """Work out a part from facts that were read already."""
        return Part(scope, roster_of_persons(facts, self._terms.settings, self._published, scope.persons))

    def parts(self) -> Iterator[Part]:
        """Yield all parts."""
        yield self.groups
        for scope, facts in self.read():
            yield self.part(scope, facts)
