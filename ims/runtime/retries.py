"""Retries of transient errors: a database that restarts, a broker that is away, a network that is down."""

import time
from collections.abc import Callable

import tenacity

from ims.runtime.lifecycle import Stop

LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 30.0
"""Time without an error after which the next error begins a new outage, with short pauses again."""


def retrying(
    transient: Callable[[BaseException], bool],
    *,
    stop: Stop,
    on_retry: Callable[[BaseException, float], None],
) -> tenacity.Retrying:
    """Return a tenacity retrier that retries transient errors without end, with growing random pauses up to 30 seconds.

    After 30 seconds without an error the pauses begin short again: a process runs for months and sees many outages.

    The pauses are random so that many processes do not come back to a restarted server at the same moment ("full
    jitter"). Every other error, and the last one once asked to stop, is raised unchanged.

    Args:
        transient: returns True for an error that may clear without a change of ours.
        stop: ends a pause immediately; nothing is retried after it.
        on_retry: called with the error and the pause in seconds, before the pause.
    """
    growing = tenacity.wait_random_exponential(multiplier=1, max=LONGEST_PAUSE_SECONDS)
    begun = time.monotonic()

    def begin(_state: tenacity.RetryCallState) -> None:
        nonlocal begun
        begun = time.monotonic()

    def pause(state: tenacity.RetryCallState) -> float:
        # tenacity never counts attempts down, and would answer the next outage, weeks later, with the longest pauses.
        if time.monotonic() - begun >= SETTLED_SECONDS:
            state.attempt_number = 1
        return growing(state)

    def pause_or_stop(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and not stop:
            on_retry(error, state.upcoming_sleep)
        return stop.wait(state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        before=begin,
        wait=pause,
        # tenacity sleeps after it has asked whether to stop, and would make one more attempt if asked to stop during
        # the sleep. So the pause is taken while it asks, and its own sleep does nothing.
        stop=pause_or_stop,
        sleep=lambda _seconds: None,
        reraise=True,
    )
