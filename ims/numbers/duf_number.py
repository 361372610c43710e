"""DUF-nummer: the twelve digits by which the immigration authorities know a person.

Year of registration, a six-digit serial number and two control digits: the weighted sum of the first ten, modulo 11,
written with two digits. There is no subtraction from 11, and the remainder 10 is written ``10``.

UDI publishes no rule. Sources: Statistics Norway's ``validateDUF`` (kostra-kontrollprogram) for the control digits;
its test numbers, and those of Folkehelseinstituttet's Fhi.NINCheck. python-stdnum has no such module.

>>> [is_valid(number) for number in ("201017238203", "200816832910", "200112345609", "199201426900")]
[True, True, True, True]
>>> [is_valid(number) for number in ("201012345678", "241012192200", "010000000400", "201234567890", "123411234560")]
[False, False, False, False, False]
"""

from typing import Final

_WEIGHTS: Final = (4, 6, 3, 2, 4, 6, 3, 2, 7, 5)

YEARS: Final = range(1900, 2100)
"""Plausible years of registration. Other twelve-digit identifiers exist (provisional ones of eFeide, for instance), and
most of them do not begin with such a year. There is no clock here, hence the round end."""


def is_valid(number: str) -> bool:
    """Whether it can be a DUF number: twelve digits, a plausible year, and the control digits right.

    No synthetic series is published. For test data take a year to come, as in 209900000103: nobody has it.
    """
    if not (len(number) == 12 and number.isascii() and number.isdigit()):  # noqa: PLR2004 - said by the docstring
        return False
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:10], strict=True)) % 11
    return int(number[:4]) in YEARS and int(number[10:]) == remainder
