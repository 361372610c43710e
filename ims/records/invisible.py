r"""The characters that no reader sees, and their removal.

They come with texts that are copied from web pages, word processors and chats. Two logins that look alike are then two
accounts, or one: it depends on the importer's database.

The set is Unicode's ``Default_Ignorable_Code_Point`` (DerivedCoreProperties.txt, version 16), whether assigned or not,
and the empty pattern of Braille, which is printed as a blank.

>>> without_invisible("a\u200bda\u00ad@fjordvik.example\ufeff")
'ada@fjordvik.example'
>>> ascii(without_stray_joiners("Ka\u200dri"))
"'Kari'"
"""

import re
import unicodedata
from typing import Final

JOINERS: Final = frozenset("\u200c\u200d")
"""ZERO WIDTH NON-JOINER and JOINER. In Arabic and Indic scripts they decide how the letters around them are written,
and in an emoji they join its parts: there a reader does see their effect."""

_IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE: Final = re.compile(f"[{_IGNORABLE}]")
_INVISIBLE_OR_JOINER: Final = re.compile(f"[{_IGNORABLE}{''.join(sorted(JOINERS))}]")
_JOINED: Final = frozenset({"Lo", "Mc", "Mn", "So", "Sk"})
"""Categories of what a joiner may stand between: letters without case, their signs, emoji and skin tones."""
_COMBINING: Final = range(0x300, 0x370)
"""Marks of Latin, Greek and Cyrillic letters, between which a joiner does nothing."""


def without_invisible(text: str) -> str:
    """Return the text without all invisible characters, joiners too; for what identifies or reaches a person."""
    return _INVISIBLE_OR_JOINER.sub("", text)


def without_stray_joiners(text: str) -> str:
    """Return the text without invisible characters, except for joiners that decide how a name is written.

    A name in Persian or Hindi is spelled with them, and it cannot be corrected in the source.
    """
    text = _INVISIBLE.sub("", text)
    if JOINERS.isdisjoint(text):
        return text
    kept: list[str] = []
    for place, character in enumerate(text):
        following = text[place + 1 : place + 2]
        if character in JOINERS and not (kept and _is_joined(kept[-1]) and following and _is_joined(following)):
            continue
        kept.append(character)
    return "".join(kept)


def _is_joined(character: str) -> bool:
    return unicodedata.category(character) in _JOINED and ord(character) not in _COMBINING
