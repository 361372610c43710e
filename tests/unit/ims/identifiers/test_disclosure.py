"""National ids inside other texts: found in whatever way they are written, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.identifiers.disclosure import discloses, without_disclosed
from ims.identifiers.national_id import NationalId
from tests.support.builders import a_birth_number, a_d_number, a_duf_number

NUMBERS = [a_birth_number(1), a_d_number(2), a_duf_number(3)]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "text", ["{}", "{}@fjordvik.example", "bo.{}@fjordvik.example", "a{}b", "47{}", "{}0000", "nr_{}_x", "2026-{}"]
)
def test_a_national_id_is_found_anywhere_in_a_text(number: str, text: str) -> None:
    assert discloses(text.format(number))
    assert number not in without_disclosed(text.format(number))


@pytest.mark.parametrize("separator", [" ", "-", ".", "_", "/", " - ", "\u00a0", "\u2013"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_national_id_is_found_whatever_separates_its_digits(number: str, separator: str) -> None:
    assert discloses(f"Ada {number[:6]}{separator}{number[6:]}")
    assert discloses(separator.join(number))


def test_digits_of_another_script_are_digits() -> None:
    arabic = a_birth_number(1).translate({ord(str(digit)): chr(0x660 + digit) for digit in range(10)})
    assert discloses(f"Ada {arabic}")


def test_a_persons_own_number_counts_even_if_it_is_mistyped() -> None:
    own = NationalId("018190 99999")
    assert not discloses("ada01819099999@fjordvik.example")
    assert discloses("ada01819099999@fjordvik.example", own)


@pytest.mark.parametrize(
    "text",
    ["tlf. 22 33 44 55", "15.10.2026", "Norsk A1 2026-2027", "12345678901", "00000000000", "a1b2c3", "", "ø" * 99],
)
def test_other_numbers_stay(text: str) -> None:
    assert not discloses(text, NationalId("ukjent"))
    assert without_disclosed(text) == text


@given(st.text(alphabet="0123456789 -a"), st.sampled_from(NUMBERS))
def test_nothing_disclosed_is_left(text: str, number: str) -> None:
    assert discloses(f"{text}x{number}")
    assert number not in without_disclosed(f"{text}x{number}x{text}")
