"""The content of a hold, for the person who decides on it: persons by running number, groups by ``sourcedid/id``."""

from datetime import datetime

import msgspec

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import read_target
from consumers.holds import holds_store
from consumers.holds.open_holds import Hold, find_hold
from consumers.publication.first_publication import Preview, preview
from ims.feed.manifest import Totals
from ims.holds.losses import Cause, Loss
from ims.records.vocabulary import RecordKind


class HeldPerson(msgspec.Struct, frozen=True):
    """A person on hold, by running number, and what the person would lose."""

    person: int
    loses: Loss


class Details(msgspec.Struct, frozen=True):
    """A hold and everything that it keeps back.

    Attributes:
        groups: ``sourcedid/id`` of the groups that would be removed.
        would_publish: for a first publication, how many records it would publish.
    """

    hold: Hold
    persons: list[HeldPerson]
    groups: list[str]
    would_publish: Totals | None = None


def read_hold(connection: Connection, hold_id: int, now: datetime) -> Details:
    """Return a hold and everything that it keeps back; a first publication is evaluated now.

    Raises:
        InvalidSettingsError: there is no such hold, or it has ended.
    """
    with repeatable_read(connection):
        return details_of(connection, find_hold(connection, hold_id), now)


def first_details(hold: Hold, found: Preview) -> Details:
    """Return what the hold of a first publication keeps back."""
    return Details(msgspec.structs.replace(hold, digest=found.digest), [], [], found.totals)


def details_of(connection: Connection, hold: Hold, now: datetime) -> Details:
    """Return what a hold keeps back, as the caller's transaction sees it."""
    if hold.cause is Cause.INITIAL:
        return first_details(hold, preview(connection, read_target(connection, hold.target_id), now))
    entries = holds_store.entries_of(connection, hold.hold_id)
    persons = [HeldPerson(int(id_), loss) for (kind, id_), loss in entries.items() if kind is RecordKind.PERSON]
    groups = [id_ for kind, id_ in entries if kind is RecordKind.GROUP]
    return Details(hold, sorted(persons, key=lambda held: held.person), sorted(groups))
