"""Who is published with which login, who had it before, and who is published without it, in the state database.

Logins of the past are stored by their SHA-256: they are only compared, and belong to persons who have left.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape, unescape

import msgspec

from consumers.database.sessions import Connection
from ims.publication.gathered import Scope
from ims.records.logins import as_compared
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings

Denied = Mapping[int, Mapping[str, int | None]]
"""By running number, the logins that a person is published without, and who has each (``None``: a person who left)."""


class LoginHolders(msgspec.Struct, frozen=True):
    """Who has some logins.

    Attributes:
        published: by login, the persons who are published with it: running number by ``sourcedid/id``.
        left: by login, the running number of the person who had it last and has left, and when.
    """

    published: dict[str, dict[str, int]]
    left: dict[str, tuple[int, date]]


def digest(login: str) -> bytes:
    """Return the form in which a login of the past is stored."""
    return hashlib.sha256(login.encode()).digest()


def holders(connection: Connection, target_id: int, logins: Collection[str]) -> LoginHolders:
    """Return who has these logins; see :meth:`consumers.publication.view.View.login_holders`."""
    by_digest = {digest(login): login for login in logins}
    rows = connection.execute(
        _HOLDERS,
        {
            "target": target_id,
            "logins": [escape(login) for login in logins],
            "digests": list(by_digest),
        },
    ).fetchall()
    published: defaultdict[str, dict[str, int]] = defaultdict(dict)
    left = {}
    for login, sha256, id_, person, left_on in rows:
        if left_on is None:
            published[unescape(login)][id_] = person
        else:
            left[by_digest[bytes(sha256)]] = (person, left_on)
    return LoginHolders(dict(published), left)


def persons_by_login(connection: Connection, target_id: int) -> dict[str, int]:
    """Return the running number of the person who is published with each login, as compared."""
    rows = connection.execute(
        "select substring(xml from '<userid[^>]*>([^<]*)</userid>'), person_id from imsfeed.published"
        " where target_id = %s and kind = 1",
        (target_id,),
    ).fetchall()
    return {as_compared(unescape(login)): person for login, person in rows if login is not None}


def store_former(
    connection: Connection, target_id: int, left: Mapping[str, int], now: Collection[str], day: date
) -> None:
    """Store with which logins persons have left; a login that a person has now is one of the past no more.

    Args:
        left: running numbers by login.
        now: the logins that persons have from now on.
        day: the date in the target's time zone.
    """
    if now:
        connection.execute(
            "delete from imsfeed.former_login where target_id = %s and login = any (%s::bytea[])",
            (target_id, [digest(login) for login in now]),
        )
    if left:
        connection.execute(
            "insert into imsfeed.former_login (target_id, login, person_id, left_on)"
            " select %s, *, %s::date from unnest(%s::bytea[], %s::bigint[])"
            " on conflict (target_id, login) do update set person_id = excluded.person_id, left_on = excluded.left_on",
            (target_id, day, [digest(login) for login in left], list(left.values())),
        )


def store_denied(connection: Connection, target_id: int, scope: Scope, denied: Denied) -> None:
    """Store the logins that the persons in *scope* are published without."""
    connection.execute(
        "delete from imsfeed.login_conflict where target_id = %s and person_id = any (%s)", (target_id, scope.persons)
    )
    rows = [(person, digest(login), holder) for person, of in denied.items() for login, holder in of.items()]
    if rows:
        persons, digests, numbers = zip(*rows, strict=True)
        connection.execute(
            "insert into imsfeed.login_conflict (target_id, person_id, login, holder_id)"
            " select %s, * from unnest(%s::bigint[], %s::bytea[], %s::bigint[])"
            " on conflict (target_id, person_id, login) do update set holder_id = excluded.holder_id",
            (target_id, list(persons), list(digests), list(numbers)),
        )


def expire(connection: Connection, target_id: int, settings: TargetSettings, now: datetime) -> None:
    """Delete the logins of persons who left so long ago that they are reserved no more."""
    connection.execute(
        "delete from imsfeed.former_login where target_id = %s and left_on < %s",
        (target_id, local_day(now, settings.zone) - timedelta(days=settings.login_reserved_days + KEPT_DAYS)),
    )


KEPT_DAYS: Final = 30
"""How much longer they are kept, so that a target that is behind still finds who waits for one of them."""

_HOLDERS: Final = """
select lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')), null::bytea, id, person_id, null::date
  from imsfeed.published where target_id = %(target)s and kind = 1
   and lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')) = any (%(logins)s::text[])
union all
select lower(substring(xml from '<userid useridtype="feideID">([^<]*)</userid>')), null, id, person_id, null
  from imsfeed.published where target_id = %(target)s and kind = 1 and xml like '%%useridtype="feideID"%%'
   and lower(substring(xml from '<userid useridtype="feideID">([^<]*)</userid>')) = any (%(logins)s::text[])
union all
select null, login, null, person_id, left_on
  from imsfeed.former_login where target_id = %(target)s and login = any (%(digests)s::bytea[])
"""
