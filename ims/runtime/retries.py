"""Patience with what passes: a database that restarts, a broker that is away, a network that is cut."""

import time
from collections.abc import Callable

import tenacity

from ims.runtime.lifecycle import Stop

LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 30.0
"""Time without an error after which the next one is the first of another outage, with short pauses again."""


def retrying(
    transient: Callable[[BaseException], bool],
    *,
    stop: Stop,
    on_retry: Callable[[BaseException, float], None],
) -> tenacity.Retrying:
    """Retry without end whatever is transient, with growing pauses of random length up to 30 seconds.

    What has gone well for 30 seconds begins again with short pauses: a process lives for months and sees many outages.

    The pauses are random so that many processes do not come back to a restarted server at the same moment ("full
    jitter"). Every other error, and the last one once asked to stop, is raised as it was.

    Args:
        transient: tells whether an error passes by itself.
        stop: ends a pause at once; nothing is tried again after it.
        on_retry: told the error and the pause in seconds, before the pause.
    """
    growing = tenacity.wait_random_exponential(multiplier=1, max=LONGEST_PAUSE_SECONDS)
    begun = time.monotonic()

    def begin(_state: tenacity.RetryCallState) -> None:
        nonlocal begun
        begun = time.monotonic()

    def pause(state: tenacity.RetryCallState) -> float:
        if time.monotonic() - begun >= SETTLED_SECONDS:
            state.attempt_number = 1
        return growing(state)

    def interruptible(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and not stop:
            on_retry(error, state.upcoming_sleep)
        return stop.wait(state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        before=begin,
        wait=pause,
        # The pause is taken here and not as tenacity's sleep, after which there would be one more attempt.
        stop=interruptible,
        sleep=lambda _seconds: None,
        reraise=True,
    )
