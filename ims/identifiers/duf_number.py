"""DUF-nummer: the twelve digits that identify a person to the immigration authorities.

Year of registration, a six-digit serial number and two control digits: the weighted sum of the first ten digits, modulo
11, written with two digits. It is not subtracted from 11, and the remainder 10 is written ``10``.

UDI, the directorate that issues the numbers, publishes no rule. Sources: Statistics Norway's ``validateDUF``
(kostra-kontrollprogram) for the control digits; its test numbers, and those of Folkehelseinstituttet's Fhi.NINCheck.
python-stdnum has no module for it.

Two numbers that both of them list (control digits 03 and 10) and two of the library NorwegianTypes; one more of
Statistics Norway's, and two of Folkehelseinstituttet's (control digits 09 and 00):

>>> [is_valid(number) for number in ("201017238203", "200816832910", "200205705502", "200900595509")]
[True, True, True, True]
>>> [is_valid(number) for number in ("201212345603", "200112345609", "199201426900")]
[True, True, True]

Numbers that Statistics Norway and Folkehelseinstituttet list as invalid:

>>> [is_valid(number) for number in ("201012345678", "241012192200", "010000000400", "201234567890", "123411234560")]
[False, False, False, False, False]

Folkehelseinstituttet calls the rule of the control digits confidential, and checks length and year only. So a number
with wrong control digits may still be a DUF number, mistyped or not: the caller decides (``duf_check`` of a target).

>>> has_form("201012345678"), has_control_digits("201012345678"), has_form("241012192200")
(True, False, False)
"""

from typing import Final

_WEIGHTS: Final = (4, 6, 3, 2, 4, 6, 3, 2, 7, 5)

YEARS: Final = range(1900, 2100)
"""Plausible years of registration. Other twelve-digit identifiers exist (eFeide's provisional ones, for instance), and
most of them do not begin with such a year. The range ends in a round year because this module has no clock."""


def is_valid(number: str) -> bool:
    """Return True if *number* can be a DUF number: twelve digits, a plausible year, and correct control digits.

    No synthetic series is published. For test data take a future year, as in 209900000103: no person has that number.
    """
    return has_form(number) and has_control_digits(number)


def has_form(number: str) -> bool:
    """Return True if *number* is twelve digits that begin with a plausible year; no other kind has that form."""
    twelve = len(number) == 12 and number.isascii() and number.isdigit()  # noqa: PLR2004 - said by the docstring
    return twelve and int(number[:4]) in YEARS


def has_control_digits(number: str) -> bool:
    """Return True if the last two of twelve digits are the remainder of the weighted sum of the others."""
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:10], strict=True)) % 11
    return int(number[10:]) == remainder
