"""Text as it is written to a file: one spelling of each name, no character that XML cannot hold, one line."""

import re
import unicodedata
from typing import Final

_WHITE_SPACE: Final = re.compile(r"[\t\n\r]")
_UNWRITABLE: Final = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_AMPERSANDS: Final = re.compile(r"[\s&]*&[\s&]*")
_BRACKETS: Final = str.maketrans("<>", "\u2039\u203a")
_JOINER: Final = "\u200d"
_SKIN_TONES: Final = ("\U0001f3fb", "\U0001f3ff")


def clean_text(text: str) -> str:
    r"""Return a text of the source as it is written to a file.

    Tabs and line breaks become spaces, because some importers read a record line by line. Control characters and what
    else XML 1.0 forbids (section 2.2, ``Char``) are removed. Letters that can be written in two ways are written in one
    (Unicode NFC), so that the same name is the same bytes. White space at both ends is removed.

    >>> clean_text(" Ka\x00ri\tA\u030asen ")
    'Kari Åsen'
    """
    if text.isprintable():  # no character has to be removed; only the normal form may differ
        return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()
    return unicodedata.normalize("NFC", _UNWRITABLE.sub("", _WHITE_SPACE.sub(" ", text))).strip()


def has_control_characters(text: str) -> bool:
    r"""Return True if :func:`clean_text` removes characters from the text, other than white space at its ends.

    >>> has_control_characters("Ka\x00ri"), has_control_characters("Kari\tÅsen")
    (True, False)
    """
    return _UNWRITABLE.search(_WHITE_SPACE.sub(" ", text)) is not None


def spell_out_markup(text: str) -> str:
    r"""Return the text with the characters that XML must escape replaced.

    ``&`` becomes ``og`` (Norwegian for "and") with a space on either side, ``<`` and ``>`` become single guillemets.
    For an importer that does not decode entities: Moodle stores ``&amp;`` and ``&lt;`` as they are in the file.

    >>> spell_out_markup("Norsk & mat"), ascii(spell_out_markup("R&D <1>"))
    ('Norsk og mat', "'R og D \\u20391\\u203a'")
    """
    return _AMPERSANDS.sub(" og ", text).strip().translate(_BRACKETS)


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
    return text[: end or limit].rstrip()


def _belong_together(before: str, after: str) -> bool:
    lowest, highest = _SKIN_TONES
    return _JOINER in {before, after} or unicodedata.category(after).startswith("M") or lowest <= after <= highest
