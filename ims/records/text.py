"""Text as it stands in a file: one spelling of each name, nothing that XML cannot hold, one line."""

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
    r"""The text as it stands in a file, whatever the source has in its fields.

    Tabs and line breaks become spaces, because a record is read line by line. Control characters and what else XML 1.0
    forbids (section 2.2, ``Char``) are removed. Letters that can be written in two ways are written in one (Unicode
    NFC), so that the same name is the same bytes. Space at both ends is cut off.

    >>> clean_text(" Ka\x00ri\tA\u030asen ")
    'Kari Åsen'
    """
    if text.isprintable():  # so nothing has to go: all but the shape of its letters is right
        return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()
    return unicodedata.normalize("NFC", _UNWRITABLE.sub("", _WHITE_SPACE.sub(" ", text))).strip()


def has_control_characters(text: str) -> bool:
    r"""Whether :func:`clean_text` removes characters from the text, other than space at its ends.

    >>> has_control_characters("Ka\x00ri"), has_control_characters("Kari\tÅsen")
    (True, False)
    """
    return _UNWRITABLE.search(_WHITE_SPACE.sub(" ", text)) is not None


def spell_out_markup(text: str) -> str:
    r"""The text with the characters that XML must escape written in another way.

    ``&`` becomes ``og`` (Norwegian for "and") with a space on either side, ``<`` and ``>`` single guillemets. For an
    importer that does not decode entities: Moodle stores ``&amp;`` and ``&lt;`` as they stand in the file.

    >>> spell_out_markup("Norsk & mat"), ascii(spell_out_markup("R&D <1>"))
    ('Norsk og mat', "'R og D \\u20391\\u203a'")
    """
    return _AMPERSANDS.sub(" og ", text).strip().translate(_BRACKETS)


def truncate_text(text: str, limit: int) -> str:
    r"""The beginning of the text, of at most *limit* characters (Unicode code points), cut between two characters.

    What a reader sees as one character is kept whole as far as the standard library can tell: marks stay with their
    letter, and joined or toned emoji stay together. Not seen are the clusters that need Unicode's own tables: flags
    (pairs of regional indicators), and conjuncts of Indic scripts. Only where there is no such place at all is the text
    cut in the middle.

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
