"""Text as it is written to a file: one spelling of each name, no character that XML cannot hold, one line."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from ims.records.invisible import JOINERS, without_invisible, without_stray_joiners

BOUND: Final = 2_048
"""The greatest number of characters that are normalised. Python's normalisation takes time with the square of a run of
combining marks, and a source may have a million of them in a name. No identifier and no name may be a quarter as long
as this: Unicode's normal form C makes at most four characters into one."""

_WHITE_SPACE: Final = re.compile("[\t\n\r\u2028\u2029]")
_UNWRITABLE: Final = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BRACKETS: Final = str.maketrans("<>", "\u2039\u203a")
_SKIN_TONES: Final = ("\U0001f3fb", "\U0001f3ff")


def clean_text(text: str) -> str:
    r"""Return a text of the source as it is written to a file.

    Tabs and line breaks become spaces, because some importers read a record line by line. Control characters and what
    else XML 1.0 forbids (section 2.2, ``Char``) are removed, as are characters that no reader sees
    (:mod:`ims.records.invisible`). Letters that can be written in two ways are written in one (Unicode NFC), so that
    the same name is the same bytes. White space at both ends is removed, no-break spaces too.

    Of a text longer than :data:`BOUND` only the beginning is returned, which is still longer than any field may be.

    >>> clean_text(" Ka\x00ri\tA\u030a\u200bsen\u00a0")
    'Kari Åsen'
    """
    return text.strip() if _is_plain(text) else _cleaned(text, without_stray_joiners)


def clean_identifier(text: str) -> str:
    r"""Return a text that identifies or reaches a person or group, as :func:`clean_text`, but without any joiner.

    >>> clean_identifier("ada\u200d@fjordvik.example"), clean_identifier("B\u200c1")
    ('ada@fjordvik.example', 'B1')
    """
    return text.strip() if _is_plain(text) else _cleaned(text, without_invisible)


def has_control_characters(text: str) -> bool:
    r"""Return True if :func:`clean_text` removes control characters from the text, or others that XML forbids.

    >>> has_control_characters("Ka\x00ri"), has_control_characters("Kari\tÅsen")
    (True, False)
    """
    return not text.isprintable() and _UNWRITABLE.search(_WHITE_SPACE.sub(" ", text)) is not None


def has_invisible_characters(text: str, *, identifier: bool = False) -> bool:
    r"""Return True if the text loses characters that no reader sees, or begins or ends with a space of another kind.

    Args:
        identifier: ask it of :func:`clean_identifier` instead of :func:`clean_text`.

    >>> has_invisible_characters("Kari\u200b"), has_invisible_characters(" Åse ")
    (True, False)
    """
    if text.isascii():
        return False
    visible = without_invisible(text) if identifier else without_stray_joiners(text)
    return visible != text or visible.strip(" \t\r\n") != visible.strip()


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _cleaned(text: str, without: Callable[[str], str]) -> str:
    text = without(_UNWRITABLE.sub("", _WHITE_SPACE.sub(" ", text))).strip()
    if len(text) > BOUND:
        text = text[:BOUND]  # not stripped again: it must stay too long for its field
    return unicodedata.normalize("NFC", text)


def visible(text: str) -> str:
    r"""Return the text with every character that cannot be seen written as an escape, for a line that a person reads.

    Control characters would move a terminal's cursor or forge a line, marks of direction would turn digits around.
    Spaces of other widths become spaces.

    >>> visible("Ka\x1bri\u00a0\u202e")
    'Ka\\x1bri \\u202e'
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else " "
        if unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def spell_out_markup(text: str) -> str:
    r"""Return the text with the characters that XML must escape replaced.

    ``&`` becomes ``og`` (Norwegian for "and") with a space on either side, ``<`` and ``>`` become single guillemets.
    For an importer that does not decode entities: Moodle stores ``&amp;`` and ``&lt;`` as they are in the file.

    >>> spell_out_markup("Norsk & mat"), ascii(spell_out_markup("R&D <1>"))
    ('Norsk og mat', "'R og D \\u20391\\u203a'")
    """
    first, *others = (part.strip() for part in text.split("&"))
    if others:
        text = " og ".join([first, *filter(None, others[:-1]), others[-1]]).strip()
    return text.translate(_BRACKETS)


def truncate_text(text: str, limit: int) -> str:
    r"""Return the beginning of the text, of at most *limit* characters (Unicode code points).

    What a reader sees as one character is kept whole as far as the standard library knows: combining marks stay with
    their letter, and joined or toned emoji stay together. Clusters that need Unicode's own tables are not recognised:
    flags (pairs of regional indicators) and conjuncts of Indic scripts. Only a text with no place to end it between two
    characters is truncated within one.

    >>> truncate_text("Kari", 4), truncate_text("Kari N", 5), truncate_text("Br\u00f8n\u0303\u0301s", 5)
    ('Kari', 'Kari', 'Brø')
    """
    if len(text) <= limit:
        return text
    end = limit
    while end > 0 and _belong_together(text[end - 1], text[end]):
        end -= 1
    return text[: end or limit].rstrip().rstrip("".join(JOINERS))


def _belong_together(before: str, after: str) -> bool:
    lowest, highest = _SKIN_TONES
    return (
        not JOINERS.isdisjoint((before, after))
        or unicodedata.category(after).startswith("M")
        or lowest <= after <= highest
    )
