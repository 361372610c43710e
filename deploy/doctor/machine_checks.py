"""Checks of this machine: Python and libraries, time zones, the mail server as seen from here, the metrics port."""

import socket
import sys
import urllib.error
import urllib.request
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg

from consumers.notices.mail import MailError, greet, mail_server
from deploy.doctor.finding import NOT_CONFIGURED, SAME_AS_TEXT, Area, Findings
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings

_LIBRARIES: Final = ("imsfeed", "kafka-python", "lxml", "msgspec", "psycopg", "pydantic-settings", "tzdata")
_ANSWER_SECONDS: Final = 5.0
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not listened on


def check_machine(settings: Settings) -> Findings:
    """Check what is installed, and the mapping file."""
    area = Area("machine")
    yield area.ok("Python", sys.version.split()[0])
    for name in _LIBRARIES:
        try:
            yield area.ok(name, version(name))
        except PackageNotFoundError:
            yield area.error(name, "is not installed", f"install {name}")
    yield area.ok("libpq", str(psycopg.pq.version()))
    yield from check_zone("Europe/Oslo")
    try:
        read_mapping(settings)
        yield area.ok("mapping", str(settings.mapping_file or "the reference schema"))
    except (InvalidSettingsError, OSError) as error:
        yield area.error("mapping", str(error), "correct the file that MAPPING_FILE names")


def check_zone(name: str) -> Findings:
    """Check that a time zone is known, and has summer time."""
    area = Area("machine")
    try:
        summer, winter = (datetime(2026, month, 1, tzinfo=ZoneInfo(name)).utcoffset() for month in (7, 1))
    except ZoneInfoNotFoundError:
        yield area.error("time zones", f"{name} is not known", "install tzdata: days would begin at the wrong hour")
        return
    yield area.judge("time zones", summer != winter, f"{name} is known", "update tzdata")


def check_mail(settings: Settings) -> Findings:
    """Check greeting, TLS and login of the mail server, without sending a mail."""
    area = Area("mail")
    try:
        server = mail_server(settings)
        if server is None:
            yield area.skipped("server", f"SMTP_HOST: {NOT_CONFIGURED}: case workers get no mail")
            return
        greet(server)
    except InvalidSettingsError as error:
        yield area.error("settings", str(error), SAME_AS_TEXT)
    except MailError as error:
        yield area.error("server", str(error), "check SMTP_HOST, SMTP_PORT, SMTP_SECURITY, user, password, certificate")
    else:
        login = "" if server.user is None else ", accepts the login"
        yield area.ok("server", f"answers over {server.security}{login}")
        yield area.judge(
            "TLS",
            server.security != "none",
            server.security,
            "set SMTP_SECURITY to starttls or tls: the mails contain persons' running numbers",
            otherwise="warning",
        )


def check_metrics(settings: Settings) -> Findings:
    """Check that the metrics port is free, or that imsfeed itself answers there."""
    area, port = Area("metrics"), settings.metrics_port
    try:
        with socket.create_server((settings.metrics_host, port)):
            pass
    except OSError as error:
        if _is_ours(settings):
            yield area.ok("port", f"imsfeed answers at {port}")
        else:
            text = f"{settings.metrics_host}:{port} cannot be used ({error.strerror})"
            yield area.error("port", text, "set METRICS_PORT to a free port")
    else:
        yield area.ok("port", f"{port} is free")


def _is_ours(settings: Settings) -> bool:
    host = _ANYWHERE.get(settings.metrics_host, settings.metrics_host)
    host = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(
            f"http://{host}:{settings.metrics_port}/metrics", timeout=_ANSWER_SECONDS
        ) as answer:
            return b"imsfeed_build_info" in answer.read()
    except (urllib.error.URLError, OSError, ValueError):
        return False
