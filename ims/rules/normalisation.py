"""The normalisation of a record's texts: what importers cannot take is changed, with a warning for the case worker.

A name is truncated to its limit. A text that identifies a record or reaches a person (id, login, e-mail address) is
never truncated and never spelled in another way, because two could then be the same, or name another person: it is
omitted as a whole.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from ims.identifiers.disclosure import discloses, without_disclosed
from ims.identifiers.national_id import NationalId
from ims.records.text import (
    clean_identifier,
    clean_text,
    has_control_characters,
    has_invisible_characters,
    spell_out_markup,
    truncate_text,
)


class RecordWarning(StrEnum):
    """A defect of a person or group that is exported nevertheless."""

    DUF_CHECK_FAILED = "duf_check_failed"
    """The DUF number's check digits are wrong; perhaps it is mistyped."""
    NAME_TRUNCATED = "name_cut"
    """A name is longer than importers accept, and was truncated."""
    CONTROL_CHARACTERS_REMOVED = "control_characters_removed"
    """A text had characters that cannot be written to a file."""
    INVISIBLE_CHARACTERS_REMOVED = "invisible_characters_removed"
    """A text had characters that no reader sees; two that look alike would be different to an importer."""
    NATIONAL_ID_REMOVED = "national_id_removed"
    """A national id stood in a text that many may read; it was removed from a name, and any other text omitted."""
    MARKUP_SPELLED_OUT = "markup_spelled_out"
    """A name had ``&``, ``<`` or ``>``, which the target wants written in another way."""
    LOGIN_TOO_LONG = "login_too_long"
    """A Feide name or e-mail address is longer than a login may be, and is not used as one."""
    EMAIL_TOO_LONG = "email_too_long"
    """The e-mail address is longer than importers accept, and was omitted."""


class Limit(NamedTuple):
    """The greatest number of characters that a text may have, and the source of the limit."""

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
"""The limit of each field of a record, the same for every target: which importer reads a file is not known here.

Moodle's limits are the lengths of its database columns. Where it stops the import, one text that is too long would keep
out everything that follows it in the file.
"""

_ORDER: Final = {warning: place for place, warning in enumerate(RecordWarning)}


class Normaliser:
    """Normalises the texts of one record, and collects the warnings that they lead to."""

    __slots__ = ("_own", "_spell_out_markup", "_warnings")

    def __init__(self, *, spell_out_markup: bool, own: NationalId | None = None) -> None:
        """Begin a record.

        Args:
            spell_out_markup: as the target's setting of that name.
            own: the national id of the person whom the record is about, which no text may disclose.
        """
        self._own = own
        self._spell_out_markup = spell_out_markup
        self._warnings: set[RecordWarning] = set()

    @property
    def warnings(self) -> tuple[RecordWarning, ...]:
        """Each warning once, in the order of :class:`RecordWarning`."""
        return tuple(sorted(self._warnings, key=_ORDER.__getitem__))

    def warn(self, warning: RecordWarning) -> None:
        """Add a warning to the record."""
        self._warnings.add(warning)

    def name(self, field: str, text: str, number: str = "") -> str:
        """Return a name, not longer than the field's limit; *number* follows it in brackets and is never truncated.

        The number makes the name unique, so that it is the name that gives way.
        """
        self._warn_of_removed(text, identifier=False)
        written = clean_text(text)
        if (without := without_disclosed(written, self._own)) != written:
            self._warnings.add(RecordWarning.NATIONAL_ID_REMOVED)
            written = without
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
        """Return a login or an e-mail address; ``None`` if it is blank, too long for the field, or has a national id.

        All users of an importer could read the number.
        """
        if not text:
            return None
        self._warn_of_removed(text, identifier=True)
        written = clean_identifier(text)
        if len(written) > LIMITS[field].characters:
            self._warnings.add(too_long)
            return None
        if discloses(written, self._own):
            self._warnings.add(RecordWarning.NATIONAL_ID_REMOVED)
            return None
        return written or None

    def _warn_of_removed(self, text: str, *, identifier: bool) -> None:
        if has_control_characters(text):
            self._warnings.add(RecordWarning.CONTROL_CHARACTERS_REMOVED)
        if has_invisible_characters(text, identifier=identifier):
            self._warnings.add(RecordWarning.INVISIBLE_CHARACTERS_REMOVED)


def written_name(text: str, own: NationalId | None = None) -> str:
    """Return a name as it is published, of any length: clean, and without a national id."""
    return without_disclosed(clean_text(text), own)
