"""For tests: a process that ends itself at a named boundary between two steps, as if it were killed right there.

``FAILPOINT=delta.linked`` in the environment ends it the first time it comes by, ``FAILPOINT=delta.linked:3`` the third
time. What a process may lose it loses at such a boundary, and no signal from outside hits one every time. Nobody sets
it in operation; without it a crash point is one comparison.
"""

import os
from typing import Final, NamedTuple

from ims.errors import InvalidSettingsError

VARIABLE: Final = "FAILPOINT"

CODE: Final = 137
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
"""Every boundary, in the order in which a change comes by."""


class _Armed(NamedTuple):
    """Where to end, and how many times still to pass by."""

    name: str
    left: int


_armed: _Armed | None = None


def arm(wanted: str | None) -> None:
    """End this process where *wanted*, the text of ``FAILPOINT``, says; ``None`` or an empty text: nowhere.

    Raises:
        InvalidSettingsError: there is no such crash point, or its number is not 1 or more.
    """
    global _armed  # noqa: PLW0603 - a process has one end
    if not wanted:
        _armed = None
        return
    name, colon, count = wanted.partition(":")
    if name not in FAILPOINTS:
        raise InvalidSettingsError(
            f"{VARIABLE}: there is no crash point {name!r}; it is one of {', '.join(FAILPOINTS)}"
        )
    if colon and not (count.isascii() and count.isdigit() and int(count) > 0):
        raise InvalidSettingsError(f"{VARIABLE}: {count!r} after the colon is not a whole number from 1 on")
    _armed = _Armed(name, int(count or 1))


def failpoint(name: str) -> None:
    """The boundary *name*: the process ends here, at once and without any cleaning up, if it is to end here."""
    global _armed  # noqa: PLW0603 - counted down
    if _armed is None or _armed.name != name:
        return
    _armed = _armed._replace(left=_armed.left - 1)
    if _armed.left == 0:
        end()


def end() -> None:
    """End the process as SIGKILL would."""
    os._exit(CODE)
