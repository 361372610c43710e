"""Mails to a real mail server with TLS and login; no failure of the mails stops the feeds."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from consumers.compact import process as compact
from consumers.compact.process import EXCLUDED_SERIES
from consumers.notices import notices
from consumers.notices.mail import mail_server
from deploy.local.process import free_port
from ims.errors import InvalidSettingsError
from ims.reports.mail_figures import Figures
from ims.reports.mail_texts import Mail, daily
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from tests.support.builders import a_birth_number, a_person, an_owner
from tests.support.fixtures.mail import WORKERS
from tests.support.pipeline import Pipeline
from tests.support.servers.mail_server import PASSWORD, USER, MailServer, running_mail_server
from tests.support.waiting import until


def test_compact_sends_mails_while_it_publishes(
    state_dsn: str, tmp_path: Path, mails: MailServer, mailing: Pipeline
) -> None:
    settings = Settings.model_validate({
        "state_dsn": state_dsn,
        "feed_directory": tmp_path / "feed",
        "smtp_host": "localhost",
        "smtp_port": mails.port,
        "smtp_user": USER,
        "smtp_password": PASSWORD,
        "smtp_from": "imsfeed@fjordvik.example",
        "notice_hour": 0,
    })
    stop, metrics = Stop(), CompactMetrics(CollectorRegistry(), EXCLUDED_SERIES)
    before = os.umask(0)
    process = Thread(target=compact.run, args=(settings, stop, metrics, lambda _ready: None))
    process.start()
    try:
        until(lambda: mails.arrived, what="the daily mail has arrived")
        until((mailing.folder() / "manifest.json").exists, what="the feed is there")
    finally:
        stop.set()
        process.join(30)
        os.umask(before)
    assert not process.is_alive()


def test_a_refused_login_is_logged_without_secrets_and_retried(mailing: Pipeline, mails: MailServer) -> None:
    mails.password = "another"
    with structlog.testing.capture_logs() as logs:
        mailing.compact()
        mailing.commit(a_person(1, family_name="Ny"))
        mailing.compact(minutes=1)
    assert mailing.manifest().head_seq == 1
    failed = [line for line in logs if line["event"] == "mail server failed"]
    assert [line["error"] for line in failed] == ["SMTPAuthenticationError 535"] * 2
    for secret in (PASSWORD, *WORKERS, "fjordvik.example"):
        assert secret not in str(logs)
    mails.password = PASSWORD
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1
    assert mailing.metrics.notice_attempts._value.get() == 3
    assert mailing.metrics.notices_sent._value.get() == 1


def test_an_unreachable_mail_server_delays_no_feed(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    with structlog.testing.capture_logs() as logs:
        start_mailing(smtp_port=free_port()).compact()
    assert mailing.manifest().head_seq == 0
    assert {line["error"] for line in logs if line["event"] == "mail server failed"} == {"ConnectionRefusedError"}
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_an_unknown_certificate_authority_is_not_trusted(
    mailing: Pipeline, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with structlog.testing.capture_logs() as logs:
        mailing.compact()
    assert (mails.arrived, mails.logins) == ([], 0)
    assert {line["error"] for line in logs if line["event"] == "mail server failed"} == {"SSLCertVerificationError"}


def test_mail_is_sent_over_implicit_tls(
    start_mailing: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    with running_mail_server(folder, implicit_tls=True) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        mailing = start_mailing(smtp_port=server.port, smtp_security="tls")
        mailing.target(case_workers=WORKERS)
        mailing.compact()
        assert [mail.over_tls for mail in server.arrived] == [True]


@pytest.mark.parametrize(("answer", "sent"), [("550 no such user", 0), ("451 come back later", 1)])
def test_only_a_temporarily_refused_mail_is_tried_again(
    mailing: Pipeline, mails: MailServer, answer: str, sent: int
) -> None:
    mailing.target(name="idm", case_workers=("nobody@elsewhere.example",))
    mails.refuse["elsewhere.example"] = answer
    mailing.compact()
    assert [mail.recipients for mail in mails.arrived] == [list(WORKERS)]
    mails.refuse.clear()
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1 + sent


def test_the_valid_one_of_two_recipients_gets_the_mail(mailing: Pipeline, mails: MailServer) -> None:
    mailing.target(case_workers=(WORKERS[0], "nobody@elsewhere.example"))
    mails.refuse["elsewhere.example"] = "550 no such user"
    with structlog.testing.capture_logs() as logs:
        mailing.compact()
    assert [mail.recipients for mail in mails.arrived] == [[WORKERS[0]]]
    assert [line["refused"] for line in logs if line["event"] == "mail sent"] == [1]


def test_a_line_break_in_a_name_adds_no_header(mailing: Pipeline, mails: MailServer) -> None:
    mailing.commit(an_owner(name="Fjordvik\nBcc: all@fjordvik.example"))
    mailing.compact()
    (mail,) = mails.arrived
    assert mail["Subject"] == "Eksporten lms, Fjordvik Bcc: all@fjordvik.example: 1 bør rettes"
    assert mail.recipients == list(WORKERS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"smtp_from": None}, "SMTP_FROM"),
        ({"smtp_password": None}, "SMTP_PASSWORD"),
        ({"smtp_user": None}, "SMTP_USER"),
        ({"smtp_security": "none"}, "SMTP_SECURITY"),
    ],
)
def test_incomplete_mail_settings_are_refused_at_the_start(changes: dict[str, Any], named: str) -> None:
    whole = {"smtp_host": "localhost", "smtp_user": USER, "smtp_password": PASSWORD, "smtp_from": "imsfeed@x.example"}
    assert mail_server(Settings.model_validate(whole)) is not None
    with pytest.raises(InvalidSettingsError, match=named) as error:
        mail_server(Settings.model_validate(whole | changes))
    assert PASSWORD not in str(error.value)


def test_without_smtp_host_there_is_no_mail_server() -> None:
    assert mail_server(Settings.model_validate({})) is None


@pytest.mark.parametrize("stored", ["bjørn@elsewhere.example", "a:b@elsewhere.example", "x\u2028y@elsewhere.example"])
def test_an_address_beyond_ascii_keeps_no_other_recipient_from_the_mail(
    mailing: Pipeline, mails: MailServer, stored: str
) -> None:
    """Nor one that was stored before addresses were checked; the server is one without SMTPUTF8."""
    mails.controller.SMTP_kwargs["enable_SMTPUTF8"] = False
    mailing.target(name="a-sick", case_workers=(stored,))
    mailing.target(case_workers=(WORKERS[0], stored))
    with structlog.testing.capture_logs() as logs:
        mailing.compact()
    assert [mail.recipients for mail in mails.arrived] == [[WORKERS[0]]]
    assert [line["refused"] for line in logs if line["event"] == "mail sent"] == [1]
    assert [line["target"] for line in logs if line["event"] == "mail refused"] == ["a-sick"]
    assert "elsewhere" not in str(logs)


def test_an_address_beyond_ascii_gets_its_mail_where_the_server_takes_it(mailing: Pipeline, mails: MailServer) -> None:
    mailing.target(case_workers=("bjørn@blåbær.example",))
    mailing.compact()
    assert [mail.recipients for mail in mails.arrived] == [["bjørn@blåbær.example"]]


def test_a_mail_that_cannot_be_composed_keeps_no_other_back(
    mailing: Pipeline, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing.target(name="a-sick", case_workers=WORKERS)

    def instead(figures: Figures) -> Mail:
        if figures.target == "a-sick":
            raise KeyError(figures.target)
        return daily(figures)

    monkeypatch.setattr(notices, "daily", instead)
    mailing.compact()
    assert len(mails.arrived) == 1
    monkeypatch.setattr(notices, "daily", daily)
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 2


def test_a_mail_that_was_not_handed_over_is_tried_again(
    mailing: Pipeline, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(notices, "send", lambda *_: 1 // 0)
        mailing.compact()
    assert mails.arrived == []
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_the_body_of_a_mail_is_masked(start_mailing: Callable[..., Pipeline], mails: MailServer) -> None:
    number = a_birth_number(3)
    mailing = start_mailing(report_url=f"https://ims.example/{number}")
    mailing.target(case_workers=WORKERS)
    mailing.commit(an_owner(), a_person(1, national_id=None))
    mailing.compact()
    (mail,) = mails.arrived
    assert "https://ims.example/" in str(mail.get_content())
    assert number not in str(mail.get_content())
