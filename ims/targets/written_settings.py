"""Settings of targets as people write them: the file ``targets.toml``, one ``[[target]]`` table each, or single keys.

>>> settings = parse_toml('''
... [[target]]
... name = "lms"
... owner = 1
... enabled = true
... ''')
>>> settings[0].name, settings[0].snapshot_hour
('lms', 2)
>>> parse_toml(to_toml(settings)) == settings
True
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from ims.errors import InvalidSettingsError
from ims.targets import email_address
from ims.targets.importer_profiles import PROFILE_KEYS
from ims.targets.settings_values import Fields, wrong_value
from ims.targets.target_settings import TargetSettings, written
from ims.targets.toml_tables import toml_tables, toml_value

_FIELDS: Final[Fields] = {field.name: field for field in msgspec.structs.fields(TargetSettings)}


def parse_toml(text: str) -> list[TargetSettings]:
    """Read ``targets.toml``; a key that a target lacks has its default.

    Raises:
        InvalidSettingsError: as :func:`read_tables`.
    """
    return [msgspec.convert(table, TargetSettings) for table in read_tables(text)]


def read_tables(text: str) -> list[dict[str, Any]]:
    """Read ``targets.toml``, and return the keys of each target as the file has them, all of them checked.

    Raises:
        InvalidSettingsError: the text is not TOML, a key is unknown or wrong (the error names it and what is allowed),
            or a target is listed twice.
    """
    tables = toml_tables(text)
    seen: set[tuple[int, str]] = set()
    for number, table in enumerate(tables, 1):
        named = table.get("name")
        where = f"target {named[:64]!r}" if isinstance(named, str) else f"target number {number}"
        target = _converted(table, table, f"targets.toml: {where}")
        email_address.check_all(target.case_workers, f"targets.toml: target {target.name}")
        if (target.owner, target.name) in seen:
            raise InvalidSettingsError(f"targets.toml: target {target.name!r} of owner {target.owner} is listed twice")
        seen.add((target.owner, target.name))
    return tables


def _converted(typed: dict[str, Any], keys: dict[str, Any], where: str) -> TargetSettings:
    """Return *keys* as settings; *typed* are those of them that were typed, and *where* begins an error's text."""
    wrong = wrong_value(_FIELDS, typed)
    if wrong is not None:
        raise InvalidSettingsError(f"{where}: {wrong}")
    try:
        return msgspec.convert(keys, TargetSettings)
    except msgspec.ValidationError as error:
        # Without the place in msgspec's own notation: the texts name the key.
        raise InvalidSettingsError(f"{where}: {str(error).partition(' - at `$')[0]}") from None


def changed(settings: TargetSettings, changes: dict[str, Any]) -> TargetSettings:
    """Return the settings with some keys changed; a key of the profile that is set to ``None`` is no longer written.

    Raises:
        InvalidSettingsError: a key is unknown, may not change (``name``, ``owner``), or its value is wrong.
    """
    fixed = {"name", "owner"} & {key for key, value in changes.items() if value != getattr(settings, key, None)}
    if fixed:
        raise InvalidSettingsError(f"{', '.join(sorted(fixed))} of a target cannot change; create another target")
    keys = _without_reset({**written(settings), **changes})
    new = _converted(_without_reset(changes), keys, f"target {settings.name}")
    if "case_workers" in changes:
        email_address.check_all(new.case_workers, f"target {settings.name}")
    return new


def _without_reset(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None or key not in PROFILE_KEYS}


def to_toml(targets: Sequence[TargetSettings]) -> str:
    """Return the settings as ``targets.toml``.

    Keys that are ``None`` are omitted, because TOML has no null; those that are not written are comments, so that the
    file says what applies, and they stay the profile's when it is read again.
    """
    return "\n".join("[[target]]\n" + "".join(_toml_lines(target)) for target in targets)


def _toml_lines(target: TargetSettings) -> Iterator[str]:
    for key, value in msgspec.to_builtins(target).items():
        if key in target.unwritten:
            yield f"# {key} = {toml_value(value)}  # not written: the default of importer = {target.importer}\n"
        elif value is not None:
            yield f"{key} = {toml_value(value)}\n"
