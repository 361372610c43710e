"""What a ``targets.toml`` would change, key by key, before it is stored.

A file says what it has: a key that it lacks keeps the value in force, and is named if that is another than the default.
So a file with five lines changes five keys. A target is disabled, and a key set back, by writing so.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ims.targets.settings_values import as_written
from ims.targets.target_settings import TargetSettings, written
from ims.targets.written_settings import changed


class TargetChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a file makes of one target.

    Attributes:
        before: the settings in force; ``None`` if the target is created.
        after: the settings with the file's keys.
        kept: the keys that the file lacks and that have another value than the default.
        lost: the settings in force cannot be read, so that only the file's count.
    """

    before: TargetSettings | None
    after: TargetSettings
    kept: tuple[str, ...] = ()
    lost: bool = False

    @property
    def is_change(self) -> bool:
        """True if anything is stored."""
        return self.before is None or written(self.before) != written(self.after)


def changes_by_file(
    in_force: Mapping[tuple[int, str], TargetSettings],
    lost: Collection[tuple[int, str]],
    tables: Sequence[Mapping[str, Any]],
) -> list[TargetChange]:
    """Return what a file makes of each target that it names.

    Args:
        in_force: the settings of the existing targets, by owner and name.
        lost: the targets whose settings cannot be read, likewise.
        tables: the tables of the file (:func:`ims.targets.target_settings.read_tables`).

    Raises:
        InvalidSettingsError: the keys of the file and those in force do not go together.
    """
    found = []
    for table in tables:
        key = (table["owner"], table["name"])
        before = in_force.get(key)
        if before is None:
            found.append(TargetChange(before=None, after=msgspec.convert(table, TargetSettings), lost=key in lost))
            continue
        default = TargetSettings(name=before.name, owner=before.owner, importer=before.importer)
        lacking = [key for key in TargetSettings.__struct_fields__ if key not in table]
        kept = tuple(key for key in lacking if getattr(before, key) != getattr(default, key))
        found.append(TargetChange(before=before, after=changed(before, dict(table)), kept=kept))
    return found


def described(change: TargetChange) -> Iterator[str]:
    """Yield what changes, one line for each key, with the values before and after, and what is kept."""
    after = change.after
    name = f"{after.owner}/{after.name}"
    before = change.before or TargetSettings(name=after.name, owner=after.owner)
    if change.lost:
        yield f"changed {name}, whose settings could not be read: it has the file's keys alone"
    elif change.before is None:
        yield f"created {name}{'' if after.enabled else ', disabled: nothing is published until enabled = true'}"
    else:
        yield f"{'changed' if change.is_change else 'unchanged'} {name}"
    for key in TargetSettings.__struct_fields__:
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            yield f"  {key}: {as_written(old)} -> {as_written(new)}"
    for key in change.kept:
        yield f"  {key}: {as_written(getattr(after, key))} is kept; the file does not have the key"
