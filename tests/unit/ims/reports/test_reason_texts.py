"""Every reason is explained to the case worker in both languages, without the words of a file format."""

import re

import pytest

from ims.reports.reason_texts import Language, reason_text
from ims.rules.eligibility import Reason

_TECHNICAL = re.compile(
    r"\b(xml|sourcedid|recstatus|target|feed|delta|snapshot|template|null|record|id|json|setting)\b", re.IGNORECASE
)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_what_it_means_and_how_to_correct_it(reason: Reason, language: Language) -> None:
    for sentence in reason_text(reason, language):
        assert re.fullmatch(r"[A-ZÆØÅ].+\.", sentence)
        assert not _TECHNICAL.search(sentence)


@pytest.mark.parametrize("language", Language)
def test_every_reason_has_its_own_meaning(language: Language) -> None:
    meanings = [reason_text(reason, language).meaning for reason in Reason]
    assert len(set(meanings)) == len(meanings)


def test_the_two_languages_differ() -> None:
    for reason in Reason:
        assert reason_text(reason, Language.BOKMAL) != reason_text(reason, Language.ENGLISH)
