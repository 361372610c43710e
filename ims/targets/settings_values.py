"""What each key of a target's settings may be, in words, with an example; and the refusal of every other value.

The words come from the types of the settings themselves, so that a key cannot allow something else than is said. Used
for a file and for single keys, before the settings are checked as a whole.
"""

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from ims.identifiers.national_id import NationalId, kind_of, without_national_ids

_EXAMPLES: Final[Mapping[str, object]] = {
    "name": "lms",
    "owner": 1,
    "time_zone": "Europe/Oslo",
    "importer_sync_time": "03:30",
    "excluded_kinds": ["course"],
    "excluded_groups": [1042, 1043],
    "source": "imsfeed@988077917",
    "group_id": "group-{id}",
    "export_path": "Eksport.xml",
    "case_workers": ["post@example.org"],
}
"""Examples of keys whose type says too little."""

Fields = Mapping[str, msgspec.structs.FieldInfo]
"""The keys by name, as the settings define them."""


def wrong_value(fields: Fields, table: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first wrong key or value of *table*, and what is allowed; ``None`` if none is.

    A value is not quoted: it may be anything that was typed.
    """
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; `{near[0]}` is meant perhaps" if near else ""
            return f"there is no key `{key[:64]}`{hint}; docs/targets.md lists them"
        try:
            msgspec.convert(value, fields[key].type)
        except (msgspec.ValidationError, RecursionError):
            return f"`{key}` must be {_allowed(fields[key].type)}, such as {_example(fields[key])}"
        for one in _inside(value):
            if isinstance(one, str) and any(unicodedata.category(character) in {"Cc", "Cs"} for character in one):
                return f"`{key}` must have no control characters"
            if key != "owner" and _is_national_id(one):
                return f"`{key}` has what reads as a national id, and settings are kept in an audit for good"
    return None


def as_written(value: object) -> str:
    """Return a value as it is written in ``targets.toml``, or ``null``."""
    return msgspec.json.encode(value).decode()


def _example(field: msgspec.structs.FieldInfo) -> str:
    value = _EXAMPLES.get(field.name, field.default)
    if get_origin(field.type) is Literal:
        value = get_args(field.type)[-1]
    if field.type is bool:
        value = True
    return f"{field.name} = {as_written(value)}"


def _allowed(type_: Any) -> str:  # noqa: ANN401 - a type
    arguments = get_args(type_)
    if get_origin(type_) is Annotated:
        meta = arguments[1]
        until = "" if meta.le is None or meta.le >= 2**31 - 1 else f" to {meta.le}"
        return f"a whole number from {meta.ge}{until}" if meta.ge is not None and meta.ge >= 0 else "a whole number"
    if get_origin(type_) is Literal:
        return f"one of {', '.join(map(as_written, arguments))}"
    if get_origin(type_) is tuple:
        return f"a list of {'whole numbers' if 'str' not in str(arguments[0]) else 'texts'}"
    return "true or false" if type_ is bool else "a whole number" if type_ is int else "a text"


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        yield from value
    else:
        yield value


def _is_national_id(value: object) -> bool:
    if isinstance(value, str):
        return without_national_ids(value) != value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return False
    return kind_of(NationalId(f"{value:011}"), allow_test_numbers=True) is not None
