"""What case workers are told by mail, and when; through a real mail server."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from consumers.holds.open_holds import open_holds
from consumers.notices import notice_store
from consumers.operations.approvals import reject
from deploy.local.process import free_port
from ims.feed.manifest import delta_path
from tests.support.builders import a_birth_number, a_person, an_enrolment, an_owner
from tests.support.fixtures.mail import LINK, WORKERS
from tests.support.pipeline import Pipeline
from tests.support.servers.mail_server import MailServer


def subjects(mails: MailServer) -> list[str]:
    return [str(mail["Subject"]).rpartition(": ")[2] for mail in mails.arrived]


def text(mails: MailServer, number: int = -1) -> str:
    return str(mails.arrived[number].get_content())


def test_the_daily_mail_arrives_once_over_tls_with_counts_and_link_and_nobodys_data(
    mailing: Pipeline, mails: MailServer
) -> None:
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


def test_a_national_id_in_the_owners_name_is_masked_in_the_mail(mailing: Pipeline, mails: MailServer) -> None:
    national_id = a_birth_number(9)
    mailing.commit(an_owner(name=f"Fjordvik {national_id}"))
    mailing.compact()
    (mail,) = mails.arrived
    assert mail["Subject"] == "Eksporten lms, Fjordvik ***********: 1 bør rettes"
    assert national_id not in text(mails)


def test_a_control_character_in_a_national_id_does_not_carry_it_into_a_subject(
    mailing: Pipeline, mails: MailServer
) -> None:
    national_id = a_birth_number(9)
    mailing.commit(an_owner(name=f"Fjordvik {national_id[:6]}\x01{national_id[6:]}"))
    mailing.compact()
    (mail,) = mails.arrived
    assert mail["Subject"] == "Eksporten lms, Fjordvik ***********: 1 bør rettes"


def test_the_deltas_of_the_last_day_are_added_up(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    for name in ("Ny", "Nyere"):
        mailing.commit(a_person(1, family_name=name))
        mailing.compact(minutes=1)
    mailing.commit(an_enrolment(1, person=1, status="withdrawn"))
    mailing.compact(hours=20)
    assert "personer: 0 nye, 2 endret, 1 fjernet" in text(mails)
    mailing.compact(days=2)
    assert "personer: 0 nye, 0 endret, 0 fjernet" in text(mails)


def test_the_daily_mail_waits_for_its_hour_in_the_targets_time_zone(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.compact(hours=18, minutes=59)  # 06:59 in Oslo
    assert mails.arrived == []
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_two_compactors_send_one_mail_and_so_does_one_that_is_restarted(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing.compact()
    for _ in range(2):
        start_mailing().compact(minutes=1)
    assert len(mails.arrived) == 1


def test_of_several_who_claim_a_mail_at_once_one_may_send_it(
    mailing: Pipeline, start_mailing: Callable[..., Pipeline]
) -> None:
    mailing.compact()
    both = [one.connection for one in (mailing, start_mailing())]
    assert [notice_store.claim(one, 1, "daily", "2026-10-16", mailing.now) for one in both] == [True, False]
    notice_store.give_back(both[0], 1, "daily", "2026-10-16")
    assert [notice_store.claim(one, 1, "daily", "2026-10-16", mailing.now) for one in both] == [True, False]


def test_a_mail_of_which_nobody_knows_whether_it_was_sent_is_not_sent_again(
    mailing: Pipeline, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(notice_store, "sent", killed)
    mailing.compact()
    monkeypatch.undo()
    mailing.compact(minutes=1)
    assert len(mails.arrived) == 1


def test_a_target_that_stands_still_is_told_when_it_begins_and_when_it_is_over(
    mailing: Pipeline, mails: MailServer
) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.commit(an_owner(orgnr=None))
    for _ in range(5):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler"]
    assert "organisasjonsnummer er endret eller mangler" in text(mails)
    mailing.commit(an_owner())
    for _ in range(5):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler", "virker igjen"]
    assert "Den feilet fra 15.10.2026 12:01 til 15.10.2026 12:0" in text(mails)


def test_two_compactors_tell_of_a_failure_once_although_only_one_sees_it(
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
        other.compactor._looked = None
        other.compactor._look(other.now)
    assert subjects(mails) == ["feiler"]
    assert "ikke slik den ble skrevet" in text(mails)
    damaged.unlink()
    for _ in range(4):
        mailing.compact(minutes=1)
    assert subjects(mails) == ["feiler", "virker igjen"]


def test_the_end_of_a_failure_that_nobody_was_told_of_is_not_told(
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


def test_whoever_is_asked_to_stop_begins_no_further_mail(
    start_mailing: Callable[..., Pipeline], mailing: Pipeline, mails: MailServer
) -> None:
    stopping = start_mailing()
    assert stopping.compactor._notices is not None
    stopping.compactor._notices._stop.set()
    stopping.compact()
    assert mails.arrived == []
    mailing.compact()
    assert len(mails.arrived) == 1


def test_a_snapshot_that_does_not_come_is_told(mailing: Pipeline, mails: MailServer) -> None:
    mailing.compact()
    mails.arrived.clear()
    mailing.now += timedelta(hours=14)  # 02:00 in Oslo
    mailing.compactor._look(mailing.now + timedelta(minutes=15))
    assert mails.arrived == []
    mailing.compactor._look(mailing.now + timedelta(minutes=16))
    assert subjects(mails) == ["feiler"]
    assert "fullfilen er ikke laget" in text(mails)
    mailing.compact(minutes=20)
    assert subjects(mails) == ["feiler", "virker igjen"]


def test_nobody_is_told_of_a_target_that_is_not_enabled_or_has_no_case_workers(
    start_mailing: Callable[..., Pipeline], mails: MailServer
) -> None:
    mailing = start_mailing()
    mailing.target(case_workers=WORKERS, enabled=False)
    mailing.target(name="idm")
    mailing.commit(an_owner())
    mailing.compact()
    mailing.compact(days=1)
    assert mails.arrived == []


def test_what_was_told_long_ago_is_forgotten(mailing: Pipeline) -> None:
    mailing.compact()
    for _ in range(20):
        mailing.compact(days=1)
    row = mailing.connection.execute("select count(*) from imsfeed.notice").fetchone()
    assert row == (15,)


def test_the_manifest_and_the_metric_say_when_the_importer_reads(mailing: Pipeline) -> None:
    mailing.compact()
    assert mailing.manifest().ready_by is None
    assert str(mailing.metrics.deadline_margin_seconds._value.get()) == "nan"
    mailing.target(case_workers=WORKERS, importer_sync_time="03:30")
    mailing.compact(hours=14, minutes=1)  # 02:01 in Oslo
    mailing.compact(minutes=1)
    manifest = mailing.manifest()
    assert manifest.ready_by is not None
    assert manifest.ready_by - manifest.next_snapshot == timedelta(minutes=90)
    assert mailing.metrics.deadline_margin_seconds._value.get() == 89 * 60


def leave(mailing: Pipeline, *numbers: int) -> None:
    mailing.commit(*(an_enrolment(n, person=n) for n in numbers), gone=True)


@pytest.fixture
def holding(mailing: Pipeline, mails: MailServer) -> Pipeline:
    """Thirty learners, of whom eleven have just left; mails from before are gone."""
    mailing.compact()
    people = range(101, 131)
    mailing.commit(*(a_person(n) for n in people), *(an_enrolment(n, person=n) for n in people))
    mailing.compact(minutes=1)
    leave(mailing, *range(101, 112))
    mails.arrived.clear()
    mailing.compact(minutes=1)
    return mailing


def test_one_mail_says_that_something_waits_with_counts_and_the_command_and_nobodys_data(
    holding: Pipeline, mails: MailServer
) -> None:
    holding.compact(minutes=1)
    assert subjects(mails) == ["venter på godkjenning"]
    said = text(mails)
    assert "Uvanlig mange ville miste sitt siste medlemskap: 11 personer." in said
    assert "Unusually many would lose their last membership: 11 persons." in said
    assert said.count("imsfeed holds show 1") == 2
    person = a_person(101)
    assert person.national_id is not None
    for secret in (person.given_name, person.family_name, person.feide_name, person.national_id.reveal()):
        assert secret
        assert secret not in str(mails.arrived[-1]) + said


def test_a_hold_that_changes_is_told_again_but_not_within_the_hour(holding: Pipeline, mails: MailServer) -> None:
    leave(holding, *range(112, 124))
    holding.compact(minutes=5)
    assert subjects(mails) == ["venter på godkjenning"]
    holding.compact(hours=1)
    assert subjects(mails) == ["venter på godkjenning", "noe annet venter på godkjenning"]
    holding.compact(hours=2)
    assert len(mails.arrived) == 2


def test_the_daily_mail_says_what_waits_until_it_is_rejected(holding: Pipeline, mails: MailServer) -> None:
    holding.compact(days=1)
    assert subjects(mails)[-1] == "venter på godkjenning"
    assert "Det har ventet på godkjenning siden 15.10.2026" in text(mails)
    (hold,) = open_holds(holding.connection)
    reject(holding.connection, hold.hold_id, "ada", "wrong import", holding.now)
    holding.compact(days=1)
    assert "godkjenning" not in subjects(mails)[-1] + text(mails)


def test_a_hold_that_lasts_is_not_told_as_new_when_old_mails_are_forgotten(
    holding: Pipeline, mails: MailServer
) -> None:
    for _ in range(16):
        holding.compact(days=1)
    holding.compact(minutes=11)
    kinds = holding.connection.execute("select kind from imsfeed.notice where kind = 'hold'").fetchall()
    assert kinds == [("hold",)]
    assert mails.arrived


def test_a_first_publication_that_waits_is_told(start_mailing: Callable[..., Pipeline], mails: MailServer) -> None:
    pipeline = start_mailing()
    pipeline.target(accept_initial=False, case_workers=WORKERS)
    pipeline.commit(an_owner())
    pipeline.compact()
    pipeline.compact(minutes=1)
    assert "venter på godkjenning" in subjects(mails)
    assert "Nothing has been exported yet" in text(mails)
