"""The only module that talks to a mail server."""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final, Literal

import msgspec
from pydantic import SecretStr

from ims.errors import ImsfeedError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.records.text import clean_text
from ims.reports.mail_texts import Mail
from ims.runtime.settings import Settings
from ims.targets.email_address import is_valid, parsed, without_smtputf8

_TIMEOUT_SECONDS: Final = 10.0
"""Longest wait for one reply of the mail server."""
_PERMANENT: Final = 500
"""Reply codes from here on are permanent (RFC 5321, 4.2.1)."""


class MailError(ImsfeedError):
    """The mail server did not accept a mail. The text has the kind of error but no reply, which may quote addresses."""


class MailRefusedError(MailError):
    """The mail server refused this mail or all of its recipients; it may accept other mails.

    Args:
        permanent: trying again would not help; otherwise the server asks to try again later ("greylisting").
    """

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and how to connect to it. ``user`` is ``None`` where it requires no login."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password: SecretStr
    sender: str


def mail_server(settings: Settings) -> MailServer | None:
    """Return the mail server of the settings, or ``None`` if there is none.

    Raises:
        InvalidSettingsError: SMTP_HOST without SMTP_FROM, a user without a password, or a password in clear text.
    """
    if settings.smtp_host is None:
        return None
    if settings.smtp_from is None or "@" not in settings.smtp_from:
        raise InvalidSettingsError("SMTP_HOST is set and SMTP_FROM is not; give the address that mails are sent from")
    if (settings.smtp_user is None) is not (settings.smtp_password is None):
        raise InvalidSettingsError("SMTP_USER and SMTP_PASSWORD go together; give both, or neither for no login")
    if settings.smtp_user is not None and settings.smtp_security == "none":
        raise InvalidSettingsError("SMTP_PASSWORD would be sent in clear text; set SMTP_SECURITY to starttls or tls")
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password or SecretStr(""),
        sender=settings.smtp_from,
    )


def send(server: MailServer, mail: Mail, recipients: Sequence[str], name: str, at: datetime) -> int:
    """Send a mail to all *recipients*, with everything masked that looks like a national id.

    A recipient to whom this server cannot deliver keeps no other one from getting it: an address that is not valid, or
    that has letters beyond ASCII before the ``@`` where the server does not have SMTPUTF8 (RFC 6531).

    Args:
        name: a unique name of the mail among all mails of this sender. It becomes the ``Message-ID``, by which mail
            systems recognise a duplicate.

    Returns:
        How many of the recipients do not get the mail while others do.

    Raises:
        MailRefusedError: the server did not accept this mail.
        MailError: the server cannot be reached, or would accept no mail at all.
    """
    message = EmailMessage(policy.SMTP)
    message["From"] = server.sender
    # Masked after cleaning: a character that is cleaned away may separate the digits of a national id.
    message["Subject"] = without_national_ids(clean_text(mail.subject))
    message["Date"] = at
    message["Message-ID"] = f"<{name}@{server.sender.rpartition('@')[2].rstrip('>')}>"
    # No automatic answers to an automatic mail (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(without_national_ids(mail.text))
    addresses = [parsed(recipient) for recipient in recipients if is_valid(recipient)]
    try:
        return len(recipients) - _send(server, message, addresses)
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        raise _refused(error, *codes) from None
    except smtplib.SMTPDataError as error:
        raise _refused(error, error.smtp_code) from None
    except (smtplib.SMTPException, OSError) as error:
        code = getattr(error, "smtp_code", "")
        raise MailError(f"{type(error).__name__} {code}".strip()) from None


def greet(server: MailServer) -> None:
    """Open an SMTP session as for a mail, with TLS and login, and close it without sending one.

    Raises:
        MailError: the server cannot be reached, or would accept no mail at all.
    """
    try:
        with _smtp_session(server) as smtp:
            smtp.noop()
    except (smtplib.SMTPException, OSError) as error:
        code = getattr(error, "smtp_code", "")
        raise MailError(f"{type(error).__name__} {code}".strip()) from None


def _refused(error: smtplib.SMTPException, *codes: int) -> MailRefusedError:
    text = " ".join(map(str, sorted(codes)))
    # Permanent only if it is so for all recipients: one who is to be tried again later still gets the mail then.
    return MailRefusedError(f"{type(error).__name__} {text}", permanent=min(codes) >= _PERMANENT)


def _send(server: MailServer, message: EmailMessage, addresses: Sequence[Address]) -> int:
    """Send the message to those of *addresses* to whom the server can deliver; return to how many.

    Raises:
        MailRefusedError: to none of them.
    """
    with _smtp_session(server) as smtp:
        smtp.ehlo_or_helo_if_needed()
        if not smtp.has_extn("smtputf8"):
            addresses = [one for one in map(without_smtputf8, addresses) if one is not None]
        if not addresses:
            raise MailRefusedError("no recipient has an address that the mail server takes", permanent=True)
        message["To"] = addresses
        return len(addresses) - len(smtp.send_message(message, to_addrs=[one.addr_spec for one in addresses]))


@contextlib.contextmanager
def _smtp_session(server: MailServer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    smtp = (
        smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_SECONDS, context=context)
        if server.security == "tls"
        else smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_SECONDS)
    )
    try:
        if server.security == "starttls":
            smtp.starttls(context=context)
        if server.user is not None:
            smtp.login(server.user, server.password.get_secret_value())
        yield smtp
        # The mail has been accepted by now; an error while the session closes must not make it count as unsent.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            smtp.quit()
    finally:
        smtp.close()
