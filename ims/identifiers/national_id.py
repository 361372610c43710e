"""A national id that cannot be printed by accident, and the masking of national ids in free text.

It is a type of its own so that no log line, error text or traceback shows the number: every way to print it is
masked. Only :meth:`NationalId.reveal` returns the digits, for the few places that must write them (the feed's XML and
the state database). Personopplysningsloven § 12 allows national ids only where certain identification is needed.

>>> national_id = NationalId("01810012345")
>>> f"{national_id} {national_id!r}"
"*********** NationalId('***********')"
>>> national_id.reveal()
'01810012345'
"""

import re
from typing import Final

_MASK: Final = "*" * 11
# Not part of a longer run of digits; grouped as people group them: 010180 12345, 01.01.80-12345, 2010 172382 03.
_IN_TEXT: Final = re.compile(
    r"(?<!\d)(?:\d{2}[\s.]?\d{2}[\s.]?\d{2}[\s.-]?\d{3}[\s.]?\d{2}|\d{4}[\s.-]?\d{6}[\s.-]?\d{2})(?!\d)", re.ASCII
)


class NationalId:
    """A person's national id as registered, valid or not; compared and hashed by its digits."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def reveal(self) -> str:
        """Return the digits themselves; call it only where the number must be written."""
        return self._digits

    def __repr__(self) -> str:
        return f"NationalId('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NationalId) and other._digits == self._digits

    def __hash__(self) -> int:
        return hash(self._digits)


def without_national_ids(text: str) -> str:
    """Return a free text with everything masked that has the form of a fødselsnummer, D-number or DUF number.

    Sooner or later a user types one into a name or a comment. Dates and telephone numbers stay readable.

    >>> without_national_ids("Kari 018100 12345, tlf. 22 33 44 55, fra 15.10.2026")
    'Kari ***********, tlf. 22 33 44 55, fra 15.10.2026'
    """
    return _IN_TEXT.sub(_MASK, text)
