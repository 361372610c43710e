"""A substitute for each real national id that no person has: valid if the original is, or invalid in the same way.

A key chooses the number. Without the key, which is not stored, the original cannot be found; the same original always
has the same substitute, and two originals never have the same one.

>>> ids = SubstituteIds(b"key")
>>> one = ids.instead_of("418140 61033")
>>> d_number.is_valid(one, allow_test_numbers=True), one == ids.instead_of("41814061033")
(True, True)
>>> duf_number.is_valid(ids.instead_of("201017238203")), duf_number.is_valid(ids.instead_of("201012345678"))
(True, False)
"""

import hmac
from itertools import count, cycle
from typing import Final

from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

from ims.identifiers import birth_number, compact, d_number, duf_number

_MONTH_SHIFT: Final = birth_number.TEST_SERIES[0]
_DUF_YEAR: Final = "2099"
_NO_YEAR: Final = "0000"
_ELEVEN, _TWELVE = 11, 12


class SubstituteIds:
    """The substitutes chosen so far.

    Args:
        key: secret; another one gives other numbers.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def instead_of(self, registered: str) -> str:
        """Return the synthetic number for a registered one, in its shortest form.

        A fødselsnummer or D-number becomes one with 80 added to the month, a DUF number one of the year 2099. A wrong
        control digit stays wrong, a day that does not exist becomes day 0, an implausible year of a DUF number the year
        0. Any other text keeps only its shape: a digit for a digit, and an x for any other character.
        """
        number = compact(registered)
        if number not in self._given:
            self._given[number] = self._new(number)
        return self._given[number]

    def _new(self, number: str) -> str:
        if not (number.isascii() and number.isdigit() and len(number) in {_ELEVEN, _TWELVE}):
            return _shape(number, self._chance(number, 0))
        like = _like_eleven if len(number) == _ELEVEN else _like_twelve
        candidates = (like(number, self._chance(number, attempt)) for attempt in count())
        synthetic = next(one for one in candidates if one is not None and one not in self._taken)
        self._taken.add(synthetic)
        return synthetic

    def _chance(self, number: str, attempt: int) -> int:
        text = f"{attempt} {number}".encode(errors="replace")
        return int.from_bytes(hmac.digest(self._key, text, "sha256"), "big")


def _like_eleven(number: str, chance: int) -> str | None:
    """Return the number with its control digits, or ``None`` if one would be 10; such a number is not issued."""
    shift = d_number.DAY_SHIFT if number[0] in "4567" else 0
    day = shift
    if birth_number.is_day(int(number[:2]) - shift, number, allow_test_numbers=True):
        chance, day_of_month = divmod(chance, 28)  # days that every month has
        day += 1 + day_of_month
    chance, month = divmod(chance, 12)
    first = f"{day:02}{1 + month + _MONTH_SHIFT}{chance % 100_000:05}"
    first += calc_check_digit1(first)
    synthetic = first + calc_check_digit2(first)
    if len(synthetic) != _ELEVEN:
        return None
    return synthetic if birth_number.has_control_digits(number) else _with_wrong_end(synthetic)


def _like_twelve(number: str, chance: int) -> str:
    first = f"{_DUF_YEAR if duf_number.has_form(number) else _NO_YEAR}{chance % 1_000_000:06}"
    right = next(one for rest in range(11) if duf_number.has_control_digits(one := f"{first}{rest:02}"))
    return right if duf_number.has_control_digits(number) else _with_wrong_end(right)


def _with_wrong_end(number: str) -> str:
    return f"{number[:-1]}{(int(number[-1]) + 1) % 10}"


def _shape(text: str, chance: int) -> str:
    digits = cycle(str(chance))
    return "".join(next(digits) if char.isascii() and char.isdigit() else "x" for char in text)
