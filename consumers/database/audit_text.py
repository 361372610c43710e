"""What a person types for an audit: a reason, or the name of the person who decides.

An audit is kept for ever, and nothing in it can be corrected. Sooner or later a user types a national id into it.
"""

from ims.errors import InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible


def audit_text(text: str, option: str) -> str:
    r"""Return the text as it is kept: on one line, without national ids and without characters that cannot be seen.

    Args:
        text: as typed.
        option: the option of the command with which it was given, for the error.

    Raises:
        InvalidSettingsError: nothing is left of it.

    >>> audit_text("  asked for by\n018100-12345 ", "--reason")
    'asked for by ***********'
    """
    kept = visible(without_national_ids(" ".join(text.split())))
    if not kept:
        raise InvalidSettingsError(f"{option} is blank; the audit needs it")
    return kept
