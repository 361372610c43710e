"""The settings of a target, and their form as TOML."""

import tomllib
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.errors import InvalidSettingsError
from ims.targets.importer_profiles import PROFILE_KEYS
from ims.targets.target_settings import SOURCE_LIMIT, TargetSettings
from ims.targets.written_settings import changed, parse_toml, to_toml
from tests.support.builders import a_birth_number

LEAST = '[[target]]\nname = "lms"\nowner = 1\n'


def complaint(text: str) -> str:
    with pytest.raises(InvalidSettingsError) as caught:
        parse_toml(text)
    assert str(caught.value).startswith("targets.toml")
    return str(caught.value)


def test_a_target_is_disabled_by_default() -> None:
    (target,) = parse_toml(LEAST)
    assert target == TargetSettings(name="lms", owner=1)
    assert (target.enabled, target.snapshot_hour, target.zone) == (False, 2, ZoneInfo("Europe/Oslo"))
    assert (target.include_without_national_id, target.allow_test_numbers) == (False, False)


def test_a_file_may_hold_no_target_or_several() -> None:
    assert parse_toml("") == []
    assert [t.name for t in parse_toml(LEAST + LEAST.replace("lms", "idm"))] == ["lms", "idm"]


def test_two_owners_may_name_a_target_alike() -> None:
    assert len(parse_toml(LEAST + LEAST.replace("owner = 1", "owner = 2"))) == 2


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("enabled = 1", "enabled"),
        ('enabled = "yes"', "enabled"),
        ("snapshot_hour = 24", "snapshot_hour"),
        ("snapshot_hour = -1", "snapshot_hour"),
        ("snapshot_hour = 2.5", "snapshot_hour"),
        ("snapshot_hour = 02:00:00", "snapshot_hour"),
        ('time_zone = "Europe/Atlantis"', "time_zone"),
        ('time_zone = "../Oslo"', "time_zone"),
        ('time_zone = "Europe"', "time_zone"),
        ('time_zone = ""', "time_zone"),
        ('time_zone = "a\\u0000b"', "time_zone"),
        ('include_without_national_id = "no"', "include_without_national_id"),
        ('person_id = "both"', "person_id"),
        ('source = ""', "source"),
        (f'source = "{"x" * 33}"', "source"),
        ('source = "a\\nb"', "source"),
        ('source = " a"', "source"),
        ('group_id = "group"', "group_id"),
        ('group_id = "{school_no}"', "group_id"),
        ('group_id = "{name}"', "group_id"),
        ('group_id = "{}"', "group_id"),
        ('group_id = "{0}"', "group_id"),
        ('group_id = "{id"', "group_id"),
        ('group_id = "{id.__class__}"', "group_id"),
        ('group_id = "{code[0]}"', "group_id"),
        ('group_id = "{id:>1000000000}"', "group_id"),
        ('group_id = "{code!r}"', "group_id"),
        ('group_id = "{id}\\u0000"', "group_id"),
        ('group_id = "{id} "', "group_id"),
        ('login = "national"', "login"),
        ('export_path = ""', "export_path"),
        ('export_path = "../Eksport.xml"', "export_path"),
        ('export_path = ".hidden"', "export_path"),
        ('export_path = "a/b"', "export_path"),
        ('export_path = "manifest.json"', "export_path"),
        ('export_path = "Manifest.JSON"', "export_path"),
        ('export_path = "deltas"', "export_path"),
        ("allow_test_numbers = []", "allow_test_numbers"),
        ("snapshot_hours = 3", "snapshot_hours"),
    ],
)
def test_a_wrong_line_is_named(line: str, key: str) -> None:
    assert f"`{key}`" in complaint(LEAST + line).replace("$.target[0].", "")


@pytest.mark.parametrize("name", ["", "LMS", "l m", "../x", "lms\n", "a" * 65, "æ", "a_b"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    assert "`name`" in complaint(to_toml([TargetSettings(name="lms", owner=1)]).replace('"lms"', repr_toml(name)))


def repr_toml(text: str) -> str:
    return '"' + text.replace("\n", "\\n") + '"'


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[target]]\nname = ", "not TOML"),
        ("[[target]]\nowner = 1", "`name`"),
        ('[[target]]\nname = "lms"', "`owner`"),
        ('[[target]]\nname = "lms"\nowner = "1"', "owner"),
        ('[[targets]]\nname = "lms"\nowner = 1', "`targets`"),
        ("target = 1", "target"),
        (LEAST + LEAST, "'lms' of owner 1 is listed twice"),
    ],
)
def test_an_unreadable_file_is_refused_with_a_reason(text: str, part: str) -> None:
    assert part in complaint(text)


TARGETS = st.builds(
    TargetSettings,
    name=st.from_regex("[a-z0-9-]{1,64}", fullmatch=True),
    owner=st.integers(-(2**63), 2**63 - 1),
    enabled=st.booleans(),
    snapshot_hour=st.integers(0, 23),
    time_zone=st.sampled_from(["Europe/Oslo", "UTC", "America/New_York"]),
    include_without_national_id=st.booleans(),
    person_id=st.sampled_from(["national", "running"]),
    source=st.none()
    | st.text(min_size=1, max_size=SOURCE_LIMIT).filter(lambda text: text.isprintable() and text == text.strip()),
    group_id=st.sampled_from(["group-{id}", '{{"\\{code}', "ø{school_no}/{code}", "{id}{id}"]),
    login=st.sampled_from(["feide", "email", "none"]),
    export_path=st.none() | st.just("Eksport.xml"),
    allow_test_numbers=st.booleans(),
    importer_sync_time=st.none() | st.sampled_from(["00:00", "23:59"]),
    scope=st.sampled_from(["all", "grunnskole"]),
    excluded_kinds=st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"))), max_size=3).map(tuple),
    excluded_groups=st.lists(st.integers(-(2**63), 10**9) | st.integers(10**12, 2**63 - 1), max_size=3).map(tuple),
    lead_days=st.integers(0, 366),
    grace_days=st.integers(0, 366),
    org_groups=st.booleans(),
    dialect=st.sampled_from(["ims", "pifu"]),
    spell_out_markup=st.booleans(),
    export_shape=st.sampled_from(["absent", "tombstones"]),
    duf_check=st.sampled_from(["warn", "refuse"]),
    case_workers=st.lists(st.just("post@example.org"), max_size=2).map(tuple),
)


@given(st.lists(TARGETS, max_size=3, unique_by=lambda target: (target.owner, target.name)))
def test_settings_survive_a_round_trip_as_toml(targets: list[TargetSettings]) -> None:
    text = to_toml(targets)
    assert parse_toml(text) == targets
    assert len(tomllib.loads(text).get("target", [])) == len(targets)


@given(st.text())
def test_any_text_gives_targets_or_an_error_of_ours(text: str) -> None:
    try:
        parse_toml(text)
    except InvalidSettingsError as error:
        assert "targets.toml" in str(error)  # noqa: PT017 - most texts are wrong, and the few right ones may pass


@given(
    key=st.sampled_from(TargetSettings.__struct_fields__), value=st.text() | st.integers() | st.booleans() | st.none()
)
def test_any_change_gives_settings_or_an_error_of_ours(key: str, value: Any) -> None:
    settings = TargetSettings(name="lms", owner=1)
    try:
        assert getattr(changed(settings, {key: value}), key) == (
            getattr(settings, key) if value is None and key in PROFILE_KEYS else value
        )
    except InvalidSettingsError as error:
        assert key in str(error)  # noqa: PT017 - whether the value is wrong depends on what it is


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (
            'case_workers = "post@example.org"',
            '`case_workers` must be a list of texts, such as case_workers = ["post@e',
        ),
        ('scope = "Grunnskole"', '`scope` must be one of "all", "grunnskole", such as scope = "grunnskole"'),
        ("snapshot_hour = 24", "`snapshot_hour` must be a whole number from 0 to 23, such as snapshot_hour = 2"),
        ("hold_day_persons = -1", "`hold_day_persons` must be a whole number from 0, such as hold_day_persons = 10"),
        ("enabled = 1", "`enabled` must be true or false, such as enabled = true"),
        ("excluded_groups = [1, 2.5]", "`excluded_groups` must be a list of whole numbers"),
        ("source = 1", '`source` must be a text, such as source = "imsfeed@988077917"'),
        ("snapshothour = 3", "`snapshot_hour` is meant perhaps"),
    ],
)
def test_a_wrong_value_says_what_is_allowed_with_an_example(line: str, allowed: str) -> None:
    said = complaint(LEAST + line)
    assert allowed in said
    assert "$." not in said
    key, _, value = line.partition(" = ")
    if key in TargetSettings.__struct_fields__:
        with pytest.raises(InvalidSettingsError) as caught:
            changed(TargetSettings(name="lms", owner=1), tomllib.loads(f"{key} = {value}"))
        assert allowed in str(caught.value)


@pytest.mark.parametrize("key", TargetSettings.__struct_fields__)
def test_the_example_of_every_key_is_allowed(key: str) -> None:
    others = "\n".join(line for line in LEAST.splitlines() if not line.startswith(f"{key} = "))
    said = complaint(f"{others}\n{key} = 1979-05-27").partition("such as ")[2]
    example = tomllib.loads(said)
    assert [*example] == [key]
    msgspec.convert({"name": "lms", "owner": 1, **example}, TargetSettings)


@pytest.mark.parametrize(
    "line",
    [
        f"x = {'[' * 1000}{']' * 1000}",
        f"case_workers = {'[' * 90}{']' * 90}",
        f"owner = {'9' * 4400}",
        f"owner = {2**63}",
        f"owner = {-(2**63) - 1}",
        f"excluded_groups = [{2**63}]",
        f"hold_day_persons = {10**30}",
        'excluded_kinds = ["a\\u0000b"]',
        'excluded_kinds = ["a\\u001bb"]',
        f'excluded_kinds = ["{a_birth_number(1)}"]',
        f'group_id = "{a_birth_number(1)[:6]} {a_birth_number(1)[6:]}-{{id}}"',
        f"excluded_groups = [{a_birth_number(1).lstrip('0')}]",
    ],
)
def test_what_no_database_or_person_should_keep_is_refused_in_one_line(line: str) -> None:
    said = complaint(LEAST.replace("owner = 1\n", "") + line if line.startswith("owner") else LEAST + line)
    assert "\n" not in said
    assert len(said) < 300
    assert a_birth_number(1).lstrip("0") not in said


def test_changed_settings_keep_the_other_keys() -> None:
    settings = TargetSettings(name="lms", owner=1, source="old")
    assert changed(settings, {"enabled": True, "source": None, "name": "lms"}) == TargetSettings(
        name="lms", owner=1, enabled=True
    )
    assert settings.source == "old"


@pytest.mark.parametrize("key", ["name", "owner"])
def test_the_name_and_owner_of_a_target_cannot_change(key: str) -> None:
    with pytest.raises(InvalidSettingsError, match=f"{key} of a target cannot change"):
        changed(TargetSettings(name="lms", owner=1), {key: "other" if key == "name" else 2})


def test_an_unknown_setting_cannot_be_changed() -> None:
    with pytest.raises(InvalidSettingsError, match=r"target lms: .*`hour`"):
        changed(TargetSettings(name="lms", owner=1), {"hour": 3})
