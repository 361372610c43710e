"""National ids inside other texts: in an e-mail address, a login, a name, a group's code.

Sooner or later a number is typed into a field that everyone may read, or an address is made of it. Here, unlike in
:func:`ims.identifiers.national_id.without_national_ids`, only numbers count that a person can have: a text that is
published must not lose a telephone number or the date of a course.

>>> discloses("bo.01819012284@fjordvik.example"), discloses("tlf. 22 33 44 55 / 66 77 88")
(True, False)
>>> without_disclosed("Ada (018190 12284)"), without_disclosed("01819012284")
('Ada ()', '')
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from ims.identifiers import compact
from ims.identifiers.national_id import NationalId, kind_of

_DIGIT: Final = re.compile(r"\d")
_RUN: Final = re.compile(r"\d(?:[\W_]{0,3}\d)*")
"""Digits, with no more than a few separators between two of them."""
_LENGTHS: Final = (11, 12)


def discloses(text: str, own: NationalId | None = None) -> bool:
    """Return True if a national id is part of the text.

    Args:
        own: the national id of the person whom the text is about; it counts even if it is not valid.
    """
    return next(_found(text, own), None) is not None


def without_disclosed(text: str, own: NationalId | None = None) -> str:
    """Return the text without the national ids in it; the arguments are those of :func:`discloses`."""
    kept, end = "", 0
    for first, last in _found(text, own):
        kept, end = kept + text[end:first], last
    return (kept + text[end:]).strip() if end else text


def _found(text: str, own: NationalId | None) -> Iterator[tuple[int, int]]:
    """Yield where each national id begins and ends; in time linear in the length of the text."""
    if len(text) < _LENGTHS[0] or _DIGIT.search(text) is None:
        return
    number = "" if own is None else compact(own.reveal())
    number = number if len(number) in _LENGTHS and number.isdecimal() else ""
    for run in _RUN.finditer(text):
        places = [place for place in range(*run.span()) if text[place].isdecimal()]
        digits = "".join(str(unicodedata.decimal(text[place])) for place in places)
        start = 0
        while start <= len(digits) - _LENGTHS[0]:
            length = _length_at(digits, start, places, number)
            if length:
                yield places[start], places[start + length - 1] + 1
            start += length or 1


def _length_at(digits: str, start: int, places: list[int], own: str) -> int:
    """Return how many digits from *start* on are a national id; 0 if none are."""
    for length in _LENGTHS:
        part = digits[start : start + length]
        if len(part) < length:
            break
        if part == own:
            return length
        # With separators, only all the digits: an id inside a list of telephone numbers is an accident.
        together = length == len(digits) or places[start + length - 1] - places[start] == length - 1
        if together and kind_of(NationalId(part), allow_test_numbers=True) is not None:
            return length
    return 0
