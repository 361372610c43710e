"""National ids and organisation numbers; every person's number here is synthetic or published as a test number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

from ims.identifiers import birth_number, compact, d_number, duf_number, organisation_number
from ims.identifiers.national_id import NationalId, NationalIdKind, kind_of
from tests.support.builders import a_birth_number, a_d_number, a_duf_number

BIRTH, D, DUF = NationalIdKind.BIRTH_NUMBER, NationalIdKind.D_NUMBER, NationalIdKind.DUF_NUMBER


def kind(number: str, *, test: bool = True) -> NationalIdKind | None:
    return kind_of(NationalId(number), allow_test_numbers=test)


def completed(nine: str, remainder: int = 0) -> str | None:
    """Return nine digits with the control digits that leave *remainder*, or ``None`` if there are none."""
    first = str((int(calc_check_digit1(nine)) + remainder) % 11)
    second = calc_check_digit2(nine + first)
    return nine + first + second if len(first + second) == 2 else None


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (a_birth_number(), BIRTH),
        (a_d_number(), D),
        (a_duf_number(), DUF),
        ("41814061033", D),  # Skatteetaten, born 1940
        ("41810021827", D),  # Skatteetaten, born 2000
        ("200816832910", DUF),  # control digits 10
    ],
)
def test_each_kind_is_recognised(number: str, expected: NationalIdKind) -> None:
    assert kind(number) is expected


@pytest.mark.parametrize("month", ["81", "92", "66", "77", "41", "52"])
@pytest.mark.parametrize(("day", "expected"), [("01", BIRTH), ("41", D), ("71", D)])
def test_synthetic_series_are_valid_only_where_test_numbers_are_allowed(
    month: str, day: str, expected: NationalIdKind
) -> None:
    day = "70" if (day, month) == ("71", "52") else day
    numbers = [n for serial in range(100, 130) if (n := completed(f"{day}{month}90{serial}")) is not None]
    assert {kind(number) for number in numbers} == {expected}
    assert {kind(number, test=False) for number in numbers} == {None}


@pytest.mark.parametrize("month", ["00", "13", "40", "53", "65", "78", "80", "93", "99"])
def test_a_month_between_the_series_is_refused(month: str) -> None:
    numbers = [n for serial in range(100, 130) if (n := completed(f"01{month}90{serial}")) is not None]
    assert numbers
    assert {kind(number) for number in numbers} == {None}


@pytest.mark.parametrize(
    ("date", "exists"),
    [
        ("318190", True),
        ("328190", False),
        ("008190", False),
        ("308290", False),
        ("298290", False),
        ("298292", True),
        ("298200", True),  # 2000 was a leap year; from 2032 the individual digits do not say that 1900 is meant
        ("718190", True),
        ("728190", False),
        ("408190", False),
        ("698290", False),
        ("698292", True),
        ("808190", False),  # an FH number, which hospitals give out
    ],
)
def test_the_day_must_exist(date: str, exists: bool) -> None:
    numbers = [n for serial in range(100, 130) if (n := completed(f"{date}{serial}")) is not None]
    assert numbers
    assert {kind(number) is not None for number in numbers} == {exists}


@pytest.mark.parametrize("number", ["02013299997", "02013299903", "30108299920", "30108299939"])
def test_numbers_issued_from_2032_are_valid(number: str) -> None:
    assert kind(number, test=False) is BIRTH


def test_the_current_rule_refuses_some_numbers_issued_from_2032() -> None:
    assert [birth_number.follows_current_rule(n) for n in ("30108299920", "30108299939")] == [True, False]


@pytest.mark.parametrize("shift", [0, 40])
@pytest.mark.parametrize("remainder", range(11))
def test_the_first_control_digit_may_leave_at_most_three(shift: int, remainder: int) -> None:
    numbers = [
        n for serial in range(100, 200) if (n := completed(f"{1 + shift:02}8190{serial}", remainder)) is not None
    ]
    assert numbers
    assert {kind(number) is not None for number in numbers} == {remainder <= 3}


@given(nine=st.from_regex("[0-7][0-9]8[1-9][0-9]{5}", fullmatch=True), remainder=st.integers(0, 3))
def test_the_second_control_digit_must_leave_no_remainder(nine: str, remainder: int) -> None:
    number = completed(nine, remainder)
    if number is not None and kind(number) is not None:
        others = {number[:10] + digit for digit in "0123456789"} - {number}
        assert {kind(other) for other in others} == {None}


@pytest.mark.parametrize(
    "nine",
    [
        "418190550",  # 500-599 with a year that the table of 2021 does not give them
        "418145550",
        "418105300",  # 200-499, born 2000-2039
        "418170650",  # 600-999, born 1940-1999
        "418145700",  # 600-899 with a year from 40 to 53
        "018145700",
    ],
)
def test_no_number_is_refused_for_its_individual_digits(nine: str) -> None:
    numbers = [n for last in range(10) if (n := completed(f"{nine[:8]}{last}")) is not None]
    assert numbers
    assert None not in {kind(number) for number in numbers}


@given(serial=st.integers(0, 499), place=st.integers(0, 10), digit=st.integers(1, 9))
def test_a_number_with_a_wrong_digit_breaks_the_current_rule(serial: int, place: int, digit: int) -> None:
    number = a_birth_number(serial)
    wrong = f"{number[:place]}{(int(number[place]) + digit) % 10}{number[place + 1 :]}"
    assert not birth_number.follows_current_rule(wrong)


@pytest.mark.parametrize(
    "number", ["", "0", "1" * 10, "x" * 11, "²" * 11, "\u0660" * 11, "1" * 13, "-" * 12, "\u0660" * 12]
)
def test_a_text_that_is_no_number_has_no_kind(number: str) -> None:
    assert kind(number) is None


@given(st.text())
def test_any_text_has_one_kind_or_none(text: str) -> None:
    assert kind(text) in {BIRTH, D, DUF, None}


@given(serial=st.integers(0, 999_999), place=st.integers(0, 9), digit=st.integers(1, 9))
def test_a_duf_number_with_one_wrong_digit_is_not_valid(serial: int, place: int, digit: int) -> None:
    number = a_duf_number(serial)
    assert duf_number.is_valid(number)
    assert not duf_number.is_valid(f"{number[:place]}{(int(number[place]) + digit) % 10}{number[place + 1 :]}")


@pytest.mark.parametrize("number", ["201012345678", "201234567890"])
def test_the_control_digits_of_a_duf_number_may_go_unchecked(number: str) -> None:
    assert kind(number) is None
    assert kind_of(NationalId(number), allow_test_numbers=False, duf_check=False) is DUF


@pytest.mark.parametrize("number", ["241012192200", "010000000400", "123411234560", "20101234567", "2010123456780", ""])
def test_a_number_without_the_form_is_never_a_duf_number(number: str) -> None:
    assert kind_of(NationalId(number), allow_test_numbers=True, duf_check=False) is None


@given(st.text(alphabet="0123456789 -", max_size=14))
def test_leaving_control_digits_unchecked_only_adds_duf_numbers(text: str) -> None:
    strict = kind(text)
    lenient = kind_of(NationalId(text), allow_test_numbers=True, duf_check=False)
    assert lenient is strict or (strict, lenient) == (None, DUF)


def test_a_duf_number_without_a_plausible_year_is_not_valid() -> None:
    # Both pass the control digits, so it is the year that refuses them.
    assert not duf_number.is_valid("189900000009")
    assert not duf_number.is_valid("210000000003")
    assert duf_number.is_valid("190000000003")


@pytest.mark.parametrize("zero", ["\u0660", "\uff10"])
def test_only_ascii_digits_make_a_number(zero: str) -> None:
    def written(number: str) -> str:
        return "".join(chr(ord(zero) + int(digit)) for digit in number)

    assert not birth_number.is_valid(written(a_birth_number()), allow_test_numbers=True)
    assert not d_number.is_valid(written(a_d_number()), allow_test_numbers=True)
    assert not duf_number.is_valid(written(a_duf_number()))
    assert not organisation_number.is_valid(written("988077917"), allow_test_numbers=True)


def test_twelve_digits_are_never_an_eleven_digit_number() -> None:
    assert not birth_number.is_valid("0" + a_birth_number(), allow_test_numbers=True)
    assert not d_number.is_valid(a_d_number() + "0", allow_test_numbers=True)


@pytest.mark.parametrize(
    "written", ["018190 12284", "018190-12284", " 018190\u00a012284\n", "0181 90 12 284", "018190\u201312284"]
)
def test_spaces_and_hyphens_do_not_matter(written: str) -> None:
    assert compact(written) == "01819012284"
    assert kind(written) is BIRTH


@pytest.mark.parametrize("number", ["988077917", "974568012"])
def test_a_real_organisation_number_is_valid(number: str) -> None:
    assert organisation_number.is_valid(number)


@pytest.mark.parametrize(
    "number",
    ["", "98807791", "9880779170", "988077918", "NO988077917", "988 077 917", "100000008", "٩٨٨٠٧٧٩١٧", "../../etc"],
)
def test_a_wrong_organisation_number_is_refused(number: str) -> None:
    assert not organisation_number.is_valid(number)


def test_a_made_up_owner_may_have_an_unissued_number() -> None:
    assert organisation_number.is_valid("123456785", allow_test_numbers=True)
    assert not organisation_number.is_valid("123456785")
    assert not organisation_number.is_valid("123456789", allow_test_numbers=True)
