"""Mails to case workers about a target that fails, and about the end of it; through a real mail server."""

from collections.abc import Callable
from datetime import timedelta

from deploy.local.process import free_port
from ims.feed.manifest import delta_path
from tests.support.builders import a_person, an_owner
from tests.support.fixtures.mail import subjects, text
from tests.support.pipeline import Pipeline
from tests.support.servers.mail_server import MailServer


def test_a_halted_target_gives_a_mail_at_start_and_end(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.commit(an_owner(orgnr=None))
    for _ in range(5):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler"]
    assert "skoleeieren mangler organisasjonsnummer" in text(mails)
    mailing.commit(an_owner())
    for _ in range(5):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler", "virker igjen"]
    assert "Den feilet fra 15.10.2026 12:01 til 15.10.2026 12:0" in text(mails)


def test_two_compactors_report_a_failure_once_if_only_one_sees_it(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing.compact()
    other = start_mailing()
    mails.arrived.clear()
    damaged = mailing.folder() / delta_path(1)
    damaged.write_bytes(b"not the delta")
    mailing.commit(a_person(1, family_name="Ny"))
    for _ in range(4):
        mailing.compact(minutes=1)
        other.now = mailing.now
        other.compactor._send_notices(other.now)
    assert subjects(mails) == ["feiler"]
    assert "ikke slik den ble skrevet" in text(mails)
    damaged.unlink()
    for _ in range(4):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler", "virker igjen"]


def test_the_end_of_an_unreported_failure_is_not_reported(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing.compact()
    mails.arrived.clear()
    without_mail = start_mailing(smtp_port=free_port())
    without_mail.now = mailing.now
    mailing.commit(an_owner(orgnr=None))
    without_mail.compact(minutes=1)
    mailing.commit(an_owner())
    for _ in range(3):
        without_mail.compact(minutes=1)
    assert mails.arrived == []
    mailing.compact(minutes=5)
    assert mails.arrived == []


def test_a_missing_snapshot_is_reported(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.now += timedelta(hours=14)  # 02:00 in Oslo
    mailing.compactor._send_notices(mailing.now + timedelta(minutes=15))
    assert mails.arrived == []
    mailing.compactor._send_notices(mailing.now + timedelta(minutes=16))
    assert subjects(mails) == ["feiler"]
    assert "fullfilen er ikke laget" in text(mails)
    mailing.compact(minutes=20)
    assert subjects(mails) == ["feiler", "virker igjen"]
