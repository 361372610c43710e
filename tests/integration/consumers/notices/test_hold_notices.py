"""Mails to case workers about holds that wait for an approval; through a real mail server."""

from collections.abc import Callable

import pytest

from consumers.holds.open_holds import open_holds
from consumers.operations.approvals import reject
from tests.support.builders import a_person, an_enrolment, an_owner
from tests.support.fixtures.mail import WORKERS, subjects, text
from tests.support.pipeline import Pipeline
from tests.support.servers.mail_server import MailServer


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


def test_a_new_hold_gives_one_mail_without_personal_data(holding: Pipeline, mails: MailServer) -> None:
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


def test_a_changed_hold_is_reported_again_after_an_hour(holding: Pipeline, mails: MailServer) -> None:
    leave(holding, *range(112, 124))
    holding.compact(minutes=5)
    assert subjects(mails) == ["venter på godkjenning"]
    holding.compact(hours=1)
    assert subjects(mails) == ["venter på godkjenning", "noe annet venter på godkjenning"]
    holding.compact(hours=2)
    assert len(mails.arrived) == 2


def test_the_daily_mail_lists_a_hold_until_it_is_rejected(holding: Pipeline, mails: MailServer) -> None:
    holding.compact(days=1)
    assert subjects(mails)[-1] == "venter på godkjenning"
    assert "Det venter på godkjenning siden 15.10.2026" in text(mails)
    (hold,) = open_holds(holding.connection)
    reject(holding.connection, hold.hold_id, "ada", "wrong import", holding.now)
    holding.compact(days=1)
    assert "godkjenning" not in subjects(mails)[-1] + text(mails)


def test_a_lasting_hold_is_not_reported_again_as_new(holding: Pipeline, mails: MailServer) -> None:
    for _ in range(16):
        holding.compact(days=1)
    holding.compact(minutes=11)
    kinds = holding.connection.execute("select kind from imsfeed.notice where kind = 'hold'").fetchall()
    assert kinds == [("hold",)]
    assert mails.arrived


def test_a_first_publication_on_hold_is_reported(start_mailing: Callable[..., Pipeline], mails: MailServer) -> None:
    pipeline = start_mailing()
    pipeline.target(accept_initial=False, case_workers=WORKERS)
    pipeline.commit(an_owner())
    pipeline.compact()
    pipeline.compact(minutes=1)
    assert "venter på godkjenning" in subjects(mails)
    assert "Nothing has been told yet" in text(mails)
