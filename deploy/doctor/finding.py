"""One line of the doctor's report, and the areas to which lines belong."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

Status = Literal["ok", "warning", "error", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        area: the part of the installation: ``machine``, ``source``, ``kafka``, ``state``, ``targets``, ``feed`` ...
        check: what was checked.
        status: ``ok``; ``warning`` if it works but is unwise; ``error`` if it does not work, or soon will not;
            ``skipped`` if it could not be checked, or has no meaning in this installation.
        text: what was found.
        fix: what to do about it; empty if nothing.
    """

    area: str
    check: str
    status: Status
    text: str
    fix: str = ""


Findings = Iterator[Finding]

NOT_CONFIGURED: Final = "not configured here"
SAME_AS_TEXT: Final = "as the line says"
"""The fix of a finding whose text is an error that already says what to do."""


class Area:
    """Builds the findings of one area.

    >>> Area("kafka").judge("partitions", 8 == 6, "8", "set KAFKA_PARTITIONS to 8").status
    'error'
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def ok(self, check: str, text: str) -> Finding:
        """Return a finding that nothing is wrong."""
        return Finding(self._name, check, "ok", text)

    def error(self, check: str, text: str, fix: str) -> Finding:
        """Return a finding of something that does not work, or soon will not."""
        return Finding(self._name, check, "error", text, fix)

    def warning(self, check: str, text: str, fix: str) -> Finding:
        """Return a finding of something that works but is unwise."""
        return Finding(self._name, check, "warning", text, fix)

    def skipped(self, check: str, text: str) -> Finding:
        """Return a finding that the check could not be made, or has no meaning in this installation."""
        return Finding(self._name, check, "skipped", text)

    def judge(self, check: str, good: bool, text: str, fix: str, *, otherwise: Status = "error") -> Finding:
        """Return an ``ok`` finding if *good*, else one with the status *otherwise* and the fix."""
        return self.ok(check, text) if good else Finding(self._name, check, otherwise, text, fix)
