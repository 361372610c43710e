"""Failpoints, for tests: a process ends itself at a named boundary between two steps, as if it were killed there.

``FAILPOINT=delta.linked`` in the environment ends the process the first time it passes that boundary,
``FAILPOINT=delta.linked:3`` the third time. Such boundaries are where a process could lose or repeat something, and a
signal from outside cannot hit them reliably. The variable is never set in operation; without it a failpoint costs one
comparison.
"""

import os
from typing import Final, NamedTuple

from ims.errors import InvalidSettingsError

VARIABLE: Final = "FAILPOINT"

EXIT_CODE: Final = 137
"""Exit code, the same as after SIGKILL in a shell or a container."""

FAILPOINTS: Final = (
    "load.begun",
    "load.sent",
    "load.acknowledged",
    "capture.before_send",
    "capture.sent",
    "capture.acknowledged",
    "capture.before_confirm",
    "capture.confirmed",
    "materialize.before_commit",
    "materialize.committed",
    "first.before_commit",
    "first.committed",
    "snapshot.before_link",
    "snapshot.linked",
    "snapshot.recorded",
    "publication.before_commit",
    "publication.committed",
    "delta.before_link",
    "delta.linked",
    "manifest.before_rename",
    "manifest.renamed",
)
"""Every boundary, in the order in which a change passes them."""


class _Armed(NamedTuple):
    """The failpoint at which to end the process, and the number of passes left until then."""

    name: str
    left: int


_armed: _Armed | None = None


def arm(wanted: str | None) -> None:
    """Arm the failpoint that *wanted*, the text of ``FAILPOINT``, names; ``None`` or an empty text: none.

    Raises:
        InvalidSettingsError: there is no such failpoint, or its number is not 1 or more.
    """
    global _armed  # noqa: PLW0603 - a process ends once
    if not wanted:
        _armed = None
        return
    name, colon, count = wanted.partition(":")
    if name not in FAILPOINTS:
        raise InvalidSettingsError(f"{VARIABLE}: there is no failpoint {name!r}; it is one of {', '.join(FAILPOINTS)}")
    if colon and not (count.isascii() and count.isdigit() and int(count) > 0):
        raise InvalidSettingsError(f"{VARIABLE}: {count!r} after the colon is not a whole number of 1 or more")
    _armed = _Armed(name, int(count or 1))


def failpoint(name: str) -> None:
    """End the process here, without any clean-up, if this failpoint is armed and its count is used up."""
    global _armed  # noqa: PLW0603 - counted down
    if _armed is None or _armed.name != name:
        return
    _armed = _armed._replace(left=_armed.left - 1)
    if _armed.left == 0:
        end()


def end() -> None:
    """End the process as SIGKILL would."""
    os._exit(EXIT_CODE)
