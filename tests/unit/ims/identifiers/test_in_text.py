"""National ids in free text: found whatever separates their digits and whatever script these are in; little else is."""

import sys
import unicodedata
from collections.abc import Iterator
from itertools import chain, pairwise, zip_longest
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ims.identifiers.in_text import national_ids_in
from ims.identifiers.national_id import without_national_ids
from tests.support.builders import a_birth_number, a_d_number, a_duf_number

NUMBERS: Final = st.one_of(
    st.integers(1, 400).map(a_birth_number), st.integers(1, 400).map(a_d_number), st.integers(1, 400).map(a_duf_number)
)
SEPARATORS: Final = st.characters(categories=("Z", "P", "S", "Cc", "Cf", "M"))
DIGITS: Final = {
    value: [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.digit(c, None) == value]
    for value in range(10)
}
WORDS: Final = st.sampled_from(["", "Kari ", "fnr:", " (se sak)", "(", "\n"])


def joined(digits: list[str], gaps: list[str]) -> str:
    return "".join(chain.from_iterable(zip_longest(digits, gaps, fillvalue="")))


def masked(text: str) -> str:
    return without_national_ids(text)


def digits_in(text: str) -> Iterator[str]:
    return (character for character in text if unicodedata.digit(character, None) is not None)


@given(number=NUMBERS, data=st.data(), before=WORDS, after=WORDS)
def test_any_one_separator_between_any_digits_is_masked(
    number: str, data: st.DataObject, before: str, after: str
) -> None:
    gaps = data.draw(st.lists(st.one_of(st.just(""), SEPARATORS), min_size=len(number) - 1, max_size=len(number) - 1))
    text = before + joined(list(number), gaps) + after
    assert list(digits_in(masked(text))) == []


@given(number=NUMBERS, separator=SEPARATORS, cut=st.sampled_from([2, 4, 6, 9]))
@example(number="01810012345", separator="\u00a0", cut=6)
@example(number="01810012345", separator="\u2013", cut=6)
@example(number="01810012345", separator="\u200b", cut=4)
def test_one_separator_of_any_kind_is_masked(number: str, separator: str, cut: int) -> None:
    assert list(digits_in(masked(f"{number[:cut]}{separator}{number[cut:]}"))) == []


@given(number=NUMBERS, data=st.data())
def test_digits_of_every_script_and_width_are_masked(number: str, data: st.DataObject) -> None:
    text = "".join(data.draw(st.sampled_from(DIGITS[int(digit)])) for digit in number)
    assert list(digits_in(masked(f"Kari {text}."))) == []


@given(st.text())
def test_a_masked_text_has_no_more_to_mask(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@given(st.text(alphabet=st.sampled_from("0189 -.:x\u200b\u00a0"), max_size=200))
def test_places_are_in_order_and_lie_inside_the_text(text: str) -> None:
    places = national_ids_in(text)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(one[1] <= other[0] for one, other in pairwise(places))


@pytest.mark.parametrize(
    "text",
    [
        "tlf. 22 33 44 55",
        "+47 912 34 567",
        "0047 22 33 44 55",
        "988 077 917",
        "15.10.2026 12:30",
        "fra 15.10.2026 8:00 til 16.10.2026 14:15",
        "2026-10-15 08:00:20.123456+00:00",
        "2026-11-30T06:10:04.123456Z",
        "persons 1042, 1043, 104",
        "192.168.100.12:5432",
        "10.110.100.123",
        "1764021600000",
        "16/B374D848",
    ],
)
def test_other_numbers_stay_readable(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "018100\u202f12345",
        "01/81/00 12345",
        "018100:12345",
        "018100__12345",
        "018100 - 12345",
        "0 1 8 1 0 0 1 2 3 4 5",
        "fnr01810012345",
        "2 018100 12345",
        "20\u20e310\ufe0f17238203",
        "2010/172382/03",
    ],
)
def test_ways_in_which_people_write_one_are_masked(text: str) -> None:
    left = masked(text)
    assert "***********" in left
    assert len(list(digits_in(left))) <= 1


@pytest.mark.parametrize("text", ["1 " * 60_000, "1\u200b" * 60_000, "2026-10-15 " * 12_000, "12345678901 " * 12_000])
def test_the_work_grows_with_the_length_of_the_text_only(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ims.identifiers import in_text  # noqa: PLC0415 - its private function is counted

    tried = 0
    reads = in_text._reads_as_national_id

    def counted(digits: str, cuts: set[int]) -> bool:
        nonlocal tried
        tried += 1
        return reads(digits, cuts)

    monkeypatch.setattr(in_text, "_reads_as_national_id", counted)
    masked(text)
    assert tried <= 12 * len(text)
