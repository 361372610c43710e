"""The HTTP server for monitoring, asked like Prometheus and a container platform ask it."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

from ims.errors import InvalidSettingsError
from ims.runtime import monitoring
from ims.runtime.metrics import CompactMetrics
from ims.runtime.monitoring import Health, serve

START = 1_764_000_000.0  # 2025-11-24 16:00:00 UTC


class _Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class _Answer(NamedTuple):
    status: int
    content_type: str | None
    body: bytes


class _Watched:
    """A process as monitoring sees it."""

    def __init__(self) -> None:
        self.clock = _Clock()
        self.registry = CollectorRegistry()
        self.health = Health(60, self.clock)
        self.port = 0

    def ask(self, path: str, method: str = "GET") -> _Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.getheader("Content-Type"), answer.read())
        finally:
            connection.close()


@pytest.fixture
def watched() -> Iterator[_Watched]:
    process = _Watched()
    with serve("127.0.0.1", 0, process.registry, process.health) as process.port:
        yield process


def test_metrics_are_shown_as_prometheus_reads_them(watched: _Watched) -> None:
    CompactMetrics(watched.registry).delta_published.inc()
    answer = watched.ask("/metrics")
    assert answer.status == 200
    assert (answer.content_type or "").startswith("text/plain; version=")
    assert b"\nimsfeed_delta_published_total 1.0\n" in answer.body


def test_a_process_whose_loop_runs_is_healthy(watched: _Watched) -> None:
    watched.clock.now = START + 1000
    watched.health.tick(START + 940)
    assert watched.ask("/healthz") == (200, "application/json", b'{"status": "ok"}\n')


def test_a_process_that_has_just_started_is_healthy(watched: _Watched) -> None:
    assert watched.ask("/healthz").status == 200


def test_a_stalled_process_says_since_when(watched: _Watched) -> None:
    watched.health.tick(START + 10)
    watched.clock.now = START + 70.1
    answer = watched.ask("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"status": "stalled", "since": "2025-11-24T16:00:10+00:00"}


def test_a_stalled_process_that_goes_on_is_healthy_again(watched: _Watched) -> None:
    watched.clock.now = START + 100
    assert watched.ask("/healthz").status == 503
    watched.health.tick(START + 100)
    assert watched.ask("/healthz").status == 200


def test_a_process_is_ready_when_it_says_so(watched: _Watched) -> None:
    assert watched.ask("/readyz") == (503, "application/json", b'{"status": "not ready"}\n')
    watched.health.ready = True
    assert watched.ask("/readyz") == (200, "application/json", b'{"status": "ready"}\n')


def test_a_query_changes_nothing(watched: _Watched) -> None:
    assert watched.ask("/healthz?probe=1").status == 200


def test_another_path_is_not_found(watched: _Watched) -> None:
    assert watched.ask("/") == (404, "application/json", b'{"status": "error", "code": 404}\n')


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_writing_method_is_refused(watched: _Watched, method: str) -> None:
    answer = watched.ask("/metrics", method)
    assert answer.status == 501
    assert json.loads(answer.body) == {"status": "error", "code": 501}


def test_head_is_answered_without_a_body(watched: _Watched) -> None:
    with socket.create_connection(("127.0.0.1", watched.port), timeout=30) as client:
        client.sendall(b"HEAD /healthz HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as answer:
            lines = answer.readlines()
    assert lines[0].endswith(b" 200 OK\r\n")
    assert lines[-1] == b"\r\n"


def test_a_silent_client_delays_no_other(watched: _Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring._Request, "timeout", 3600)
    with socket.create_connection(("127.0.0.1", watched.port)):
        assert watched.ask("/healthz").status == 200


def test_a_silent_client_times_out(watched: _Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring._Request, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", watched.port), timeout=30) as client:
        assert client.recv(1) == b""


def test_a_request_is_not_logged(watched: _Watched, capfd: pytest.CaptureFixture[str]) -> None:
    watched.ask("/healthz")
    watched.ask("/nowhere")
    assert capfd.readouterr() == ("", "")


class _Broken(Collector):
    def collect(self) -> list[Metric]:
        raise RuntimeError("broken")


def test_a_failed_request_is_logged_and_the_next_one_answered(watched: _Watched) -> None:
    watched.registry.register(_Broken())
    with capture_logs() as lines:
        with pytest.raises(http.client.RemoteDisconnected):
            watched.ask("/metrics")
        assert watched.ask("/healthz").status == 200
    assert [line["event"] for line in lines] == ["request failed"]


def test_the_server_stops_after_the_block() -> None:
    with serve("127.0.0.1", 0, CollectorRegistry(), Health(60, _Clock())) as port:
        pass
    assert "monitoring" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_port_that_is_taken_is_an_error(watched: _Watched) -> None:
    with (
        pytest.raises(InvalidSettingsError, match=rf"METRICS_PORT {watched.port}: .*in use"),
        serve("127.0.0.1", watched.port, watched.registry, watched.health),
    ):
        pass
