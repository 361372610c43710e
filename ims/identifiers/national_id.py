"""A national id that cannot be printed by accident, its kind, and the masking of national ids in free text.

It is a type of its own so that no log line, error text or traceback shows the number: every way to print it is
masked. Only :meth:`NationalId.reveal` returns the digits, for the few places that must write them (the feed's XML and
the state database). Personopplysningsloven § 12 allows national ids only where certain identification is needed.

>>> national_id = NationalId("01810012345")
>>> f"{national_id} {national_id!r}"
"*********** NationalId('***********')"
>>> national_id.reveal()
'01810012345'

The export accepts three kinds: fødselsnummer, D-number and DUF number (Visma Voksenopplæring, "Eksport IMS", changes of
version 8.16.3).

>>> kind_of(NationalId("418140 61033"), allow_test_numbers=True)
<NationalIdKind.D_NUMBER: 'd_number'>
>>> kind_of(NationalId("418140 61033"), allow_test_numbers=False) is None
True
>>> kind_of(NationalId("2010 172382 03"), allow_test_numbers=False)
<NationalIdKind.DUF_NUMBER: 'duf_number'>

A DUF number whose control digits are wrong is accepted only if they are not checked.

>>> kind_of(NationalId("201012345678"), allow_test_numbers=False) is None
True
>>> kind_of(NationalId("201012345678"), allow_test_numbers=False, duf_check=False)
<NationalIdKind.DUF_NUMBER: 'duf_number'>
"""

import re
from enum import StrEnum
from typing import Final

from ims.identifiers import birth_number, compact, d_number, duf_number
from ims.identifiers.in_text import national_ids_in

_MASK: Final = "*" * 11


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


class NationalIdKind(StrEnum):
    """The kinds of national id; most refugees get first a DUF number, then a D-number, then a fødselsnummer."""

    BIRTH_NUMBER = "birth_number"
    D_NUMBER = "d_number"
    DUF_NUMBER = "duf_number"


def kind_of(national_id: NationalId, *, allow_test_numbers: bool, duf_check: bool = True) -> NationalIdKind | None:
    """Return the kind of a national id, or ``None`` if it is not valid.

    Args:
        national_id: the number as registered, perhaps with spaces or hyphens.
        allow_test_numbers: accept the synthetic series too.
        duf_check: refuse a DUF number whose control digits are wrong.
    """
    number = compact(national_id.reveal())
    if birth_number.is_valid(number, allow_test_numbers=allow_test_numbers):
        return NationalIdKind.BIRTH_NUMBER
    if d_number.is_valid(number, allow_test_numbers=allow_test_numbers):
        return NationalIdKind.D_NUMBER
    if duf_number.is_valid(number) if duf_check else duf_number.has_form(number):
        return NationalIdKind.DUF_NUMBER
    return None


_SHARED: Final = re.compile(r"(?!(\d)\1*$)(?!012345678|123456789|987654321)\d{11,12}", re.ASCII)
_FULL_WIDTH: Final = str.maketrans("\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19", "0123456789")
_NO_DIGIT: Final = re.compile("[^0-9]")


def shared_number(registered: str | None) -> str | None:
    """Return a registered national id in the form in which those of two persons are compared.

    A mistyped number counts, since who is meant is clear enough. A text that cannot be a national id counts for no
    person: schools type it for everyone whose number they do not know. The function ``imsfeed.national_number`` of the
    state database is the same.

    Returns:
        Eleven or twelve digits, or ``None``.

    >>> shared_number("018190-12284"), shared_number("00000000000"), shared_number("12345678901"), shared_number("-")
    ('01819012284', None, None, None)
    """
    digits = "" if registered is None else _NO_DIGIT.sub("", registered.translate(_FULL_WIDTH))
    return digits if _SHARED.fullmatch(digits) else None


def without_national_ids(text: str) -> str:
    """Return a free text with everything masked that reads as a fødselsnummer, D-number or DUF number.

    Sooner or later a user types one into a name or a comment. Dates and telephone numbers stay readable. This is the
    only mask: logs, errors, mails, reports, audits and everything that a command prints are masked by it.

    >>> without_national_ids("Kari 018100 12345, tlf. 22 33 44 55, fra 15.10.2026")
    'Kari ***********, tlf. 22 33 44 55, fra 15.10.2026'
    """
    pieces, through = [], 0
    for start, end in national_ids_in(text):
        pieces += [text[through:start], _MASK]
        through = end
    return "".join(pieces) + text[through:]
