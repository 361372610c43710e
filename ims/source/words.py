"""The words that decide: columns of the facts that hold one word of a fixed list.

A word that is not in its list is never taken for "no": a source that renames ``active`` would take everybody out. Its
row goes to quarantine with the reason ``unknown_word``, and the last known fact stays. The mapping file says what the
source's own words mean.
"""

from collections.abc import Mapping
from typing import Final

from ims.identifiers.national_id import without_national_ids
from ims.source.facts import Table

ACTIVE: Final = "active"
"""The one status of an enrolment that counts."""
MOVED: Final = "moved"
"""The status of an enrolment whose row says, as far as it can be read, that it is of another person or group now."""
LEARNER: Final = "learner"
TEACHER: Final = "teacher"

WORDS: Final[Mapping[tuple[Table, str], frozenset[str]]] = {
    (Table.EMPLOYEE, "kind"): frozenset({TEACHER, "case_worker", "other"}),
    (Table.COURSE_GROUP, "programme"): frozenset({"grunnskole", "norsk", "videregaende", "annet"}),
    (Table.ENROLMENT, "role"): frozenset({LEARNER, TEACHER}),
    (Table.ENROLMENT, "status"): frozenset({
        ACTIVE,
        # Every other status means that the enrolment does not count. They are listed, so that a word of another
        # language or a renamed one is noticed.
        *("ended", "finished", "completed", "passed", "failed", "graduated", "expired", "closed", "archived"),
        *("withdrawn", "left", "quit", "stopped", "interrupted", "dropped", "expelled", "cancelled", "canceled"),
        *("rejected", "declined", "deleted", "removed", "inactive", MOVED, "transferred", "paused", "suspended"),
        *("planned", "applied", "offered", "pending", "waiting", "waitlisted", "not_started"),
    }),
}
"""The words of each column that has a fixed list."""

_SHOWN: Final = 30
"""Characters of an unknown word that are shown: a text that is longer is no word."""


def shown_word(word: str) -> str:
    """Return an unknown word as an error may show it: quoted, not long, and without anything like a national id.

    >>> shown_word("aktiv"), shown_word("a" * 31)
    ("'aktiv'", 'a text of 31 characters')
    """
    return repr(without_national_ids(word)) if len(word) <= _SHOWN else f"a text of {len(word)} characters"
