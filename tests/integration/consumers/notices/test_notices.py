"""Which mails case workers get, and when; through a real mail server."""

from collections.abc import Callable

import pytest

from consumers.notices import notice_store
from tests.support.builders import a_birth_number, a_person, an_enrolment, an_owner
from tests.support.fixtures.mail import LINK, WORKERS, subjects, text
from tests.support.pipeline import Pipeline
from tests.support.servers.mail_server import MailServer


def test_the_daily_mail_has_counts_and_no_personal_data(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mailing.compact(minutes=5)
    (mail,) = mails.arrived
    assert (mail.over_tls, mails.logins) == (True, 1)
    assert mail.recipients == list(WORKERS)
    assert mail["From"] == "imsfeed@fjordvik.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert subjects(mails) == ["1 bør rettes"]
    said = text(mails)
    assert "Med i eksporten lms: 1 person, 1 gruppe, 1 medlemskap." in said
    assert "  1 person: Deltakeren mangler fødselsnummer, D-nummer og DUF-nummer." in said
    assert said.count(LINK) == 2
    for person in (a_person(1), a_person(2)):
        for secret in (person.given_name, person.family_name, person.email, person.feide_name):
            assert secret
            assert secret not in str(mail) + said
    national_id = a_person(1).national_id
    assert national_id is not None
    assert national_id.reveal() not in str(mail) + said


def test_a_national_id_in_the_owners_name_is_masked(mailing: Pipeline, mails: MailServer) -> None:
    national_id = a_birth_number(9)
    mailing.commit(an_owner(name=f"Fjordvik {national_id}"))
    mailing.compact()
    (mail,) = mails.arrived
    assert mail["Subject"] == "Eksporten lms, Fjordvik ***********: 1 bør rettes"
    assert national_id not in text(mails)


def test_a_national_id_with_a_control_character_is_masked(mailing: Pipeline, mails: MailServer) -> None:
    national_id = a_birth_number(9)
    mailing.commit(an_owner(name=f"Fjordvik {national_id[:6]}\x01{national_id[6:]}"))
    mailing.compact()
    (mail,) = mails.arrived
    assert mail["Subject"] == "Eksporten lms, Fjordvik ***********: 1 bør rettes"


def test_the_daily_mail_sums_the_deltas_of_the_last_day(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    for name in ("Ny", "Nyere"):
        mailing.commit(a_person(1, family_name=name))
        mailing.compact(minutes=1)
    mailing.commit(an_enrolment(1, person=1, status="withdrawn"))
    mailing.compact(hours=20)
    assert "personer: 0 nye, 2 endret, 1 borte" in text(mails)
    mailing.compact(days=2)
    assert "personer: 0 nye, 0 endret, 0 borte" in text(mails)


def test_the_daily_mail_waits_for_its_hour_in_the_time_zone(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.compact(hours=18, minutes=59)  # 06:59 in Oslo
    assert mails.arrived == []
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_several_compactors_send_one_daily_mail(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing.compact()
    for _ in range(2):
        start_mailing().compact(minutes=1)
    assert len(mails.arrived) == 1


def test_a_mail_is_claimed_by_one_process_only(mailing: Pipeline, start_mailing: Callable[..., Pipeline]) -> None:
    mailing.compact()
    both = [one.connection for one in (mailing, start_mailing())]
    assert [notice_store.claim(one, 1, "daily", "2026-10-16", mailing.now) for one in both] == [True, False]
    notice_store.release(both[0], 1, "daily", "2026-10-16")
    assert [notice_store.claim(one, 1, "daily", "2026-10-16", mailing.now) for one in both] == [True, False]


def test_a_mail_that_may_have_been_sent_is_not_repeated(
    mailing: Pipeline, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(notice_store, "mark_sent", killed)
    mailing.compact()
    monkeypatch.undo()
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_a_stopping_process_begins_no_further_mail(
    start_mailing: Callable[..., Pipeline], mailing: Pipeline, mails: MailServer
) -> None:
    stopping = start_mailing()
    assert stopping.compactor._notices is not None
    stopping.compactor._notices._stop.set()
    stopping.compact()
    assert mails.arrived == []
    mailing.compact()
    assert len(mails.arrived) == 1


def test_a_target_disabled_or_without_case_workers_sends_no_mail(
    start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing = start_mailing()
    mailing.target(case_workers=WORKERS, enabled=False)
    mailing.target(name="idm")
    mailing.commit(an_owner())
    mailing.compact()
    mailing.compact(days=1)
    assert mails.arrived == []


def test_old_notices_are_deleted(mailing: Pipeline) -> None:
    mailing.compact()
    for _ in range(20):
        mailing.compact(days=1)
    row = mailing.connection.execute("select count(*) from imsfeed.notice").fetchone()
    assert row == (15,)
