"""Text as it stands in a file: one spelling of each name, nothing that XML cannot hold, one line."""

import re
import unicodedata
from typing import Final

_WHITE_SPACE: Final = re.compile(r"[\t\n\r]")
_UNWRITABLE: Final = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean_text(text: str) -> str:
    r"""The text as it stands in a file, whatever the source has in its fields.

    Tabs and line breaks become spaces, because a record is read line by line. Control characters and what else XML 1.0
    forbids (section 2.2, ``Char``) are removed. Letters that can be written in two ways are written in one (Unicode
    NFC), so that the same name is the same bytes. Space at both ends is cut off.

    >>> clean_text(" Ka\x00ri\tA\u030asen ")
    'Kari Åsen'
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    return unicodedata.normalize("NFC", _UNWRITABLE.sub("", _WHITE_SPACE.sub(" ", text))).strip()
