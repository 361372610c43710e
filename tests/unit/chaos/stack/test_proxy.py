"""The proxy of the chaos tests does to connections what it says."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.stack.proxy import Mode, Proxy, proxied
from tests.support.waiting import until


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1000):
            self.request.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A connection that is reset is what these tests are about."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            with proxied(server.server_address[1]) as proxy:
                yield proxy
        finally:
            server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        yield client


def test_sent_data_of_any_length_arrives(client: socket.socket) -> None:
    text = b"x" * 300_000
    threading.Thread(target=client.sendall, args=(text,), daemon=True).start()
    received = b""
    while len(received) < len(text):
        received += client.recv(65_536)
    assert received == text


def test_a_reset_ends_the_connection_and_the_next_one_works(proxy: Proxy, client: socket.socket) -> None:
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as another:
        another.sendall(b"hello")
        assert another.recv(100) == b"hello"


def test_silence_swallows_sent_data_and_ends_with_a_reset(proxy: Proxy, client: socket.socket) -> None:
    proxy.set(Mode.SILENT)
    client.sendall(b"lost")
    until(lambda: proxy.pieces[Mode.SILENT] == 1, what="it is swallowed")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    client.settimeout(10)
    assert proxy.set(Mode.THROUGH) == 1
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_client_that_sent_nothing_during_the_silence_goes_on(proxy: Proxy, client: socket.socket) -> None:
    proxy.set(Mode.SILENT)
    assert proxy.set(Mode.THROUGH) == 0
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"


def test_a_client_that_connects_during_the_silence_is_reset(proxy: Proxy) -> None:
    proxy.set(Mode.SILENT)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"hello")
        until(lambda: proxy._lost, what="it is connected")
        proxy.set(Mode.THROUGH)
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_slow_proxy_delays_data(proxy: Proxy, client: socket.socket) -> None:
    proxy.set(Mode.SLOW, delay=0.05)
    begun = time.monotonic()
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
    assert time.monotonic() - begun >= 0.1, "there and back"


def test_refusing_resets_open_connections_and_accepts_no_new_ones(proxy: Proxy, client: socket.socket) -> None:
    assert proxy.set(Mode.REFUSE) == 1
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    proxy.set(Mode.THROUGH)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as another:
        another.sendall(b"hello")
        assert another.recv(100) == b"hello"
