"""How a test waits: for an outcome, with a deadline, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, within: float = 30, what: str) -> T:
    """Wait until a condition is true, and return its value.

    Args:
        condition: called about 50 times a second.
        within: seconds after which the test fails.
        what: the outcome, for the error's text, as in "the student is gone".

    Raises:
        AssertionError: the condition was not true in time; names ``what`` and the last value.
    """
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within:g} s: {what}; the last answer was {answer!r}")
        time.sleep(0.02)
    return answer
