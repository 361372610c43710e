"""Addresses of case workers: plain ones, to which a mail goes where it seems to go."""

import pytest

from ims.errors import InvalidSettingsError
from ims.targets.email_address import is_valid, parsed, without_smtputf8
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import changed, parse_toml

PLAIN = [
    "post@example.org",
    "post@mailhost",
    "Ola.Nordmann+feed@vgs.fylke.example",
    "o'neill@example.org",
    "bjørn@example.org",
    "post@blåbær.example",
    "a@xn--blbr-roah.example",
]

ELSEWHERE = [
    "",
    "@",
    "post",
    "post@",
    "@example.org",
    "a:b@example.org",
    "a:b@example.org;",
    "a%b@example.org",
    "b!a@example.org",
    "a@b@example.org",
    "@b.example:a@example.org",
    '"a b"@example.org',
    "Ada <a@example.org>",
    "<a@example.org>",
    "a(comment)@example.org",
    "a@[127.0.0.1]",
    "a@example.org, b@example.org",
    "a@example.org;b@example.org",
    "a@example.org\u2028",
    "a\u2028Bcc: b@example.org",
    "a@example.org\u0085",
    "a\u0085@example.org",
    "a@example.org\n",
    "a@example.org\r\nBcc: b@example.org",
    "a\u200b@example.org",
    "a\u202e@example.org",
    "a\u00a0b@example.org",
    "a\0@example.org",
    "a..b@example.org",
    ".a@example.org",
    "a.@example.org",
    "a@example..org",
    "a@-example.org",
    "a@exam_ple.org",
    "a@example.org.",
    "a@" + "x" * 64 + ".org",
    "a" * 65 + "@example.org",
    "\ud800@example.org",
    "a\uff20example.org",
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_address_is_taken(text: str) -> None:
    assert is_valid(text)
    assert parsed(text).addr_spec == text


@pytest.mark.parametrize("text", ELSEWHERE)
def test_what_leads_elsewhere_is_no_address(text: str) -> None:
    assert not is_valid(text)


@pytest.mark.parametrize("text", ["a:b@example.org", "a\u2028@example.org"])
def test_only_plain_addresses_can_be_written_as_settings(text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="`case_workers`, number 1") as error:
        changed(TargetSettings(name="lms", owner=1), {"case_workers": [text]})
    assert text not in str(error.value)
    escaped = text.encode("unicode_escape").decode()
    with pytest.raises(InvalidSettingsError, match="`case_workers`, number 1"):
        parse_toml(f'[[target]]\nname = "lms"\nowner = 1\ncase_workers = ["{escaped}"]')


def test_other_settings_can_be_changed_beside_an_address_stored_before() -> None:
    stored = TargetSettings(name="lms", owner=1, case_workers=("a:b@example.org",))
    assert changed(stored, {"snapshot_hour": 3}).snapshot_hour == 3


def test_a_server_that_knows_ascii_alone_gets_the_domain_in_ascii() -> None:
    ascii_form = without_smtputf8(parsed("post@blåbær.example"))
    assert ascii_form is not None
    assert ascii_form.addr_spec == "post@xn--blbr-roah.example"
    assert without_smtputf8(parsed("bjørn@example.org")) is None
