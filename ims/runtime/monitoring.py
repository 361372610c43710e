"""The HTTP server for monitoring: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for probes."""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ims.errors import InvalidSettingsError
from ims.runtime.logs import get_logger

_SILENT_CLIENT_SECONDS = 5
_log = get_logger(__name__)


class Health:
    """The health of a process, as its own loop reports it.

    Nothing else counts: a process waits for a database or a broker that is away, and restarting the process would not
    bring it back.

    Args:
        stall_seconds: seconds without a tick of the loop after which the process counts as stalled.
        clock: returns the time now, in seconds since 1970.

    Attributes:
        ready: it does what it is there for.
        refusal: why the process does not run at all, or ``None``.
    """

    def __init__(self, stall_seconds: float, clock: Callable[[], float]) -> None:
        self.ready = False
        self.refusal: str | None = None
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._last_tick = clock()

    def tick(self, now: float) -> None:
        """Note that the loop made a round at ``now``, in seconds since 1970."""
        self._last_tick = now

    def stalled_since(self) -> float | None:
        """Return when the loop last made a round, in seconds since 1970, if that is too long ago; else ``None``."""
        return self._last_tick if self._clock() - self._last_tick > self._stall_seconds else None


@contextlib.contextmanager
def serve(host: str, port: int, registry: CollectorRegistry, health: Health) -> Iterator[int]:
    """Answer requests in a daemon thread while the block runs.

    Args:
        host: address to listen on.
        port: its port; 0 takes a free one.
        registry: the metrics to show.
        health: the process's health.

    Yields:
        The port that the server listens on.

    Raises:
        InvalidSettingsError: the server cannot listen on the address and port.
    """
    try:
        listening = _Server((host, port), registry, health)
    except OSError as error:
        raise InvalidSettingsError(
            f"METRICS_HOST {host}, METRICS_PORT {port}: {error.strerror or error}; /metrics and the probes need an"
            " address of this machine and a free port, so set another one"
        ) from None
    with listening as server:
        thread = threading.Thread(target=server.serve_forever, name="monitoring", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    """A server with a thread for each request, so that a silent client cannot hold up ``/healthz``."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, health: Health) -> None:
        super().__init__(address, _Request)
        self.registry = registry
        self.health = health

    def handle_error(self, *_request: object) -> None:
        """Log a defect of ours, but not a client that went away. The base class would print a traceback."""
        if not isinstance(sys.exception(), OSError):
            _log.error("request failed", exc_info=True)


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT_CLIENT_SECONDS
    server_version = "imsfeed"
    sys_version = ""
    error_content_type = "application/json"
    error_message_format = '{"status": "error", "code": %(code)d}\n'

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
            case "/healthz":
                self._answer_json(*_healthz(self.server.health))
            case "/readyz":
                self._answer_json(*_readyz(self.server.health))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_json(self, status: HTTPStatus, body: dict[str, str]) -> None:
        self._answer(status, "application/json", json.dumps(body).encode() + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing: lines of probes and scrapes would outnumber all others."""


def _healthz(health: Health) -> tuple[HTTPStatus, dict[str, str]]:
    if health.refusal is not None:
        return _refused(health.refusal)
    stalled_since = health.stalled_since()
    if stalled_since is None:
        return HTTPStatus.OK, {"status": "ok"}
    since = datetime.fromtimestamp(stalled_since, UTC).isoformat(timespec="seconds")
    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "stalled", "since": since}


def _refused(why: str) -> tuple[HTTPStatus, dict[str, str]]:
    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "refuses to run", "why": why}


def _readyz(health: Health) -> tuple[HTTPStatus, dict[str, str]]:
    if health.refusal is not None:
        return _refused(health.refusal)
    if health.ready:
        return HTTPStatus.OK, {"status": "ready"}
    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready"}
