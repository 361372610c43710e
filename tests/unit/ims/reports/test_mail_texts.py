"""The mails to case workers: short, in both languages, with counts and a link."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ims.feed.conflicts import HaltReason
from ims.feed.manifest import Counts, KindCounts, Totals
from ims.holds.losses import Cause
from ims.reports.hold_texts import HeldFigure
from ims.reports.mail_figures import ExcludedCount, Failure, Figures
from ims.reports.mail_texts import Mail, daily, failure_began, failure_over, hold_began
from ims.reports.reason_texts import Language, reason_text
from ims.reports.states import FirstHold, Obstacle, Situation
from ims.rules.eligibility import Reason

OSLO = ZoneInfo("Europe/Oslo")
BEGAN, ENDED = datetime(2026, 10, 15, 0, 16, tzinfo=UTC), datetime(2026, 10, 15, 6, tzinfo=UTC)
LINK = "https://ims.fjordvik.example/report"


def figures(**changes: Any) -> Figures:
    usual: dict[str, Any] = {
        "target": "lms",
        "owner": "Fjordvik kommune",
        "published": Totals(120, 8, 240),
        "last_day": Counts(person=KindCounts(3, 1, 2), membership=KindCounts(5, 0, 4)),
        "excluded": (ExcludedCount(Reason.NO_ACTIVE_ENROLMENT, 40, 0),),
        "quarantined": 0,
        "failures": (),
        "short_notice": False,
        "link": LINK,
    }
    return Figures(**usual | changes)


def a_situation(obstacle: Obstacle = Obstacle.TEST_NUMBER, halt_reason: HaltReason | None = None) -> Situation:
    return Situation(
        target="lms",
        obstacle=obstacle,
        published=halt_reason is not None,
        zone=OSLO,
        halt_reason=halt_reason,
        hold=FirstHold(7, BEGAN),
    )


def in_bokmal(mail: Mail) -> list[str]:
    return mail.text.partition("\n\n-- English --\n\n")[0].splitlines()


def in_english(mail: Mail) -> list[str]:
    return mail.text.partition("\n\n-- English --\n\n")[2].splitlines()


def test_a_mail_without_problems_is_one_line_and_a_link() -> None:
    mail = daily(figures())
    assert mail.subject == "Eksporten lms, Fjordvik kommune: alt i orden"
    changes = (
        "personer: 3 nye, 1 endret, 2 fjernet; grupper: 0 nye, 0 endret, 0 fjernet;"
        " medlemskap: 5 nye, 0 endret, 4 fjernet"
    )
    assert in_bokmal(mail) == [
        f"Alt er i orden. Med i eksporten lms: 120 personer, 8 grupper, 240 medlemskap. Siste døgn: {changes}.",
        f"Hvem det gjelder, og hvordan det rettes: {LINK}",
    ]
    assert in_english(mail)[0].startswith("All is well. In the export lms: 120 persons, 8 groups, 240 memberships.")


def test_a_mail_without_a_link_has_no_line_for_it() -> None:
    assert len(in_bokmal(daily(figures(link=None)))) == 1


def test_a_mail_counts_what_is_to_be_corrected_first() -> None:
    excluded = (
        ExcludedCount(Reason.GROUP_ENDED, 0, 2),
        ExcludedCount(Reason.NATIONAL_ID_MISSING, 1, 0),
        ExcludedCount(Reason.DUPLICATE_ID, 2, 1),
    )
    mail = daily(figures(excluded=excluded))
    assert mail.subject == "Eksporten lms, Fjordvik kommune: 4 bør rettes"

    def meaning(reason: Reason) -> str:
        return reason_text(reason, Language.BOKMAL).meaning

    assert in_bokmal(mail)[2:-1] == [
        "Ikke med, bør rettes:",
        f"  1 person: {meaning(Reason.NATIONAL_ID_MISSING)}",
        f"  2 personer, 1 gruppe: {meaning(Reason.DUPLICATE_ID)}",
        "Ikke med, som regel riktig:",
        f"  2 grupper: {meaning(Reason.GROUP_ENDED)}",
    ]


@pytest.mark.parametrize(
    ("changes", "subject", "nb", "en"),
    [
        ({"quarantined": 3}, "se på dette", "ikke kunne leses: 3.", "could not be read: 3."),
        ({"short_notice": True}, "se på dette", "mindre enn en time", "less than an hour"),
        (
            {"situation": a_situation()},
            "se på dette",
            "allow_test_numbers=true` godtar",
            "allow_test_numbers=true` accepts",
        ),
        (
            {"situation": a_situation(Obstacle.FIRST_HELD)},
            "venter på godkjenning",
            "holds approve 7",
            "holds approve 7",
        ),
        ({"failures": (Failure.STALE,)}, "feiler", "Ingenting blir eksportert", "Nothing is exported"),
    ],
)
def test_a_daily_mail_says_what_is_wrong(changes: dict[str, Any], subject: str, nb: str, en: str) -> None:
    mail = daily(figures(**changes))
    assert mail.subject.endswith(f": {subject}")
    assert nb in "\n".join(in_bokmal(mail))
    assert en in "\n".join(in_english(mail))
    assert "Alt er i orden" not in mail.text


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_says_since_when_why_and_who_must_act(failure: Failure) -> None:
    mail = failure_began("lms", "Fjordvik kommune", [failure], BEGAN, OSLO, LINK)
    assert mail.subject == "Eksporten lms, Fjordvik kommune: feiler"
    for lines, since in ((in_bokmal(mail), "siden 15.10.2026 02:16."), (in_english(mail), "since 2026-10-15 02:16.")):
        assert lines[0].endswith(since)
        assert len(lines) == 4
        assert lines[3].endswith(LINK)


def test_a_mail_about_a_lost_volume_does_not_blame_the_organisation_number() -> None:
    situation = a_situation(Obstacle.HALTED, HaltReason.FILES_MISSING)
    for mail in (
        failure_began("lms", "Fjordvik kommune", [Failure.STALE], BEGAN, OSLO, LINK, situation),
        daily(figures(failures=(Failure.STALE,), situation=situation)),
    ):
        assert "filene er borte" in "\n".join(in_bokmal(mail))
        assert "mount the feed's volume" in "\n".join(in_english(mail))
        assert "organisa" not in mail.text


def test_a_mail_before_the_first_publication_counts_nothing_as_exported() -> None:
    mail = daily(figures(situation=a_situation(Obstacle.FIRST_HELD), published=Totals(), excluded=()))
    assert "Ingenting er eksportert ennå" in mail.text
    assert "0 personer," not in mail.text.partition("Siste døgn")[0]
    assert "Alt er i orden" not in mail.text


def test_the_end_of_a_failure_says_how_long_it_was() -> None:
    mail = failure_over("lms", "Fjordvik kommune", BEGAN, ENDED, OSLO)
    assert mail.subject.endswith("virker igjen")
    assert in_bokmal(mail) == ["Eksporten lms virker igjen. Den feilet fra 15.10.2026 02:16 til 15.10.2026 08:00."]


@pytest.mark.parametrize("cause", Cause)
def test_every_hold_cause_has_a_mail_in_both_languages(cause: Cause) -> None:
    mail = hold_began("lms", "Fjordvik kommune", HeldFigure(7, cause, 1, 2, BEGAN, OSLO))
    assert mail.subject == "Eksporten lms, Fjordvik kommune: venter på godkjenning"
    for lines in (in_bokmal(mail), in_english(mail)):
        assert "`imsfeed holds show 7`" in lines[1]
        assert "`imsfeed holds approve 7`" in lines[1]
        assert (len(lines) == 2) is (cause is Cause.INITIAL)
    assert ("1 person, 2 grupper" in mail.text) is (cause is not Cause.INITIAL)


def test_a_daily_mail_names_an_open_hold() -> None:
    mail = daily(figures(holds=(HeldFigure(7, Cause.PERSONS, 11, 0, BEGAN, OSLO),)))
    assert mail.subject.endswith(": venter på godkjenning")
    assert in_english(mail)[0] == "Unusually many would lose their last membership: 11 persons."
