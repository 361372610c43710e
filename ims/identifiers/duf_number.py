"""DUF-nummer: the twelve digits by which the immigration authorities know a person.

Year of registration, a six-digit serial number and two control digits: the weighted sum of the first ten, modulo 11,
written with two digits. There is no subtraction from 11, and the remainder 10 is written ``10``.

UDI publishes no rule. Sources: Statistics Norway's ``validateDUF`` (kostra-kontrollprogram) for the control digits;
its test numbers, and those of Folkehelseinstituttet's Fhi.NINCheck. python-stdnum has no such module.

The two that both have (control digits 03, and 10) and two of the library NorwegianTypes; one more of Statistics
Norway's, and two of Folkehelseinstituttet's (control digits 09, and 00):

>>> [is_valid(number) for number in ("201017238203", "200816832910", "200205705502", "200900595509")]
[True, True, True, True]
>>> [is_valid(number) for number in ("201212345603", "200112345609", "199201426900")]
[True, True, True]

Statistics Norway's numbers that are none, and Folkehelseinstituttet's:

>>> [is_valid(number) for number in ("201012345678", "241012192200", "010000000400", "201234567890", "123411234560")]
[False, False, False, False, False]

Folkehelseinstituttet calls the rule of the control digits confidential, and looks at length and year only. So a number
that fails them may yet be one, mistyped or not: whoever asks decides (the setting ``duf_check`` of a target).

>>> has_form("201012345678"), has_control_digits("201012345678"), has_form("241012192200")
(True, False, False)
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
    return has_form(number) and has_control_digits(number)


def has_form(number: str) -> bool:
    """Whether it is twelve digits that begin with a plausible year; this alone tells it from the other kinds."""
    twelve = len(number) == 12 and number.isascii() and number.isdigit()  # noqa: PLR2004 - said by the docstring
    return twelve and int(number[:4]) in YEARS


def has_control_digits(number: str) -> bool:
    """Whether the last two of twelve digits are the remainder that the others leave."""
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:10], strict=True)) % 11
    return int(number[10:]) == remainder
