"""Why a target publishes nothing, and where a person is: one decision each."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ims.feed.conflicts import HaltReason
from ims.reports.reason_texts import Language
from ims.reports.states import FirstHold, Obstacle, PersonState, explain_obstacle, obstacle_of, person_state
from tests.support.builders import ORGNR, a_target

HOLD = FirstHold(7, datetime(2026, 10, 15, 10, tzinfo=UTC))
REJECTED = FirstHold(7, HOLD.since, rejected=True)
REGISTERED = "988077917"


def found(**changes: Any) -> Obstacle | None:
    settings = a_target(**{"allow_test_numbers": False} | changes.pop("settings", {}))
    usual: dict[str, Any] = {
        "registered": REGISTERED, "arriving": False, "orgnr": None, "published": False, "halt_reason": None,
        "hold": HOLD,
    }  # fmt: skip
    situation = obstacle_of(settings, **usual | changes)
    return None if situation is None else situation.obstacle


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"settings": {"accept_initial": False}}, Obstacle.FIRST_HELD),
        ({"hold": REJECTED, "settings": {"accept_initial": False}}, Obstacle.FIRST_REJECTED),
        ({"hold": FirstHold(7, HOLD.since, approved=True)}, Obstacle.FIRST_DUE),
        ({"hold": None}, Obstacle.FIRST_DUE),
        ({"settings": {"enabled": False}}, Obstacle.DISABLED),
        ({"registered": None}, Obstacle.OWNER_UNKNOWN),
        ({"registered": " "}, Obstacle.NUMBER_MISSING),
        ({"registered": "988077918"}, Obstacle.NUMBER_INVALID),
        ({"registered": ORGNR}, Obstacle.TEST_NUMBER),
        ({"arriving": True}, Obstacle.ARRIVING),
        ({"published": True, "orgnr": REGISTERED}, None),
        ({"published": True, "orgnr": REGISTERED, "arriving": True}, None),
        ({"published": True, "orgnr": "974568012"}, Obstacle.NUMBER_CHANGED),
        ({"published": True, "orgnr": REGISTERED, "registered": ""}, Obstacle.NUMBER_MISSING),
        ({"published": True, "orgnr": ORGNR, "registered": ORGNR}, Obstacle.TEST_NUMBER),
        ({"published": True, "orgnr": REGISTERED, "halt_reason": HaltReason.FILES_MISSING}, Obstacle.HALTED),
    ],
)  # fmt: skip
def test_the_first_reason_why_nothing_is_published_is_the_real_one(
    changes: dict[str, Any], obstacle: Obstacle | None
) -> None:
    assert found(**changes) is obstacle


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("registered", [REGISTERED, ORGNR, None, "", "1"])
@pytest.mark.parametrize("halt_reason", [None, *HaltReason])
def test_every_obstacle_is_explained(
    language: Language, registered: str | None, halt_reason: HaltReason | None
) -> None:
    situation = obstacle_of(
        a_target(allow_test_numbers=False, accept_initial=False), registered=registered, arriving=False, orgnr=None,
        published=halt_reason is not None, halt_reason=halt_reason, hold=HOLD,
    )  # fmt: skip
    assert situation is not None
    text = explain_obstacle(situation, language)
    assert text.endswith(".")
    assert "{" not in text


@pytest.mark.parametrize("obstacle", [Obstacle.FIRST_HELD, Obstacle.FIRST_REJECTED])
def test_a_held_first_publication_names_the_commands_that_decide(obstacle: Obstacle) -> None:
    hold = FirstHold(7, HOLD.since, rejected=obstacle is Obstacle.FIRST_REJECTED)
    situation = obstacle_of(
        a_target(accept_initial=False), registered=ORGNR, arriving=False, orgnr=None, published=False, halt_reason=None,
        hold=hold,
    )  # fmt: skip
    assert situation is not None
    for language in Language:
        assert "`imsfeed holds approve 7`" in explain_obstacle(situation, language)


def test_what_the_feed_has_counts_before_what_a_rule_says() -> None:
    assert person_state(in_feed=True, held=False, excluded="group_ended") is PersonState.IN_FEED
    assert person_state(in_feed=True, held=True, excluded="group_ended") is PersonState.HELD
    assert person_state(in_feed=False, held=False, excluded="group_ended") is PersonState.EXCLUDED
    assert person_state(in_feed=False, held=False, excluded=None) is PersonState.NOT_PUBLISHED
