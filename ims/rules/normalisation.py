"""The normalisation of a record's texts: what importers cannot take is changed, with a warning for the case worker.

A name is truncated to its limit. A text that identifies a record or reaches a person (id, login, e-mail address) is
never truncated and never spelled in another way, because two could then be the same, or name another person: it is
omitted as a whole.
"""

from enum import StrEnum
from typing import Final, Literal

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
from ims.targets.target_settings import TargetSettings


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
    LOGIN_TAKEN = "login_taken"
    """Another person has the login; this one is published without it."""
    REGISTERED_TWICE = "registered_twice"
    """Another person has the same national id and is excluded for it."""
    EMAIL_TOO_LONG = "email_too_long"
    """The e-mail address is longer than importers accept, and was omitted."""
    LOGIN_WITH_MARKUP = "login_with_markup"
    """A Feide name or e-mail address has ``&``, ``<`` or ``>``, which the importer would store in another way; it is
    not used as login."""
    EMAIL_WITH_MARKUP = "email_with_markup"
    """The e-mail address has such a character, and was omitted."""


_ORDER: Final = {warning: place for place, warning in enumerate(RecordWarning)}


_MARKUP: Final = frozenset("&<>")
_TOO_LONG: Final = {"login": RecordWarning.LOGIN_TOO_LONG, "email": RecordWarning.EMAIL_TOO_LONG}
_WITH_MARKUP: Final = {"login": RecordWarning.LOGIN_WITH_MARKUP, "email": RecordWarning.EMAIL_WITH_MARKUP}


class Normaliser:
    """Normalises the texts of one record, and collects the warnings that they lead to."""

    __slots__ = ("_limits", "_own", "_spell_out_markup", "_warnings")

    def __init__(self, settings: TargetSettings, own: NationalId | None = None) -> None:
        """Begin a record.

        Args:
            settings: of the target: the limits of its importer, and whether that decodes entities.
            own: the national id of the person whom the record is about, which no text may disclose.
        """
        self._own = own
        self._spell_out_markup = settings.spell_out_markup
        self._limits = settings.profile.limits
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
        limit = self._limits[field].characters - len(tail)
        if len(written) > limit:
            self._warnings.add(RecordWarning.NAME_TRUNCATED)
            written = truncate_text(written, limit)
        return (written + tail).lstrip()

    def address(self, field: Literal["login", "email"], text: str | None) -> str | None:
        """Return a login or an e-mail address; ``None`` if it is blank or cannot be written as it is.

        That is so if it is longer than the field's limit; if it has a character that the importer would read as an
        entity (``r&d@…`` would be the user name ``r&amp;d@…``); or if it has a national id, which all users of an
        importer could read.
        """
        if not text:
            return None
        self._warn_of_removed(text, identifier=True)
        written = clean_identifier(text)
        if len(written) > self._limits[field].characters:
            self._warnings.add(_TOO_LONG[field])
            return None
        if self._spell_out_markup and not _MARKUP.isdisjoint(written):
            self._warnings.add(_WITH_MARKUP[field])
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
