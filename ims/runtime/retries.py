"""Patience with what passes: a database that restarts, a broker that is away, a network that is cut."""

from collections.abc import Callable

import tenacity

from ims.runtime.lifecycle import Stop

LONGEST_PAUSE_SECONDS = 30.0


def patiently(
    transient: Callable[[BaseException], bool],
    *,
    stop: Stop,
    on_retry: Callable[[BaseException, float], None],
) -> tenacity.Retrying:
    """Retry without end whatever is transient, with growing pauses of random length up to 30 seconds.

    The pauses are random so that many processes do not come back to a restarted server at the same moment ("full
    jitter"). Every other error, and the last one once asked to stop, is raised as it was.

    Args:
        transient: tells whether an error passes by itself.
        stop: ends a pause at once; nothing is tried again after it.
        on_retry: told the error and the pause in seconds, before the pause.
    """

    def pause_is_cut_short(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and not stop:
            on_retry(error, state.upcoming_sleep)
        return stop.wait(state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        wait=tenacity.wait_random_exponential(multiplier=1, max=LONGEST_PAUSE_SECONDS),
        # The pause is taken here and not as tenacity's sleep, after which there would be one more attempt.
        stop=pause_is_cut_short,
        sleep=lambda _seconds: None,
        reraise=True,
    )
