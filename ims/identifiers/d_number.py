"""D-nummer: the eleven digits of a person whom the tax administration knows but who does not live in Norway (yet).

Built like a fødselsnummer with 40 added to the day, so that its first digit is 4 to 7. The synthetic series add to the
month as well. Control digits: both rules of :mod:`ims.identifiers.birth_number`.

Sources: Skatteetaten, "Utvidelse av D-nummerserien" (24 June 2021) and "Nytt fødselsnummer fra 2032".

Since 2021 the individual digits mean another century than in a fødselsnummer:

========  ===========  ======================
first     born         individual digits
========  ===========  ======================
5         1858-1899    500-599
0 1       1900-1939    000-199
all but 5 1940-1999    000-499 and 600-999
2 to 9    2000-2039    200-999
========  ===========  ======================

This module refuses no number by that table, because from 2032 the digits no longer say the century. python-stdnum is
wrong here: it reads D-numbers by the table for fødselsnummer, refuses 600-899 with a year from 40 to 53, and dates
others a hundred years too early. Skatteetaten's test numbers of three persons born in 1940 and three born in 2000:

>>> born_1940 = ["41814061033", "41814065640", "41814075603"]
>>> born_2000 = ["41810021827", "41810025091", "41810034422"]
>>> all(is_valid(number, allow_test_numbers=True) for number in born_1940 + born_2000)
True
>>> any(is_valid(number) for number in born_1940 + born_2000)
False
>>> is_valid("41814061034", allow_test_numbers=True)
False
"""

from typing import Final

from ims.identifiers import birth_number

DAY_SHIFT: Final = 40
"""What a D-number adds to the day of birth."""


def is_valid(number: str, *, allow_test_numbers: bool = False) -> bool:
    """Return True if *number* can be a D-number; *allow_test_numbers* accepts the synthetic series too."""
    return (
        birth_number.is_eleven_digits(number)
        and birth_number.is_day(int(number[:2]) - DAY_SHIFT, number, allow_test_numbers=allow_test_numbers)
        and birth_number.has_control_digits(number)
    )
