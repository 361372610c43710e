"""Where a free text has something that reads as a national id, however its digits are written and separated.

People type the numbers into names, codes, reasons and file names, with whatever separates digits on their keyboards or
in the document from which they copy: spaces of any width, dashes, dots, slashes, characters that are not visible. A
digit is what Unicode calls one, in any script and width.

The number's whole length decides, 11 digits or 12. Grouped as people group it (010180 12345, 01.01.80-12345,
2010 172382 03) or not at all, every number of that length is taken for one. Grouped otherwise, it is one if its digits
can be a date of birth or a year of registration, so that most telephone numbers and lists of numbers stay readable.
Moments, internet addresses and SHA-256 digests that are written as programs write them are none.

>>> text = "Kari 018100 12345, tlf. 22 33 44 55, fra 15.10.2026 12:30"
>>> [text[start:end] for start, end in national_ids_in(text)]
['018100 12345']
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_SHORTEST: Final = 11
_LONGEST: Final = 12
_USUAL_CUTS: Final = {_SHORTEST: frozenset({2, 4, 6, 9}), _LONGEST: frozenset({4, 10})}
"""After which digits people write a separator: in fødselsnummer and D-number, in a DUF number."""
_MONTH_SHIFTS: Final = (0, 40, 65, 80)
"""What the synthetic series add to the month of birth (:mod:`ims.identifiers.birth_number`)."""
_DAY_SHIFTS: Final = (0, 40)
"""What a D-number adds to the day of birth (:mod:`ims.identifiers.d_number`)."""

# Characters of the outline of a text, in which a digit is itself.
_BREAK: Final = "x"
_SEPARATOR: Final = "s"
_PUNCTUATION: Final = "p"
_INVISIBLE: Final = "i"

_INVISIBLE_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters that are drawn as nothing (Default_Ignorable_Code_Point of the Unicode Character Database)."""
_PUNCTUATING: Final = frozenset(",;()[]{}\"'=<>+%#&@!?$^")
"""What stands between two numbers of a list or a formula, so that it joins digits only if it stands alone."""
_PUNCTUATING_CATEGORIES: Final = frozenset({"Ps", "Pe", "Pi", "Pf", "Sc"})

_ENOUGH_DIGITS: Final = re.compile(rf"(?:[^0-9]*[0-9]){{{_SHORTEST}}}")
_DIGITS: Final = re.compile(r"[0-9]+")
_JOINS: Final = re.compile(rf"{_SEPARATOR}{{1,3}}|{_PUNCTUATION}")
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_NO_ID: Final = re.compile(
    r"(?<![\d.:])(?:"
    r"(?:(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|(?:[0-2]?\d|3[01])\.(?:0?[1-9]|1[0-2])\.(?:19|20)\d\d)"
    r"(?:[ T](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:[+-]\d\d:?\d\d)?(?!\d)|(?![\W_]{0,3}\d))"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{64}(?![0-9A-Za-z])"
    rf"|(?:{_OCTET}\.){{3}}{_OCTET}(?::\d{{1,5}})?(?![.:]?\d)"
    r")",
    re.ASCII,
)


def national_ids_in(text: str) -> list[tuple[int, int]]:
    """Return where *text* has what may be a national id: start and end of each place, in order, none overlapping.

    The time is linear in the length of the text.
    """
    outline = text.translate(_OUTLINES)
    if _ENOUGH_DIGITS.match(outline) is None:
        return []
    if _INVISIBLE in outline:
        places = [place for place, kind in enumerate(outline) if kind != _INVISIBLE]
        outline = outline.replace(_INVISIBLE, "")
        return [(places[start], places[end - 1] + 1) for start, end in _merged(_numbers(outline))]
    outline = _NO_ID.sub(lambda found: _BREAK * len(found[0]), text).translate(_OUTLINES)
    return list(_merged(_numbers(outline)))


class _Outlines(dict[int, str]):
    """What each character is to the outline, by its code point, as :meth:`str.translate` asks for it."""

    def __missing__(self, code: int) -> str:
        return _kind_of(chr(code))


@lru_cache(4096)
def _kind_of(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    control = category == "Cc" and not character.isspace()
    if control or category == "Cf" or category[0] == "M" or character in _INVISIBLE_LETTERS:
        return _INVISIBLE
    if character in _PUNCTUATING or category in _PUNCTUATING_CATEGORIES:
        return _PUNCTUATION
    # Letters that modify others look like dashes and apostrophes.
    return _SEPARATOR if category[0] in "ZPSC" or category == "Lm" else _BREAK


_OUTLINES: Final = _Outlines({code: _kind_of(chr(code)) for code in range(128)})


def _numbers(outline: str) -> Iterator[tuple[int, int]]:
    """Yield every place at which neighbouring groups of digits together read as a national id, by their start."""
    groups = [match.span() for match in _DIGITS.finditer(outline)]
    for first, (start, first_end) in enumerate(groups):
        digits, cuts, end = outline[start:first_end], set[int](), first_end
        for next_start, next_end in groups[first + 1 : first + _LONGEST]:
            if _reads_as_national_id(digits, cuts):
                yield start, end
            if len(digits) >= _LONGEST or _JOINS.fullmatch(outline, end, next_start) is None:
                break
            cuts.add(len(digits))
            digits, end = digits + outline[next_start:next_end], next_end
        if _reads_as_national_id(digits, cuts):
            yield start, end


def _reads_as_national_id(digits: str, cuts: set[int]) -> bool:
    """Return True if *digits*, written with a separator after each of *cuts*, reads as a national id."""
    usual = _USUAL_CUTS.get(len(digits))
    if usual is None:
        return False
    if cuts <= usual:
        return True
    if len(digits) == _LONGEST:
        return digits[:2] in {"19", "20"}
    day, month = int(digits[:2]), int(digits[2:4])
    return any(1 <= day - shift <= 31 for shift in _DAY_SHIFTS) and any(  # noqa: PLR2004 - the days of a month
        1 <= month - shift <= 12  # noqa: PLR2004 - the months of a year
        for shift in _MONTH_SHIFTS
    )


def _merged(places: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the places with those that overlap made one."""
    last: tuple[int, int] | None = None
    for start, end in places:
        if last is not None and start < last[1]:
            last = (last[0], max(last[1], end))
            continue
        if last is not None:
            yield last
        last = (start, end)
    if last is not None:
        yield last
