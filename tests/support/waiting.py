"""How a test waits for an outcome: for the outcome itself, with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, within: float = 30, what: str) -> T:
    """Ask until the answer is true, and return it.

    Args:
        condition: asked about 50 times a second.
        within: seconds after which the test fails.
        what: was waited for, as in "the student is gone".

    Raises:
        AssertionError: it did not happen in time; names ``what`` and the last answer.
    """
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {within:g} s in vain until {what}; the last answer was {answer!r}")
        time.sleep(0.02)
    return answer
