"""Norwegian identifiers, one module per kind; each has ``is_valid`` and says where its rule comes from.

``is_valid`` takes a number in its shortest form, which :func:`compact` returns. No module derives a birth date or a sex
from a number: from 2032 on a number no longer says them, and the source has the birth date in a field of its own.
:mod:`ims.identifiers.national_id` has the type that prints masked, :mod:`ims.identifiers.disclosure` finds national
ids in other texts. Imports :mod:`ims.records` alone.

>>> compact(" 988 077 917 "), compact("201017-238203")
('988077917', '201017238203')
"""

from typing import Final

from stdnum.util import clean

from ims.records.invisible import without_invisible

_SEPARATORS: Final = " -\t"


def compact(number: str) -> str:
    """Return a registered number without the spaces, hyphens and invisible characters in it, of any Unicode kind."""
    # Most numbers are registered bare, and cleaning a million of them takes seconds.
    return number if number.isalnum() and number.isascii() else clean(without_invisible(number), _SEPARATORS).strip()
