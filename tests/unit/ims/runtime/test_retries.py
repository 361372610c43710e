"""Retries of transient errors: how long they go on, how they pause, and how a stop ends them."""

import pytest

from ims.runtime import retries
from ims.runtime.lifecycle import Stop
from ims.runtime.retries import retrying


class _RecordedPauses(Stop):
    """A stop that records pauses instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return bool(self)


class _Away:
    """A server that refuses a number of times and then answers."""

    def __init__(self, refusals: int, error: Exception | None = None) -> None:
        self.refusals = refusals
        self.error = error or ConnectionError("away")
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.refusals:
            raise self.error
        return "here"


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def _ignore(_error: BaseException, _pause: float) -> None:
    pass


def test_a_transient_error_is_retried_until_it_clears() -> None:
    server = _Away(refusals=500)
    assert retrying(_is_transient, stop=_RecordedPauses(), on_retry=_ignore)(server) == "here"
    assert server.calls == 501


def test_a_permanent_error_is_raised_immediately() -> None:
    server = _Away(refusals=1, error=ValueError("wrong for ever"))
    with pytest.raises(ValueError, match="wrong for ever"):
        retrying(_is_transient, stop=_RecordedPauses(), on_retry=_ignore)(server)
    assert server.calls == 1


def test_pauses_grow_to_thirty_seconds_and_differ() -> None:
    stop = _RecordedPauses()
    retrying(_is_transient, stop=stop, on_retry=_ignore)(_Away(refusals=500))
    assert stop.pauses[0] <= 1
    assert 20 < max(stop.pauses) <= 30
    assert len(set(stop.pauses)) > 400


def test_an_error_after_a_good_while_begins_a_new_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process runs for months: last week's outages must not lengthen the pauses of this one."""
    stop, server, now = _RecordedPauses(), _Away(refusals=200), 0.0
    monkeypatch.setattr("ims.runtime.retries.time.monotonic", lambda: now)

    def works_for_half_a_minute() -> str:
        nonlocal now
        now += retries.SETTLED_SECONDS
        return server()

    retrying(_is_transient, stop=stop, on_retry=_ignore)(works_for_half_a_minute)
    assert max(stop.pauses) <= 1


def test_every_retry_is_reported_with_error_and_pause() -> None:
    stop, reported = _RecordedPauses(), list[tuple[BaseException, float]]()
    server = _Away(refusals=3)
    retrying(_is_transient, stop=stop, on_retry=lambda error, pause: reported.append((error, pause)))(server)
    assert reported == [(server.error, pause) for pause in stop.pauses]
    assert len(reported) == 3


def test_a_stop_during_the_pause_raises_the_last_error() -> None:
    stop, server = Stop(), _Away(refusals=3)
    with pytest.raises(ConnectionError, match="away"):
        retrying(_is_transient, stop=stop, on_retry=lambda _error, _pause: stop.set())(server)
    assert server.calls == 1


def test_a_stopped_process_reports_no_retry() -> None:
    stop, reported = Stop(), list[BaseException]()
    stop.set()
    with pytest.raises(ConnectionError):
        retrying(_is_transient, stop=stop, on_retry=lambda error, _pause: reported.append(error))(_Away(refusals=3))
    assert not reported


def test_a_block_can_be_retried_too() -> None:
    server, answers = _Away(refusals=2), list[str]()
    for attempt in retrying(_is_transient, stop=_RecordedPauses(), on_retry=_ignore):
        with attempt:
            answers.append(server())
    assert answers == ["here"]
