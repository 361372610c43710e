r"""E-mail addresses to which a mail goes where it seems to go, and nowhere else.

The standard library parses them (RFC 5322), with another letter for each one beyond ASCII, which its parser does not
take. What it allows beyond a plain address is refused here: quoted local parts, comments, source routes (``a%b@x``,
``a!b@x``), addresses of a host by number, and characters that are not seen. A further library would add no more: none
knows whether a mailbox exists.

>>> parsed("Åse.Bø@blåbær.no").addr_spec, parsed("Åse.Bø@blåbær.no").domain
('Åse.Bø@blåbær.no', 'blåbær.no')
>>> is_valid("a:b@example.org"), is_valid("a@example.org\u2028")
(False, False)
"""

import re
from collections.abc import Iterable
from email.errors import MessageError
from email.headerregistry import Address
from typing import Final

from ims.errors import InvalidSettingsError

_LOCAL: Final = re.compile(r"[\w#$&'*+/=?^`{|}~-]+(\.[\w#$&'*+/=?^`{|}~-]+)*")
_LABEL: Final = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_LONGEST: Final = 254
_LONGEST_LOCAL: Final = 64
"""Bytes (RFC 5321, 4.5.3.1)."""


def parsed(text: str) -> Address:
    """Return an address as its two parts.

    Raises:
        ValueError: it is not a plain address.
    """
    local, _, domain = text.rpartition("@")
    try:
        Address(addr_spec=_BEYOND_ASCII.sub("x", text))
        ascii_domain = domain.encode("idna").decode()
        short = len(text.encode()) <= _LONGEST and len(local.encode()) <= _LONGEST_LOCAL
    except (MessageError, ValueError, IndexError):
        raise ValueError("not an e-mail address") from None
    if not (short and text.isprintable() and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(ascii_domain)):
        raise ValueError("not an e-mail address")
    return Address(username=local, domain=domain)


def is_valid(text: str) -> bool:
    """Return whether a mail can be sent to the address."""
    try:
        parsed(text)
    except ValueError:
        return False
    return True


def check_all(addresses: Iterable[str], where: str) -> None:
    """Check the addresses of case workers where they are written, not where they are stored: an old one stops no feed.

    Args:
        where: the place of the addresses, for the error's text.

    Raises:
        InvalidSettingsError: a mail cannot be sent to one; it is named by its place, as it may hold anything.
    """
    for number, address in enumerate(addresses, 1):
        if not is_valid(address):
            raise InvalidSettingsError(
                f"{where}: `case_workers`, number {number}: must be a plain e-mail address, such as post@example.org"
            )


def without_smtputf8(address: Address) -> Address | None:
    """Return the address for a mail server that knows ASCII alone; ``None`` if its local part has other characters.

    A domain has an ASCII form (IDNA); a local part has none (RFC 6531).
    """
    if not address.username.isascii():
        return None
    return Address(username=address.username, domain=address.domain.encode("idna").decode())
