"""One line of the doctor's report, and how a check's verdict becomes one."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

Status = Literal["ok", "warning", "wrong", "not looked at"]


class Finding(msgspec.Struct, frozen=True):
    """What one check has found.

    Attributes:
        area: the part of the installation (``source``, ``kafka``, ``state``, ``feed``, ``targets``, ``machine`` ...).
        check: what was looked at.
        text: what is so.
        fix: what to do about it; empty if nothing.
    """

    area: str
    check: str
    status: Status
    text: str
    fix: str = ""


Findings = Iterator[Finding]

NOT_CONFIGURED: Final = "not configured here"


class Area:
    """Makes the findings of one area, in few words.

    >>> Area("kafka").judge("partitions", 8 == 6, "8", "set KAFKA_PARTITIONS to 8").status
    'wrong'
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def ok(self, check: str, text: str) -> Finding:
        """All is well."""
        return Finding(self._name, check, "ok", text)

    def wrong(self, check: str, text: str, fix: str) -> Finding:
        """It does not work, or will not for long."""
        return Finding(self._name, check, "wrong", text, fix)

    def warning(self, check: str, text: str, fix: str) -> Finding:
        """It works, and is unwise."""
        return Finding(self._name, check, "warning", text, fix)

    def skipped(self, check: str, text: str) -> Finding:
        """It could not be looked at, or has no meaning here."""
        return Finding(self._name, check, "not looked at", text)

    def judge(self, check: str, good: bool, text: str, fix: str, *, otherwise: Status = "wrong") -> Finding:
        """``ok`` if *good*, else what *otherwise* says, with the fix."""
        return self.ok(check, text) if good else Finding(self._name, check, otherwise, text, fix)
