"""Bearer tokens for Kafka's SASL/OAUTHBEARER (RFC 7628), from a file or a token endpoint.

kafka-python asks for a token at each connection and each time the broker wants a new one, in the thread in which it
does all its work. So an endpoint has only a few seconds to answer, and a token is used again until shortly before it
expires.
"""

import base64
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ims.errors import ImsfeedError, InvalidSettingsError
from ims.runtime.logs import get_logger
from ims.runtime.settings import Settings, secret_text
from ims.runtime.text_files import read_text

_TIMEOUT_SECONDS: Final = 5.0
_MARGIN_SECONDS: Final = 30.0
"""How long before a token expires it is no longer used."""
log = get_logger(__name__)

_LARGEST_ANSWER: Final = 1 << 20


class TokenError(ImsfeedError):
    """No token can be had now; says why, never the token, the secret or the endpoint's answer. Retried later."""


class BearerToken(Protocol):
    """The methods of kafka-python's ``AbstractTokenProvider``; the adapters to Kafka register these classes with it."""

    def token(self) -> str:
        """Return a token that is valid now.

        Raises:
            TokenError: no token can be had.
        """

    def extensions(self) -> dict[str, str]:
        """Return additional SASL extensions for the broker: none here."""


class _Answer(msgspec.Struct):
    """What a token endpoint answers (RFC 6749 section 5.1); without ``expires_in`` a token is used once."""

    access_token: str
    expires_in: float = 0


class FileToken:
    """A token that another program renews in a file, such as a Kubernetes projected token; read again each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def token(self) -> str:
        """See :class:`BearerToken`."""
        try:
            text = read_text(self._path, "KAFKA_OAUTH_TOKEN_FILE").strip()
        except InvalidSettingsError as error:
            raise TokenError(str(error)) from None
        return _checked(text, "KAFKA_OAUTH_TOKEN_FILE")

    def extensions(self) -> dict[str, str]:
        """See :class:`BearerToken`."""
        return {}


class EndpointToken:
    """Tokens from a token endpoint, for our own credentials (client credentials grant, RFC 6749 section 4.4).

    Args:
        clock: returns monotonic seconds, for the token's age.
    """

    def __init__(
        self, url: str, client: str, secret: str, scope: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._login = base64.b64encode(f"{_quoted(client)}:{_quoted(secret)}".encode()).decode()
        self._form = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})
        self._clock = clock
        self._token = ""
        self._good_until = float("-inf")

    def token(self) -> str:
        """See :class:`BearerToken`."""
        if self._clock() >= self._good_until:
            asked = self._clock()
            try:
                answer = self._ask()
                self._token = _checked(answer.access_token, "KAFKA_OAUTH_TOKEN_URL")
            except TokenError as error:
                # Kafka's client knows no more than that the login has failed.
                log.warning("no token for Kafka", error=str(error))
                raise
            # Counted from before the request: the endpoint's answer may have been on its way for seconds.
            self._good_until = asked + answer.expires_in - _MARGIN_SECONDS
        return self._token

    def extensions(self) -> dict[str, str]:
        """See :class:`BearerToken`."""
        return {}

    def _ask(self) -> _Answer:
        request = urllib.request.Request(  # noqa: S310 - https, see bearer_token
            self._url,
            urllib.parse.urlencode(self._form).encode(),
            {"Authorization": f"Basic {self._login}", "Accept": "application/json"},
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_SECONDS) as answer:
                # Not strict: some endpoints write the number of seconds as a text.
                return msgspec.json.decode(answer.read(_LARGEST_ANSWER), type=_Answer, strict=False)
        except urllib.error.HTTPError as error:
            error.close()
            raise TokenError(f"KAFKA_OAUTH_TOKEN_URL answered {error.code}") from None
        except urllib.error.URLError as error:
            raise TokenError(f"KAFKA_OAUTH_TOKEN_URL cannot be reached: {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise TokenError(f"KAFKA_OAUTH_TOKEN_URL gave no readable token: {type(error).__name__}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: urllib would send our secret to the other address as well."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as in the base class
        return None


def bearer_token(settings: Settings) -> BearerToken:
    """Return the source of tokens that the settings name.

    Raises:
        InvalidSettingsError: no source is set, more than one, or one incompletely; or the endpoint has no TLS.
    """
    url, client = settings.kafka_oauth_token_url, settings.kafka_oauth_client_id
    secret = secret_text(settings.kafka_oauth_client_secret)
    if settings.kafka_oauth_token_file is not None:
        if url or client or secret:
            raise InvalidSettingsError(
                "KAFKA_OAUTH_TOKEN_FILE and KAFKA_OAUTH_TOKEN_URL are both set; give one of them"
            )
        return FileToken(settings.kafka_oauth_token_file)
    if not (url and client and secret):
        raise InvalidSettingsError(
            "OAUTHBEARER needs KAFKA_OAUTH_TOKEN_FILE, or KAFKA_OAUTH_TOKEN_URL with KAFKA_OAUTH_CLIENT_ID and"
            " KAFKA_OAUTH_CLIENT_SECRET"
        )
    if urllib.parse.urlsplit(url).scheme != "https":
        raise InvalidSettingsError("KAFKA_OAUTH_TOKEN_URL must begin with https://, or the secret is sent in the clear")
    return EndpointToken(url, client, secret, settings.kafka_oauth_scope)


def _checked(token: str, where: str) -> str:
    # A token with a separator of the SASL message in it would be read as more than a token (RFC 7628 section 3.1).
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        raise TokenError(f"{where} gave no token")
    return token


def _quoted(text: str) -> str:
    # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
    return urllib.parse.quote_plus(text)
