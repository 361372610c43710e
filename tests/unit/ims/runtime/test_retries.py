import pytest

from ims.runtime import retries
from ims.runtime.lifecycle import Stop
from ims.runtime.retries import retrying


class _NoTimeToWait(Stop):
    """A stop whose pauses are noted instead of waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return bool(self)


class _Away:
    """A server that refuses so many times and then answers."""

    def __init__(self, refusals: int, error: Exception | None = None) -> None:
        self.refusals = refusals
        self.error = error or ConnectionError("away")
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.refusals:
            raise self.error
        return "here"


def _passes(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def _ignore(_error: BaseException, _pause: float) -> None:
    pass


def test_what_passes_is_tried_until_it_has_passed() -> None:
    server = _Away(refusals=500)
    assert retrying(_passes, stop=_NoTimeToWait(), on_retry=_ignore)(server) == "here"
    assert server.calls == 501


def test_what_does_not_pass_is_raised_at_once() -> None:
    server = _Away(refusals=1, error=ValueError("wrong for ever"))
    with pytest.raises(ValueError, match="wrong for ever"):
        retrying(_passes, stop=_NoTimeToWait(), on_retry=_ignore)(server)
    assert server.calls == 1


def test_pauses_grow_to_thirty_seconds_and_differ() -> None:
    stop = _NoTimeToWait()
    retrying(_passes, stop=stop, on_retry=_ignore)(_Away(refusals=500))
    assert stop.pauses[0] <= 1
    assert 20 < max(stop.pauses) <= 30
    assert len(set(stop.pauses)) > 400


def test_after_a_good_while_an_error_is_the_first_of_another_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process lives for months: the outages of last week must not make it slow to come back from this one."""
    stop, server, now = _NoTimeToWait(), _Away(refusals=200), 0.0
    monkeypatch.setattr("ims.runtime.retries.time.monotonic", lambda: now)

    def works_for_half_a_minute() -> str:
        nonlocal now
        now += retries.SETTLED_SECONDS
        return server()

    retrying(_passes, stop=stop, on_retry=_ignore)(works_for_half_a_minute)
    assert max(stop.pauses) <= 1


def test_every_retry_is_told_with_its_error_and_pause() -> None:
    stop, published = _NoTimeToWait(), list[tuple[BaseException, float]]()
    server = _Away(refusals=3)
    retrying(_passes, stop=stop, on_retry=lambda error, pause: published.append((error, pause)))(server)
    assert published == [(server.error, pause) for pause in stop.pauses]
    assert len(published) == 3


def test_a_stop_during_the_pause_raises_the_last_error_and_tries_no_more() -> None:
    stop, server = Stop(), _Away(refusals=3)
    with pytest.raises(ConnectionError, match="away"):
        retrying(_passes, stop=stop, on_retry=lambda _error, _pause: stop.set())(server)
    assert server.calls == 1


def test_no_retry_is_told_once_asked_to_stop() -> None:
    stop, published = Stop(), list[BaseException]()
    stop.set()
    with pytest.raises(ConnectionError):
        retrying(_passes, stop=stop, on_retry=lambda error, _pause: published.append(error))(_Away(refusals=3))
    assert not published


def test_a_block_can_be_retried_too() -> None:
    server, answers = _Away(refusals=2), list[str]()
    for attempt in retrying(_passes, stop=_NoTimeToWait(), on_retry=_ignore):
        with attempt:
            answers.append(server())
    assert answers == ["here"]
