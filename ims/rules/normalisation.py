"""How the texts of a record are worded: what no importer can take is mended, and remarked upon for the case worker.

A name is cut to its limit. What something is known by (ids, logins, addresses) is never cut and never spelled anew,
because two could then be the same, or lead to somebody else: it is left out whole.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from ims.records.text import clean_text, has_control_characters, spell_out_markup, truncate_text


class RecordWarning(StrEnum):
    """What was not as it should be with a person or group that is exported all the same."""

    DUF_CHECK_FAILED = "duf_check_failed"
    """The DUF number's check digits are wrong; perhaps it is mistyped."""
    NAME_TRUNCATED = "name_cut"
    """A name is longer than importers take, and was cut."""
    CONTROL_CHARACTERS_REMOVED = "control_characters_removed"
    """A text held characters that cannot stand in a file."""
    MARKUP_SPELLED_OUT = "markup_spelled_out"
    """A name held ``&``, ``<`` or ``>``, which the target wants written in another way."""
    LOGIN_TOO_LONG = "login_too_long"
    """A Feide name or e-mail address is longer than a login may be, and is not used as one."""
    EMAIL_TOO_LONG = "email_too_long"
    """The e-mail address is longer than importers take, and was left out."""


class Limit(NamedTuple):
    """The greatest number of characters that a text may have, and who says so."""

    characters: int
    source: str


LIMITS: Final = {
    "id": Limit(100, "Moodle: idnumber of a course; a longer one stops the import"),
    "login": Limit(100, "Moodle: username of a user"),
    "email": Limit(100, "Moodle: email of a user"),
    "given_name": Limit(100, "Moodle: firstname of a user; a longer one stops the import"),
    "family_name": Limit(100, "Moodle: lastname of a user"),
    "short": Limit(60, "IMS Enterprise 1.1 and PIFU-IMS 1.3: description/short"),
    "long": Limit(254, "Moodle: fullname of a course; a longer one stops the import (IMS Enterprise 1.1 allows 256)"),
    "kind": Limit(256, "IMS Enterprise 1.1: grouptype/typevalue"),
    "owner_name": Limit(256, "IMS Enterprise 1.1: org/orgname"),
    "school_name": Limit(255, "Moodle: name of a course category (IMS Enterprise 1.1 allows 256)"),
}
"""By the record's field."""

_ORDER: Final = {warning: place for place, warning in enumerate(RecordWarning)}


class Normaliser:
    """The texts of one record, and the remarks that they have led to."""

    __slots__ = ("_spell_out_markup", "_warnings")

    def __init__(self, *, spell_out_markup: bool) -> None:
        self._spell_out_markup = spell_out_markup
        self._warnings: set[RecordWarning] = set()

    @property
    def warnings(self) -> tuple[RecordWarning, ...]:
        """Each remark once, in the order of :class:`RecordWarning`."""
        return tuple(sorted(self._warnings, key=_ORDER.__getitem__))

    def warning(self, warning: RecordWarning) -> None:
        """Remark upon the record."""
        self._warnings.add(warning)

    def clean(self, text: str) -> str:
        """The text as it stands in a file, whatever its length; for what must not be spelled anew."""
        if not (text.isascii() and text.isprintable()) and has_control_characters(text):
            self._warnings.add(RecordWarning.CONTROL_CHARACTERS_REMOVED)
        return clean_text(text)

    def name(self, field: str, text: str, number: str = "") -> str:
        """A name, not longer than the field's limit; *number* is put after it in brackets and is never cut."""
        written = self.clean(text)
        if self._spell_out_markup and (spelled := spell_out_markup(written)) != written:
            self._warnings.add(RecordWarning.MARKUP_SPELLED_OUT)
            written = spelled
        tail = f" ({number})" if number else ""
        limit = LIMITS[field].characters - len(tail)
        if len(written) > limit:
            self._warnings.add(RecordWarning.NAME_TRUNCATED)
            written = truncate_text(written, limit)
        return (written + tail).lstrip()

    def address(self, field: str, text: str | None, too_long: RecordWarning) -> str | None:
        """A login or an e-mail address; ``None`` if it is blank, or longer than the field's limit."""
        written = self.clean(text) if text else ""
        if len(written) > LIMITS[field].characters:
            self._warnings.add(too_long)
            return None
        return written or None
