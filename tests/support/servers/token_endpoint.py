"""A token endpoint on this machine, over TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Thread
from typing import Final

import trustme

CLIENT: Final = "imsfeed"
SECRET: Final = "open/sesame"


class TokenEndpoint(ThreadingHTTPServer):
    """Answers with what a test sets, and keeps the ``Authorization`` header and the form of each request."""

    daemon_threads = True

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.status = 200
        self.answer = b""
        self.moved_to: str | None = None
        self.asked: list[str | None] = []
        self.forms: list[str] = []

    @property
    def url(self) -> str:
        """The endpoint's URL."""
        return f"https://localhost:{self.server_port}/token"

    @property
    def settings(self) -> dict[str, str]:
        """The settings that name this endpoint."""
        return {
            "KAFKA_OAUTH_TOKEN_URL": self.url,
            "KAFKA_OAUTH_CLIENT_ID": CLIENT,
            "KAFKA_OAUTH_CLIENT_SECRET": SECRET,
        }

    def handle_error(self, *_: object) -> None:
        """Ignore a client that does not trust us and ends the handshake."""


class _Request(BaseHTTPRequestHandler):
    server: TokenEndpoint

    def do_POST(self) -> None:
        self.server.asked.append(self.headers["Authorization"])
        self.server.forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(self.server.status)
        if self.server.moved_to is not None:
            self.send_header("Location", self.server.moved_to)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running_endpoint(authority: trustme.CA) -> Iterator[TokenEndpoint]:
    """Yield a running endpoint; it stops with the block."""
    with TokenEndpoint(authority) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
