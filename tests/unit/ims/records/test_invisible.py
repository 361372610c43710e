"""Characters that no reader sees, in names and in what identifies a person."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.records.invisible import JOINERS, without_invisible
from ims.records.text import BOUND, clean_identifier, clean_text, has_invisible_characters, spell_out_markup

INVISIBLE = [
    *"\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u2800\u3164\ufe0f\ufeff",
    *"\uffa0\U000e0001\U000e0041\U000e0100",
]
AROUND = ["\u00a0", "\u2007", "\u202f", "\u3000", "\u2003"]


@pytest.mark.parametrize("character", INVISIBLE)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_no_invisible_character_is_left_in_a_text(character: str, place: int) -> None:
    text = f"{'Kari'[:place]}{character}{'Kari'[place:]}"
    assert (clean_text(text), clean_identifier(text)) == ("Kari", "Kari")
    assert has_invisible_characters(text)
    assert has_invisible_characters(text, identifier=True)


@pytest.mark.parametrize("space", AROUND)
def test_no_break_spaces_at_the_ends_are_removed(space: str) -> None:
    assert clean_text(f"{space}Kari{space}") == "Kari"
    assert has_invisible_characters(f"Kari{space}")
    assert not has_invisible_characters(f"Kari{space}Ås")


def test_a_space_behind_an_invisible_character_is_an_end_too() -> None:
    assert clean_text("\ufeff \u200bKari \u200b") == "Kari"


def test_a_joiner_stays_where_it_shapes_a_name() -> None:
    persian, emoji = "\u0645\u062d\u0645\u062f\u200c\u0631\u0636\u0627", "\U0001f468\u200d\U0001f469"
    assert (clean_text(persian), clean_text(emoji)) == (persian, emoji)
    assert not has_invisible_characters(persian)
    assert clean_identifier(persian) == persian.replace("\u200c", "")
    assert has_invisible_characters(persian, identifier=True)


def test_every_format_character_of_unicode_is_removed_or_visible() -> None:
    visible = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) == "Cf" and without_invisible(character)
    }
    # Marks of numbers, verses and musical or hieroglyphic signs: Unicode counts them among the visible ones.
    assert visible.isdisjoint(JOINERS)
    assert all(
        unicodedata.name(one).startswith(("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "INTERLINEAR")) for one in visible
    )


@given(st.text(st.sampled_from([*INVISIBLE, *AROUND, *"aÅ\u030aक\u094d👨🏽 "])))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
    assert not set(clean_identifier(text)) & set(INVISIBLE)


@pytest.mark.parametrize("text", ["\u0301" * 80_000, "a" + "\u0323\u0301" * 500_000, " " * 80_000 + "\u0301" * 80_000])
def test_only_a_bounded_text_is_normalised(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    normalised: list[int] = []

    def normalize(_form: str, text: str) -> str:
        normalised.append(len(text))
        return text

    monkeypatch.setattr("ims.records.text.unicodedata.normalize", normalize)
    assert len(clean_text(text)) == len(clean_identifier(text)) == BOUND
    assert normalised == [BOUND, BOUND]


def test_a_bounded_text_stays_too_long_for_its_field() -> None:
    assert len(clean_identifier("ada" + " " * 5_000 + "@fjordvik.example")) > BOUND
    assert len(clean_identifier("åda" + " " * 5_000 + "@fjordvik.example")) == BOUND
    assert len(clean_text("\u03b1\u0313\u0301\u0345" * 5_000)) == BOUND // 4


def test_a_text_of_spaces_is_spelled_out_in_one_pass() -> None:
    assert spell_out_markup(" " * 200_000 + "a") == " " * 200_000 + "a"
    assert spell_out_markup("a" + " & " * 100_000 + "b") == "a og b"
