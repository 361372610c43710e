"""Norwegian numbers, one documented module per kind; each has `is_valid` and says where its rule comes from.

`is_valid` wants a number in its shortest form, which :func:`compact` gives. Nothing here derives a birth date or a sex
from a number: from 2032 on they cannot be told, and the source has the birth date in a field of its own.

>>> compact(" 988 077 917 "), compact("201017-238203")
('988077917', '201017238203')
"""

from typing import Final

from stdnum.util import clean

_SEPARATORS: Final = " -\t"


def compact(number: str) -> str:
    """A registered number without the spaces and hyphens people write in it, of whatever Unicode kind they are."""
    # Most numbers are registered bare, and cleaning a million of them takes seconds.
    return number if number.isalnum() and number.isascii() else clean(number, _SEPARATORS).strip()
