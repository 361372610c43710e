"""What a mapping file says, checked: names of tables and columns, values, and constants.

Every error names the table and the key, and what is allowed there.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

import msgspec

from ims.errors import BadMessageError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.source.columns import COLUMNS, read_value
from ims.source.facts import Table
from ims.source.words import WORDS

_KEYS: Final = ("table", "columns", "values", "constants")
_WITH_VALUES: Final[Mapping[Table, tuple[str, ...]]] = {
    Table.PERSON: ("protected",),
    Table.EMPLOYEE: ("kind", "active"),
    Table.COURSE_GROUP: ("programme", "kind", "active"),
    Table.ENROLMENT: ("role", "status"),
}
"""The columns whose values may be mapped: those that hold a word or a boolean."""
_NO_CONSTANT: Final = frozenset({"id", "person_id", "group_id"})
"""Columns that distinguish rows; with the same number everywhere, all rows would be one."""


class TableMapping(msgspec.Struct, frozen=True):
    """What the mapping says of one of our tables.

    Attributes:
        table: the source's table; ``None`` if it has our name.
        columns: the source's column for each of ours that has another name; empty for one that it does not have.
        values: for each of our columns, our value for each of the source's words.
        constants: the value of each of our columns that the source does not have.
    """

    table: str | None = None
    columns: dict[str, str] = {}
    values: dict[str, dict[str, Any]] = {}
    constants: dict[str, Any] = {}


def parse(text: str) -> dict[Table, TableMapping]:
    """Read the text of a mapping file.

    Raises:
        InvalidSettingsError: the text is not TOML, or says something that is not allowed.
    """
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InvalidSettingsError(f"mapping: not TOML: {error}") from None
    tables = {}
    for name, content in given.items():
        if name not in set(Table):
            raise _wrong(
                f"there is no table {_shown(name)}; the names in brackets are ours: {_listed(Table)};"
                f' the source\'s name follows, such as [person] and table = "elev"'
            )
        tables[Table(name)] = _table(Table(name), content)
    return tables


def _table(table: Table, content: Any) -> TableMapping:  # noqa: ANN401 - TOML
    if not isinstance(content, dict):
        raise _wrong(f"{table.value} must be a section, [{table.value}]")
    for key in content.keys() - set(_KEYS):
        raise _wrong(f"[{table.value}] has no key {_shown(key)}; its keys are {_listed(_KEYS)}")
    name = content.get("table")
    if name is not None and (not isinstance(name, str) or not name):
        raise _wrong(f'[{table.value}] table must be the name of a table, such as table = "elev"')
    columns = _section(table, content, "columns")
    for ours, theirs in columns.items():
        if not isinstance(theirs, str):
            raise _wrong(
                f"{table.value}.columns.{ours} must be the name of a column in quotes;"
                " a value that is the same in every row belongs in constants"
            )
        if not theirs and not COLUMNS[table][ours].optional:
            raise _wrong(
                f"{table.value}.{ours} must have a column; its name cannot be empty. If the source has none, give its"
                f" value in [{table.value}] constants"
            )
    values = _section(table, content, "values")
    constants = _section(table, content, "constants")
    for ours in constants:
        if columns.get(ours):
            raise _wrong(f"{table.value}.{ours} has a column and a constant; leave one of them out")
    return TableMapping(
        name,
        columns,
        {ours: _values(table, ours, words) for ours, words in values.items()},
        {ours: _constant(table, ours, value) for ours, value in constants.items()},
    )


def _section(table: Table, content: dict[str, Any], key: str) -> dict[str, Any]:
    section = content.get(key, {})
    if not isinstance(section, dict):
        raise _wrong(f"[{table.value}] {key} must be a table, such as {key} = {{ … }}")
    for ours in section:
        if ours not in COLUMNS[table]:
            raise _wrong(f"{table.value} has no column {_shown(ours)}; its columns are {_listed(COLUMNS[table])}")
    return section


def _values(table: Table, ours: str, words: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    allowed = _WITH_VALUES.get(table, ())
    if ours not in allowed:
        of = f"; of {table.value} those of {_listed(allowed)} may be" if allowed else ""
        raise _wrong(f"the values of {table.value}.{ours} cannot be mapped{of}")
    if not isinstance(words, dict) or not words:
        raise _wrong(
            f"{table.value}.values.{ours} must give our value for each of the source's, such as {{ J = true }}"
        )
    return {theirs.rstrip(" "): _our_value(table, ours, theirs, value) for theirs, value in words.items()}


def _our_value(table: Table, ours: str, theirs: str, value: Any) -> Any:  # noqa: ANN401 - TOML
    kind, words = COLUMNS[table][ours].type, WORDS.get((table, ours))
    if kind is bool and not isinstance(value, bool):
        raise _wrong(f"{table.value}.values.{ours}: {_shown(theirs)} must become true or false, without quotes")
    if kind is str and (not isinstance(value, str) or (words is not None and value not in words)):
        allowed = "a text" if words is None else f"one of {_listed(sorted(words))}"
        raise _wrong(f"{table.value}.values.{ours}: {_shown(theirs)} must become {allowed}")
    return value


def _constant(table: Table, ours: str, value: Any) -> Any:  # noqa: ANN401 - TOML
    if ours in _NO_CONSTANT or (table is Table.PERSON and ours == "national_id"):
        raise _wrong(f"{table.value}.{ours} cannot be a constant: it distinguishes rows")
    kind = COLUMNS[table][ours].type
    try:
        if (kind is bool) != isinstance(value, bool) or isinstance(value, dict | list | float):
            raise BadMessageError("impossible_value", "")
        return read_value(table, ours, value.isoformat() if isinstance(value, date) else value)
    except BadMessageError:
        words = WORDS.get((table, ours))
        allowed = f"one of {_listed(sorted(words))}" if words else f"a {kind.__name__}"
        raise _wrong(f"{table.value}.constants.{ours} must be {allowed}") from None


def _wrong(problem: str) -> InvalidSettingsError:
    return InvalidSettingsError(f"mapping: {problem}; docs/mapping.md describes the file")


def _shown(name: str) -> str:
    return repr(without_national_ids(name[:63]))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(str(name) for name in names)
