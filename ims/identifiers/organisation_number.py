"""Organisasjonsnummer: the nine digits of an organisation in Enhetsregisteret, the register of legal entities.

Source: Brønnøysundregistrene, "Organisasjonsnummeret": eight digits and one control digit, weights 3 2 7 6 5 4 3 2,
modulo 11. Numbers are issued from the series that begin with 8 and 9.

python-stdnum checks the control digit. It does not check the first digit, hence the rule of our own here. The value
added tax number (``NO 988 077 917 MVA``) is another identifier and no organisation number.

>>> is_valid("988077917"), is_valid("974568012"), is_valid("988077918")
(True, True, False)
>>> is_valid("NO988077917"), is_valid("100000008")
(False, False)
>>> is_valid("100000008", allow_test_numbers=True), is_valid("100000009", allow_test_numbers=True)
(True, False)
"""

from stdnum.no import orgnr


def is_valid(number: str, *, allow_test_numbers: bool = False) -> bool:
    """Return True if *number* can be an organisation number.

    With *allow_test_numbers* it may begin with any digit: a made-up owner should have a number from a series that is
    not issued. The control digit is checked in either case.
    """
    nine = len(number) == 9 and number.isascii()  # noqa: PLR2004 - the digits of an organisation number
    return nine and orgnr.is_valid(number) and (allow_test_numbers or number[0] in "89")
