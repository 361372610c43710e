"""A real mail server on this machine, with its own certificate, TLS and a login, that keeps the mails it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.local.process import free_port

USER, PASSWORD = "imsfeed", "correct-horse-battery"


class Arrived(EmailMessage):
    """A mail as it arrived, whether over TLS, and for whom."""

    over_tls: bool
    recipients: list[str]


class MailServer:
    """The server: ``arrived`` has the mails; ``refuse`` has its reply to recipients of a domain that it refuses."""

    def __init__(self, folder: Path, *, implicit_tls: bool = False) -> None:
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        context = SSLContext(PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.arrived: list[Arrived] = []
        self.refuse: dict[str, str] = {}
        self.password = PASSWORD
        self.logins = 0
        self.controller = Controller(
            self,
            hostname="localhost",
            port=free_port(),
            ssl_context=context if implicit_tls else None,
            tls_context=None if implicit_tls else context,
            require_starttls=not implicit_tls,
            # Over implicit TLS aiosmtpd does not see the TLS and would refuse every login.
            auth_required=not implicit_tls,
            auth_require_tls=not implicit_tls,
            authenticator=self._login,
        )
        self.port = self.controller.port

    def _login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        self.logins += 1
        given = isinstance(data, LoginPassword) and (data.login, data.password)
        # Not handled: aiosmtpd itself replies.
        return AuthResult(success=given == (USER.encode(), self.password.encode()), handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.refuse.get(address.rpartition("@")[2])
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, Arrived, policy=policy.default)
        assert isinstance(message, Arrived)
        message.over_tls = session.ssl is not None or self.controller.ssl_context is not None
        message.recipients = list(envelope.rcpt_tos)
        self.arrived.append(message)
        return "250 OK"


@contextmanager
def running_mail_server(folder: Path, *, implicit_tls: bool = False) -> Iterator[MailServer]:
    """Run a mail server until the block ends."""
    server = MailServer(folder, implicit_tls=implicit_tls)
    server.controller.start()
    try:
        yield server
    finally:
        server.controller.stop()
