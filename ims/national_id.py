"""A national id that cannot be printed by accident.

It is a type of its own so that no log line, error text or traceback shows the number: every way to print it is
masked, and only :meth:`NationalId.reveal` gives the digits, to the few places that must write them (the feed's XML
and the state database). Personopplysningsloven § 12 allows national ids only where certain identification is needed.

>>> national_id = NationalId("01810012345")
>>> f"{national_id} {national_id!r}"
"*********** NationalId('***********')"
>>> national_id.reveal()
'01810012345'
"""

from typing import Final

_MASK: Final = "*" * 11


class NationalId:
    """A person's national id as registered, valid or not; compares and hashes by its digits."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def reveal(self) -> str:
        """The digits themselves; call it only where the number must be written."""
        return self._digits

    def __repr__(self) -> str:
        return f"NationalId('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NationalId) and other._digits == self._digits

    def __hash__(self) -> int:
        return hash(self._digits)
