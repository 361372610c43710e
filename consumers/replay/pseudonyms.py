"""Rows without personal data: no person in them can be recognised, and the rules decide as for the original.

docs/events-file.md says which columns are kept and which are replaced, and by what. A column that is in neither list
is dropped. A value that is invalid for its column is replaced by another invalid value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from consumers.replay.substitute_ids import SubstituteIds
from ims.errors import BadMessageError
from ims.identifiers import compact
from ims.records.text import clean_text
from ims.source.events import UNAVAILABLE, Row
from ims.source.facts import Table
from ims.source.mapping import read_value

KEPT: Final[Mapping[Table, frozenset[str]]] = {
    Table.OWNER: frozenset({"owner_id", "orgnr", "name"}),
    Table.SCHOOL: frozenset({"owner_id", "id", "school_no", "orgnr", "name"}),
    Table.PERSON: frozenset({"owner_id", "id", "protected"}),
    Table.EMPLOYEE: frozenset({"owner_id", "id", "person_id", "school_id", "kind", "active"}),
    Table.COURSE_GROUP: frozenset({
        *("owner_id", "id", "school_id", "programme", "kind"),
        *("starts_on", "ends_on", "active"),
    }),
    Table.ENROLMENT: frozenset({
        *("owner_id", "id", "person_id", "group_id", "role"),
        *("starts_on", "ends_on", "status"),
    }),
}
"""Columns whose values are kept, except numbers in a text that may be a person's national id."""

_IMPOSSIBLE: Final = "\0"
"""A value that is invalid in every column: no number, no date, no truth value, and no text in PostgreSQL."""
_UNKNOWN_WORD: Final = "unknown"
"""A word that is in no column's list."""
_LIKE_A_NATIONAL_ID: Final = re.compile(r"(?<!\d)\d{6}[ -]?\d{5,6}(?!\d)", re.ASCII)
_DIGITS_OF_A_NATIONAL_ID: Final = re.compile(r"\d{11,12}", re.ASCII)


class Pseudonyms:
    """The replacement of each original; the same original has the same replacement in every row.

    Args:
        key: secret, for the choice of national ids; not to be stored.
    """

    def __init__(self, key: bytes) -> None:
        self._ids = SubstituteIds(key)
        self._numbers: dict[str, dict[str, int]] = {}
        self._replacing: Mapping[tuple[Table, str], Callable[[str], str | None]] = {
            (Table.PERSON, "national_id"): self._ids.instead_of,
            (Table.PERSON, "given_name"): lambda text: self._numbered("Given {}", text),
            (Table.PERSON, "family_name"): lambda text: self._numbered("Family {}", text),
            (Table.PERSON, "birth_date"): lambda _: None,
            (Table.PERSON, "email"): self._address,
            (Table.PERSON, "mobile"): lambda text: self._numbered("+4700{:06}", text),
            (Table.PERSON, "feide_name"): self._address,
            (Table.COURSE_GROUP, "code"): lambda text: self._numbered("G{}", text),
            (Table.COURSE_GROUP, "name"): lambda text: self._numbered("Group {}", text),
        }

    def replaced(self, table: Table) -> set[str]:
        """Return the columns of *table* whose values are replaced."""
        return {name for of, name in self._replacing if of is table}

    def row(self, table: Table, row: Row) -> Row:
        """Return the row without personal data, by our column names."""
        columns = KEPT[table] | self.replaced(table)
        return {name: self._value(table, name, value) for name, value in row.items() if name in columns}

    def _value(self, table: Table, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        if value is None or value == UNAVAILABLE:
            return value
        try:
            read = read_value(table, name, value)
        except BadMessageError as error:
            return _UNKNOWN_WORD if error.reason == "unknown_word" else _IMPOSSIBLE
        replacing = self._replacing.get((table, name))
        if replacing is not None:
            return replacing(str(read))
        if isinstance(read, date):
            return read.isoformat()
        return _LIKE_A_NATIONAL_ID.sub(self._id_in_text, read) if isinstance(read, str) else read

    def _id_in_text(self, match: re.Match[str]) -> str:
        return self._ids.instead_of(match[0])

    def _address(self, text: str) -> str:
        local, at, _ = text.partition("@")
        domain = "@example.org" if at else ""
        if _DIGITS_OF_A_NATIONAL_ID.fullmatch(compact(local)):
            # The rules refuse such a login, and must refuse its replacement too.
            return f"{self._ids.instead_of(local)}{domain}"
        return self._numbered("user{}" + domain, text.lower())

    def _numbered(self, pattern: str, text: str) -> str:
        """Return the pattern with the text's number; a blank text stays blank, since the rules check for that."""
        cleaned = clean_text(text)
        if not cleaned:
            return text
        numbers = self._numbers.setdefault(pattern, {})
        return pattern.format(numbers.setdefault(cleaned, len(numbers) + 1))
