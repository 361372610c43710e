"""The kinds of national id, and which of them a registered number is.

The export accepts three: fødselsnummer, D-number and DUF number (Visma Voksenopplæring, "Eksport IMS", changes of
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

from enum import StrEnum

from ims.identifiers import birth_number, compact, d_number, duf_number
from ims.identifiers.national_id import NationalId


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
