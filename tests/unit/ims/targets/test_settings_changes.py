"""What a file of targets changes: the keys that it has, and no others."""

from ims.targets.settings_changes import TargetChange, changes_by_file, described
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import read_tables, to_toml

IN_FORCE = TargetSettings(
    name="lms", owner=1, enabled=True, allow_test_numbers=True, case_workers=("post@example.org",), snapshot_hour=3
)
SHORT = '[[target]]\nname = "lms"\nowner = 1\nsnapshot_hour = 4\n'


def change(text: str, in_force: TargetSettings | None = IN_FORCE) -> TargetChange:
    known = {} if in_force is None else {(in_force.owner, in_force.name): in_force}
    (found,) = changes_by_file(known, (), read_tables(text))
    return found


def test_a_short_file_resets_and_disables_nothing() -> None:
    found = change(SHORT)
    assert found.after == TargetSettings(
        name="lms", owner=1, enabled=True, allow_test_numbers=True, case_workers=("post@example.org",), snapshot_hour=4
    )
    assert found.kept == ("enabled", "case_workers", "allow_test_numbers")


def test_the_difference_is_shown_key_by_key_with_what_is_kept() -> None:
    assert list(described(change(SHORT))) == [
        "changed 1/lms",
        "  snapshot_hour: 3 -> 4",
        "  enabled: true is kept; the file does not have the key",
        '  case_workers: ["post@example.org"] is kept; the file does not have the key',
        "  allow_test_numbers: true is kept; the file does not have the key",
    ]


def test_a_target_is_disabled_by_writing_so() -> None:
    found = change(SHORT + "enabled = false\n")
    assert not found.after.enabled
    assert "  enabled: true -> false" in described(found)


def test_a_new_target_shows_its_keys() -> None:
    assert list(described(change(SHORT, None))) == [
        "created 1/lms, disabled: nothing is published until enabled = true",
        "  snapshot_hour: 2 -> 4",
    ]


def test_the_settings_as_shown_change_nothing() -> None:
    found = change(to_toml([IN_FORCE]))
    assert (found.is_change, found.kept) == (False, ())
    assert list(described(found)) == ["unchanged 1/lms"]
