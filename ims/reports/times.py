"""Times as case workers read them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from ims.reports.reason_texts import Language


def local_time(at: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return a time to the minute as it is written in the language."""
    return at.astimezone(zone).strftime("%d.%m.%Y %H:%M" if language is Language.BOKMAL else "%Y-%m-%d %H:%M")
