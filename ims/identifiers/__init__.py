"""Norwegian identifiers, one module per kind; each has ``is_valid`` and says where its rule comes from.

``is_valid`` takes a number in its shortest form, which :func:`compact` returns. No module derives a birth date or a sex
from a number: from 2032 on a number no longer says them, and the source has the birth date in a field of its own.
:mod:`ims.identifiers.national_id` has the type that prints masked. Imports nothing of imsfeed.

>>> compact(" 988 077 917 "), compact("201017-238203")
('988077917', '201017238203')
"""

from typing import Final

from stdnum.util import clean

_SEPARATORS: Final = " -\t"


def compact(number: str) -> str:
    """Return a registered number without the spaces and hyphens written in it, of any Unicode kind."""
    # Most numbers are registered bare, and cleaning a million of them takes seconds.
    return number if number.isalnum() and number.isascii() else clean(number, _SEPARATORS).strip()
