"""The exit codes of the commands, and the sentence about them at the end of each command's help."""

from collections.abc import Mapping
from typing import Final

DONE: Final = 0
FAILED: Final = 1
WRONG_SETTINGS: Final = 2
DIFFERENCES: Final = 3
INTERRUPTED: Final = 130

CODES: Final[Mapping[int, str]] = {
    DONE: "done",
    FAILED: "failed; trying again may help",
    WRONG_SETTINGS: "only a person can fix it: a setting, an argument, or the state of a server",
    DIFFERENCES: "done, but what was compared differs",
    INTERRUPTED: "interrupted",
}
"""Every code with which a command or process ends; docs/exit-codes.md is its page."""


def exits(or_if: str = "", more: str = "") -> str:
    """Return the sentence for a command's help.

    Args:
        or_if: another condition under which the command exits with 1.
        more: what is added to the sentence: further codes.

    >>> exits("a feed has a problem")
    'Exits with 0 if done, 1 if it failed or a feed has a problem, 2 if a setting or an argument is wrong.'
    """
    failed = f"it failed or {or_if}" if or_if else "it failed"
    return f"Exits with 0 if done, {FAILED} if {failed}, {WRONG_SETTINGS} if a setting or an argument is wrong{more}."
