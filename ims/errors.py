"""The kinds of error of the domain. Each says what is wrong, where, and what to do about it.

Texts never hold personal data: they may name a table, a column, a running number or a file, never a national id.
"""

import contextlib
from collections.abc import Iterator


class ImsfeedError(Exception):
    """Base of every error that imsfeed raises on purpose."""


class OperatorNeededError(ImsfeedError):
    """Only a person can fix this; to start again does not help. A process ends with exit code 2."""


class InvalidSettingsError(OperatorNeededError):
    """A setting of a process or of a target is missing or wrong; correct it and start again."""


class BadMessageError(ImsfeedError):
    """A message that can never be applied: it goes to quarantine, and the messages after it are applied.

    Args:
        reason: one of a few fixed words, used as a metric label (``not_json``, ``impossible_value`` ...).
        detail: what was expected, and of which column; never the value itself.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FeedError(ImsfeedError):
    """A file of the feed contradicts what was recorded about it; nothing is overwritten, an operator must look."""


@contextlib.contextmanager
def naming_setting(name: str) -> Iterator[None]:
    """Add the setting *name* to any error of the block: a library's error says which server failed, not whose it is."""
    try:
        yield
    except Exception as error:
        error.add_note(name)
        raise


def named_settings(error: BaseException) -> str:
    """Return the settings of :func:`naming_setting` before an error's text, such as ``STATE_DSN: ``; or nothing."""
    return "".join(f"{name}: " for name in getattr(error, "__notes__", ()))
