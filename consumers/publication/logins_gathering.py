"""Who else has the logins in a scope: the part of gathering that asks about logins."""

from collections.abc import Mapping
from datetime import timedelta

from consumers.publication.view import View
from ims.publication.gathered import Published, Terms
from ims.publication.login_holders import LoginHolders, leavers, names_in, wanted_names
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster


def login_holders(view: View, published: Published, roster: Roster, terms: Terms) -> LoginHolders:
    """Return who else has the logins that are published or wanted in a scope."""
    wanted = wanted_names(roster.records, roster.subjects)
    before = names_in(published.texts)
    names = before | wanted.keys()
    if not names:
        return LoginHolders()
    found = view.login_holders(names)
    end = terms.today - timedelta(days=terms.settings.login_reserved_days)
    reserved = {login: person for login, (person, left_on) in found.left.items() if left_on > end}
    leaving = leavers(published.texts, published.subjects, roster, wanted)
    # Only where a login passes to another running number does it matter whether that is the same person.
    asked = {person for login, person in reserved.items() if wanted.get(login, set()) - {person}} | leaving
    same = {person: frozenset(view.with_same_national_id([person])) for person in sorted(asked)}
    return LoginHolders(
        elsewhere(found.published, published),
        {login: same.get(person, frozenset({person})) for login, person in reserved.items()},
        same,
    )


def elsewhere(holders: Mapping[str, Mapping[str, int]], published: Published) -> dict[str, int]:
    """Return the person out of scope who is published with each login, of several the one with the smallest number."""
    found = {}
    for login, persons in holders.items():
        others = [person for id_, person in persons.items() if RecordKey(RecordKind.PERSON, id_) not in published.texts]
        if others:
            found[login] = min(others)
    return found
