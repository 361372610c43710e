"""Bearer tokens from a file and an endpoint: when a new one is fetched, and what is never followed or shown."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trustme

from ims.runtime.bearer_token import EndpointToken, FileToken, TokenError
from tests.support.servers.token_endpoint import CLIENT, SECRET, TokenEndpoint, running_endpoint

TOKEN = b'{"access_token": "abc", "expires_in": 300, "token_type": "Bearer"}'


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with running_endpoint(authority) as endpoint:
        endpoint.answer = TOKEN
        yield endpoint


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_used_until_shortly_before_it_expires(endpoint: TokenEndpoint) -> None:
    clock = Clock()
    provider = EndpointToken(endpoint.url, CLIENT, SECRET, "kafka", clock)
    assert (provider.token(), provider.extensions()) == ("abc", {})
    clock.now += 269
    assert provider.token() == "abc"
    assert len(endpoint.asked) == 1
    endpoint.answer = TOKEN.replace(b"abc", b"def")
    clock.now += 1
    assert provider.token() == "def"
    assert [parse_qs(form) for form in endpoint.forms] == [
        {"grant_type": ["client_credentials"], "scope": ["kafka"]}
    ] * 2


@pytest.mark.parametrize("answer", [b'{"access_token": "abc"}', b'{"access_token": "abc", "expires_in": 20}'])
def test_a_token_that_expires_immediately_is_used_once(endpoint: TokenEndpoint, answer: bytes) -> None:
    endpoint.answer = answer
    provider = EndpointToken(endpoint.url, CLIENT, SECRET, None)
    assert provider.token() == provider.token() == "abc"
    assert len(endpoint.asked) == 2


def test_the_lifetime_may_be_a_text(endpoint: TokenEndpoint) -> None:
    endpoint.answer = b'{"access_token": "abc", "expires_in": "300"}'
    provider = EndpointToken(endpoint.url, CLIENT, SECRET, None)
    assert provider.token() == provider.token() == "abc"
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"expires_in": 300}',
        b'{"access_token": 7}',
        b'{"access_token": ""}',
        b'{"access_token": "a\\u0001auth=b"}',
        b'{"access_token": "abc", "expires_in": NaN}',
        b"[" * 100_000,
    ],
)
def test_an_answer_without_a_token_is_refused_and_not_shown(endpoint: TokenEndpoint, answer: bytes) -> None:
    endpoint.answer = answer
    with pytest.raises(TokenError, match=r"KAFKA_OAUTH_TOKEN_URL gave no (readable )?token") as error:
        EndpointToken(endpoint.url, CLIENT, SECRET, None).token()
    assert "abc" not in str(error.value)


@pytest.mark.parametrize("status", [302, 307, 400, 401, 500])
def test_a_refusal_shows_its_status_and_redirects_no_secret(endpoint: TokenEndpoint, status: int) -> None:
    endpoint.status, endpoint.moved_to = status, f"{endpoint.url}/elsewhere"
    with pytest.raises(TokenError, match=f"answered {status}$"):
        EndpointToken(endpoint.url, CLIENT, SECRET, None).token()
    assert len(endpoint.asked) == 1


def test_an_untrusted_endpoint_gets_no_request(
    endpoint: TokenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(TokenError, match="CERTIFICATE_VERIFY_FAILED") as error:
        EndpointToken(endpoint.url, CLIENT, SECRET, None).token()
    assert SECRET not in str(error.value)
    assert endpoint.asked == []


def test_an_unreachable_endpoint_is_an_error() -> None:
    with pytest.raises(TokenError, match=r"cannot be reached: .*refused"):
        EndpointToken("https://localhost:1/token", CLIENT, SECRET, None).token()


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    provider = FileToken(file)
    for token in ("abc", "def"):
        file.write_text(f"{token}\n")
        assert (provider.token(), provider.extensions()) == (token, {})


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words", "æ".encode()])
def test_a_file_without_a_token_is_named_but_not_quoted(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(TokenError, match="KAFKA_OAUTH_TOKEN_FILE") as error:
        FileToken(tmp_path / "token").token()
    assert "two words" not in str(error.value)
