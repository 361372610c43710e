"""Whose each folder of the feed is: for good that of the target that was published in it first.

A folder is named after the owner's organisation number and the target's name, and two owners may be registered with one
number. Without this record the second target would write its persons where the first one's importer reads.
"""

from consumers.database.sessions import Connection
from ims.errors import InvalidSettingsError
from ims.identifiers import compact


def claim(connection: Connection, orgnr: str, name: str, target_id: int) -> bool:
    """Make a folder the target's unless it is another's; return whether it is the target's now."""
    connection.execute(
        "insert into imsfeed.feed_folder (orgnr, name, target_id) values (%s, %s, %s) on conflict do nothing",
        (orgnr, name, target_id),
    )
    return holder(connection, orgnr, name) == target_id


def holder(connection: Connection, orgnr: str, name: str) -> int | None:
    """Return the target whose folder it is, or ``None`` if none has been published in it."""
    row = connection.execute(
        "select target_id from imsfeed.feed_folder where orgnr = %s and name = %s", (orgnr, name)
    ).fetchone()
    return None if row is None else row[0]


def refuse_taken(connection: Connection, owner_id: int, name: str) -> None:
    """Check that a new target called *name* would not have the folder of another owner's target.

    An owner whose row has not arrived is not checked here; its target then waits, with the reason in `imsfeed status`.

    Raises:
        InvalidSettingsError: another owner with the same organisation number has a target of that name.
    """
    rows = connection.execute(
        "select t.owner_id, mine.orgnr, t.orgnr, theirs.orgnr from imsfeed.owner mine"
        " join imsfeed.target t on t.name = %s and t.owner_id <> mine.owner_id"
        " left join imsfeed.owner theirs on theirs.owner_id = t.owner_id where mine.owner_id = %s",
        (name, owner_id),
    ).fetchall()
    for other, *numbers in rows:
        mine, *theirs = (compact(number or "") for number in numbers)
        if mine and mine in theirs:
            raise InvalidSettingsError(
                f"target {owner_id}/{name} would have the folder {mine}/{name} of target {other}/{name}: both owners"
                " have that organisation number; give the new target another name, or correct the number"
            )
