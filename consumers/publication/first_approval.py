"""What an operator has approved of a first publication: the settings, and each record by a short digest.

An approval is for that, or less. A wider scope, another setting or one more person asks again, as with every hold; who
leaves between the review and the publication does not.
"""

import hashlib
from typing import Final, NamedTuple

import msgspec

from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster
from ims.targets.target_settings import TargetSettings

_SETTINGS_BYTES: Final = 32
_RECORD_BYTES: Final = 8
"""Of two different records in a million, the same eight bytes have one chance in millions."""
_WITHOUT_CONTENT: Final = frozenset({
    "enabled",
    "accept_initial",
    "case_workers",
    "importer_sync_time",
    "snapshot_hour",
})
"""Settings that change nothing about what is published; the limits of holds do not either."""

Line = tuple[int, int, str]
"""A record's kind, its person's running number or 0, and its group's ``sourcedid/id``; no national id."""


class MoreThanApprovedError(Exception):
    """The first publication has other settings than were approved, or a record that was not."""


def lines_of(roster: Roster) -> set[Line]:
    """Return a roster's records as an approval has them."""
    return {
        (int(key.kind), person or 0, "" if key.kind is RecordKind.PERSON else key.id)
        for key, (person, _) in roster.subjects.items()
    }


class FirstApproval(NamedTuple):
    """What may be published for the first time."""

    settings: bytes
    records: frozenset[bytes]

    def check_settings(self, settings: TargetSettings) -> None:
        """Compare the settings.

        Raises:
            MoreThanApprovedError: they are other ones than were approved.
        """
        if self.settings != settings_digest(settings):
            raise MoreThanApprovedError

    def check(self, roster: Roster) -> None:
        """Compare a part of what is to be published.

        Raises:
            MoreThanApprovedError: it has a record that was not approved.
        """
        if not self.records.issuperset(map(_digest, lines_of(roster))):
            raise MoreThanApprovedError


def settings_digest(settings: TargetSettings) -> bytes:
    """Return a digest of the settings that decide what is published."""
    kept = {
        key: value
        for key, value in msgspec.to_builtins(settings).items()
        if key not in _WITHOUT_CONTENT and not key.startswith("hold_")
    }
    return hashlib.sha256(msgspec.json.encode(sorted(kept.items()))).digest()


def content_of(settings: TargetSettings, lines: set[Line]) -> bytes:
    """Return what is approved, as it is stored."""
    return settings_digest(settings) + b"".join(sorted(map(_digest, lines)))


def approval_from(content: bytes) -> FirstApproval:
    """Return what was approved, as it was stored."""
    starts = range(_SETTINGS_BYTES, len(content), _RECORD_BYTES)
    return FirstApproval(content[:_SETTINGS_BYTES], frozenset(content[at : at + _RECORD_BYTES] for at in starts))


def _digest(line: Line) -> bytes:
    return hashlib.sha256(msgspec.json.encode(line)).digest()[:_RECORD_BYTES]
