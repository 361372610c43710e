"""Fødselsnummer: the eleven digits that identify a resident of Norway.

Day, month and year of birth (DDMMYY), three individual digits, and two control digits. Test populations have a fixed
number added to the month, so that no person can have the number.

The individual digits say the century of birth only in numbers issued before 2032 (000-499 is 1900-1999, 500-749 with
a year from 54 is 1854-1899, 500-999 with a year up to 39 is 2000-2039, 900-999 with a year from 40 is 1940-1999).
This module neither refuses nor derives anything by that table.

Sources: Skatteetaten, "Nytt fødselsnummer fra 2032" and "Test for konsumenter" (the control digits, month + 80);
Folkehelseinstituttet, Fhi.NINCheck (month + 65, month + 40); NAV (month + 40).

The control digits come from python-stdnum. Its ``validate`` is not used: it reads the clock, refuses month + 80 and
month + 65, takes month + 40 for a person's number, and refuses most numbers issued from 2032.

Both rules for the first control digit are valid side by side, since existing numbers keep theirs. Skatteetaten's
examples: the second person born on a day in 2032, and a person born earlier whose number is issued then.

>>> follows_current_rule("02013299997"), follows_rule_from_2032("02013299997")
(True, True)
>>> follows_current_rule("02013299903"), follows_rule_from_2032("02013299903")
(False, True)
>>> follows_current_rule("30108299920"), follows_rule_from_2032("30108299920")
(True, True)
>>> follows_current_rule("30108299939"), follows_rule_from_2032("30108299939")
(False, True)
>>> is_valid("30108299939"), is_valid("30108299938")
(True, False)

The made-up numbers in PIFU-IMS's example file follow neither rule; and what hospitals call an FH number (it begins with
8 or 9, and contains no date) is not a fødselsnummer.

>>> is_valid("17097055655"), is_valid("09119311111"), is_valid("80000000098")
(False, False, False)

A number of the synthetic series is valid only where test numbers are allowed.

>>> is_valid("01819012284"), is_valid("01819012284", allow_test_numbers=True)
(False, True)
"""

from calendar import monthrange
from typing import Final

from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

TEST_SERIES: Final = (80, 65, 40)
"""What the synthetic series add to the month: Skatteetaten's Tenor, Folkehelseinstituttet's SyntPop, NAV's Dolly.

Hospitals also issue auxiliary numbers with month + 40; those identify a patient, not a person of the register.
"""

_REMAINDERS_FROM_2032: Final = range(4)


def is_valid(number: str, *, allow_test_numbers: bool = False) -> bool:
    """Return True if *number* can be a fødselsnummer; *allow_test_numbers* accepts the synthetic series too."""
    return (
        is_eleven_digits(number)
        and is_day(int(number[:2]), number, allow_test_numbers=allow_test_numbers)
        and has_control_digits(number)
    )


def is_eleven_digits(number: str) -> bool:
    """Return True if *number* is eleven ASCII digits."""
    return len(number) == 11 and number.isascii() and number.isdigit()  # noqa: PLR2004 - said by the name


def is_day(day: int, number: str, *, allow_test_numbers: bool) -> bool:
    """Return True if *day* exists in the number's month and year.

    The century does not matter: of those in question only 1900 was no leap year, and from 2032 a number with 29
    February 00 may be issued to a person born in 2000 whatever its individual digits are.
    """
    month, year = int(number[2:4]), int(number[4:6])
    for shift in (0, *TEST_SERIES) if allow_test_numbers else (0,):
        if 1 <= month - shift <= 12:  # noqa: PLR2004 - the months of a year
            return 1 <= day <= monthrange(2000 + year, month - shift)[1]
    return False


def has_control_digits(number: str) -> bool:
    """Return True if the control digits follow either rule."""
    return follows_current_rule(number) or follows_rule_from_2032(number)


def follows_current_rule(number: str) -> bool:
    """Return True if both weighted sums, with their control digits, leave the remainder 0 when divided by 11."""
    return number[9] == calc_check_digit1(number) and number[10] == calc_check_digit2(number)


def follows_rule_from_2032(number: str) -> bool:
    """Return True if the control digits follow the rule for numbers issued from 2032.

    The first sum may leave the remainder 0, 1, 2 or 3, the second only 0. As today, a number whose control digit would
    be 10 is not issued.
    """
    first = int(calc_check_digit1(number))
    allowed = {str((first + remainder) % 11) for remainder in _REMAINDERS_FROM_2032}
    return number[9] in allowed and number[10] == calc_check_digit2(number)
