"""The importers' profiles, and what of them a target's own keys override."""

import msgspec
import pytest

from ims.errors import InvalidSettingsError
from ims.targets.importer_profiles import PROFILE_KEYS, PROFILES, Importer
from ims.targets.target_settings import TargetSettings, written
from ims.targets.written_settings import changed, parse_toml, to_toml
from tests.support.paths import DOCS

LEAST = '[[target]]\nname = "lms"\nowner = 1\n'
BEHAVIOURS = [
    field.name
    for field in msgspec.structs.fields(next(iter(PROFILES.values())))
    if field.name not in {"page", "defaults", "limits", "sources"}
]


def parsed(text: str) -> TargetSettings:
    (settings,) = parse_toml(LEAST + text)
    return settings


@pytest.mark.parametrize("importer", PROFILES)
def test_a_target_takes_its_importers_defaults(importer: Importer) -> None:
    settings = parsed(f'importer = "{importer}"')
    assert {key: getattr(settings, key) for key in PROFILE_KEYS} == PROFILES[importer].defaults
    assert settings.profile is PROFILES[importer]
    assert settings == TargetSettings(name="lms", owner=1, importer=importer)


@pytest.mark.parametrize("importer", PROFILES)
def test_a_profile_has_every_default_and_limit(importer: Importer) -> None:
    profile = PROFILES[importer]
    assert tuple(profile.defaults) == PROFILE_KEYS
    assert profile.limits.keys() == PROFILES["none"].limits.keys()
    assert all(limit.source for limit in profile.limits.values())


@pytest.mark.parametrize("importer", sorted(PROFILES.keys() - {"none"}))
def test_every_behaviour_has_its_source(importer: Importer) -> None:
    profile, usual = PROFILES[importer], PROFILES["none"]
    unusual = {key for key in BEHAVIOURS if getattr(profile, key) != getattr(usual, key)}
    assert unusual - {"reads"} == profile.sources.keys() - {"reads"}
    assert "reads" in profile.sources


@pytest.mark.parametrize("importer", PROFILES)
def test_every_importer_has_a_page(importer: Importer) -> None:
    assert (DOCS / "importers" / PROFILES[importer].page).is_file()


def test_a_written_key_overrides_the_profile() -> None:
    settings = parsed('importer = "moodle"\nperson_id = "national"\nspell_out_markup = false')
    assert (settings.person_id, settings.spell_out_markup) == ("national", False)
    assert (settings.export_shape, settings.login) == ("tombstones", "feide")
    assert written(settings) == {**written(settings), "person_id": "national", "spell_out_markup": False}
    assert settings.unwritten == {*PROFILE_KEYS} - {"person_id", "spell_out_markup"}


def test_a_changed_importer_changes_what_was_not_written() -> None:
    settings = changed(parsed('login = "email"'), {"importer": "moodle"})
    assert (settings.login, settings.person_id, settings.export_shape) == ("email", "running", "tombstones")
    back = changed(settings, {"importer": "none"})
    assert back == parsed('login = "email"')


def test_a_key_written_as_the_default_stays_as_it_is() -> None:
    settings = changed(parsed('person_id = "national"'), {"importer": "moodle"})
    assert settings.person_id == "national"


def test_a_key_set_to_nothing_is_the_profiles_again() -> None:
    settings = changed(parsed('importer = "moodle"\nperson_id = "national"'), {"person_id": None})
    assert (settings.person_id, "person_id" in settings.unwritten) == ("running", True)


def test_shown_settings_say_what_is_not_written() -> None:
    settings = parsed('importer = "moodle"\nperson_id = "national"')
    text = to_toml([settings])
    assert '# export_shape = "tombstones"  # not written: the default of importer = moodle' in text.splitlines()
    assert 'person_id = "national"' in text.splitlines()
    (again,) = parse_toml(text)
    assert (again, again.unwritten) == (settings, settings.unwritten)


def test_published_settings_keep_their_values() -> None:
    settings = parsed('importer = "moodle"')
    stored = msgspec.to_builtins(settings)
    assert msgspec.convert(stored, TargetSettings) == settings
    assert msgspec.convert(stored, TargetSettings).unwritten == frozenset()


def test_an_unknown_importer_is_named() -> None:
    with pytest.raises(InvalidSettingsError, match="importer"):
        parsed('importer = "canvas"')


def test_an_importer_that_needs_logins_gets_some() -> None:
    with pytest.raises(InvalidSettingsError, match=r"`login`.*moodle makes no account"):
        parsed('importer = "moodle"\nlogin = "none"')
