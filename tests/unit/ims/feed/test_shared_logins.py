"""Logins that more than one person in a snapshot has: counted in bounded memory."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.feed.references import Keyed
from ims.feed.shared_logins import SharedLogins
from ims.records.model import PersonRecord, UserId


def person(number: int, login: str | None, *userids: UserId) -> Keyed:
    record = PersonRecord("imsfeed", str(number), login, "Ada", "Li", None, (), userids)
    return record.key, record


def shared(persons: list[Keyed], limit: int = 1_000) -> int:
    logins = SharedLogins(limit)

    def records() -> Iterator[Keyed]:
        yield from persons

    assert list(logins.watch(records())) == persons
    return logins.count(records)


def test_a_login_of_two_persons_is_counted() -> None:
    assert shared([person(1, "ada@x"), person(2, "bo@x"), person(3, "ADA@x"), person(4, None), person(5, None)]) == 1


def test_a_feide_name_is_a_login_too() -> None:
    feide = UserId("feideID", "ada@x")
    assert shared([person(1, "ada@x", feide), person(2, "bo@x", feide)]) == 1
    assert shared([person(1, "ada@x", feide), person(2, "bo@x", UserId("personLIN", "ada@x"))]) == 0


@pytest.mark.parametrize("limit", [1, 2, 7])
@given(logins=st.lists(st.integers(0, 30), max_size=60))
def test_any_limit_gives_the_same_count(limit: int, logins: list[int]) -> None:
    persons = [person(number, f"a{login}@x") for number, login in enumerate(logins)]
    assert shared(persons, limit) == shared(persons) == len(logins) - len(set(logins))
