"""A target whose row this version of imsfeed cannot read: it is named to people, and stops no other target."""

from collections.abc import Iterable

import msgspec

from consumers.database.sessions import Connection
from ims.errors import InvalidSettingsError


class UnreadableTarget(msgspec.Struct, frozen=True):
    """A target whose stored settings this version does not understand; nothing is published to it.

    They may have been written by a later version, or by hand.
    """

    target_id: int
    owner_id: int
    name: str
    why: str

    def refuse(self) -> None:
        """Say what an operator has to do.

        Raises:
            InvalidSettingsError: always.
        """
        raise InvalidSettingsError(
            f"the settings of target {self.owner_id}/{self.name} in the state database cannot be read: {self.why};"
            " write them again with `imsfeed targets apply`"
        )


def refuse_named(unreadable: Iterable[UnreadableTarget], name: str) -> None:
    """Check that none of *unreadable* is called *name*, or ``OWNER/NAME``.

    Raises:
        InvalidSettingsError: one is.
    """
    for target in unreadable:
        if name in {target.name, f"{target.owner_id}/{target.name}"}:
            target.refuse()


def forget_unreadable(connection: Connection, target_id: int) -> None:
    """Forget what else of a target's row may be unreadable; both are found out again.

    Without the settings of its last publication, what changed settings take away counts as a change of the source.
    """
    connection.execute(
        "update imsfeed.target set published_settings = null, halt_reason = null where target_id = %s", (target_id,)
    )
