"""Checks of the state database: it answers, its schema is this version's, and it keeps up with Kafka."""

from datetime import UTC, datetime
from typing import Final

import psycopg

from consumers.database.clocks import clock_troubles
from consumers.database.mapping_record import differing_partitions
from deploy.doctor.databases import check_server, first_line, opened, permitted, value
from deploy.doctor.finding import NOT_CONFIGURED, SAME_AS_TEXT, Area, Findings
from deploy.state import migrate
from ims.errors import InvalidSettingsError
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from producers.source.catalog import Connection

_AREA: Final = Area("state")
_LEAST_VERSION: Final = 15
_LATE_HEARTBEATS: Final = 6
_LATE_CHANGES_SECONDS: Final = 300.0


def check_state(settings: Settings) -> Findings:
    """Check the state database, except its targets."""
    if settings.state_dsn is None:
        yield _AREA.skipped("reachable", f"STATE_DSN: {NOT_CONFIGURED}")
        return
    try:
        with opened(settings.state()) as connection:
            yield from check_server(_AREA, connection, _LEAST_VERSION)
            missing = migrate.pending(settings.state())
            text = f"missing: {', '.join(missing)}" if missing else "all applied"
            yield _AREA.judge("migrations", not missing, text, "run `imsfeed setup state`")
            if missing:
                yield _AREA.skipped("progress", "the schema is not this version's")
                return
            yield from permitted(_AREA, "partitions", _partitions(connection, settings))
            yield from permitted(_AREA, "quarantine", _backlog(connection))
            yield from permitted(_AREA, "clocks", _clocks(connection))
    except InvalidSettingsError as error:
        yield _AREA.error("migrations", str(error), SAME_AS_TEXT)
    except psycopg.OperationalError as error:
        yield _AREA.error("reachable", first_line(error), "check STATE_DSN, the network and the server")
        yield _AREA.skipped("everything else", "the state database does not answer")


def _partitions(connection: Connection, settings: Settings) -> Findings:
    rows = connection.execute(
        "select partition, heartbeat_at, open_owners, updated_at from imsfeed.topic_partition where topic = %s"
        " order by partition",
        [settings.kafka_topic],
    ).fetchall()
    missing = set(range(settings.kafka_partitions)) - {row[0] for row in rows}
    text = f"not begun: {', '.join(map(str, sorted(missing)))}" if missing else f"{len(rows)} begun"
    yield _AREA.judge("partitions", not missing, text, "start materialize", otherwise="warning")
    others = differing_partitions(connection, settings.kafka_topic, read_mapping(settings).digest)
    text = f"another one made the facts of partitions {', '.join(map(str, others))}" if others else "the facts' own"
    fix = "give every process the same MAPPING_FILE, restart materialize, and run `imsfeed resync all`"
    yield _AREA.judge("mapping", not others, text, fix)
    now, limit = datetime.now(UTC), _LATE_HEARTBEATS * settings.heartbeat_seconds
    if not rows:
        yield _AREA.skipped("heartbeats", "none yet: no partition has been read")
        return
    late = [str(p) for p, beat, _, _ in rows if beat is not None and (now - beat).total_seconds() > limit]
    unseen = [str(p) for p, beat, _, _ in rows if beat is None]
    texts = ((late, "late in partitions"), (unseen, "none yet in partitions"))
    text = "; ".join(f"{what} {', '.join(some)}" for some, what in texts if some) or "fresh in every partition"
    fix = "the source, capture, Kafka or materialize is stuck: read their logs"
    yield _AREA.judge("heartbeats", not late and not unseen, text, fix, otherwise="warning")
    stuck = sorted({o for _, _, owners, at in rows for o in owners if (now - at).total_seconds() > limit})
    text = f"owners with one that has waited long: {', '.join(map(str, stuck))}" if stuck else "none is stuck"
    fix = "the rest of a source transaction has not arrived: read capture's log, and check Kafka"
    yield _AREA.judge("open transactions", not stuck, text, fix)


def _clocks(connection: Connection) -> Findings:
    """Check that compact believes its clock, the state database's and the source's."""
    troubles = "; ".join(status.text for status in clock_troubles(connection))
    fix = "set the clocks right: docs/runbook/clocks.md"
    yield _AREA.judge("clocks", not troubles, troubles or "compact believes them", fix)


def _backlog(connection: Connection) -> Findings:
    """Check what waits in the state database: messages in quarantine, and changes that are not published."""
    quarantined = value(connection, "select count(*) from imsfeed.quarantine")
    yield _AREA.judge(
        "quarantine",
        not quarantined,
        f"{quarantined} messages",
        "run `imsfeed quarantine list`, and fix the source or the mapping",
        otherwise="warning",
    )
    oldest = value(
        connection,
        "select extract(epoch from clock_timestamp() - min(c.noted_at))::float8 from imsfeed.pending_change c"
        " join imsfeed.target t on t.owner_id = c.owner_id and (t.settings ->> 'enabled')::boolean"
        " and t.changes_through < c.change_id and t.head_seq is not null",
    )
    late = oldest is not None and oldest > _LATE_CHANGES_SECONDS
    yield _AREA.judge(
        "pending changes",
        not late,
        f"the oldest has waited {oldest:.0f} s" if oldest else "all are published",
        "start compact; if it is running, read its log and `imsfeed status`",
    )
