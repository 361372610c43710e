"""What time it is when clocks disagree: which of them is believed, and whether a day may be taken back.

A wrong clock does lasting harm here, since days that pass end enrolments, expire files and count departures. So the
clock of compact's machine is compared with the state database's, with the source's (by the heartbeats that it writes),
and with the time that has been believed so far. One that leaps is outvoted, or the time stays what it was.

>>> from datetime import UTC
>>> noon = datetime(2026, 10, 15, 12, tzinfo=UTC)
>>> judge(Clocks(noon + timedelta(days=300), noon, noon, noon)).trouble
<ClockTrouble.LOCAL: 'local'>
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

TOLERANCE: Final = timedelta(minutes=5)
"""How far two machines' clocks may differ: as far as Kerberos allows by default (RFC 4120, section 1.6)."""
LATENESS: Final = timedelta(hours=1)
"""How far the source's clock may differ: its heartbeats may be late when there is much to read."""
_PATIENCE: Final = timedelta(minutes=2)
"""How long the source is waited for when the time is not what it should be: a dozen heartbeats of the default."""
_ORDINARY: Final = timedelta(days=1)
"""A time that is this much later than the last one that was believed needs no more than two clocks that agree."""
_LONGEST_OUTAGE: Final = timedelta(days=7)
"""How much time may have passed at once on the word of two clocks that may be the same machine's."""


class ClockTrouble(StrEnum):
    """Which clock is not believed."""

    LOCAL = "local"
    """The clock of compact's machine differs from the state database's, and the source agrees with the database."""
    DATABASE = "database"
    """The state database's clock differs from the two others."""
    SOURCE_AHEAD = "source_ahead"
    """The source's clock is ahead of two others that agree."""
    SOURCE_BEHIND = "source_behind"
    """The source's clock is behind two others that agree; on one machine, these may have leapt together."""
    DISAGREE = "disagree"
    """Two clocks differ and no third one decides, or all three differ."""
    LEAP = "leap"
    """Much more, or less, time has passed than was expected, and the source is silent."""


class Clocks(msgspec.Struct, frozen=True):
    """What the clocks say at one moment.

    Attributes:
        local: the clock of compact's machine.
        database: the state database's clock.
        source: the source's clock by its heartbeats; ``None`` unless they arrive at the pace at which time passes. None
            arrive while the source is away, and they arrive faster while changes are caught up with.
        expected: the time last believed, moved on by the time that has passed since; ``None`` at the very beginning.
        waited: how long the time has not been as expected.
    """

    local: datetime
    database: datetime
    source: datetime | None = None
    expected: datetime | None = None
    waited: timedelta = timedelta()


class Judgement(msgspec.Struct, frozen=True):
    """The time that is believed.

    Attributes:
        certain: the source agrees, so that what was published for later days can be taken back.
    """

    now: datetime
    certain: bool = False
    trouble: ClockTrouble | None = None


def judge(clocks: Clocks) -> Judgement:
    """Return what time it is, and which clock is wrong.

    No clock is believed alone, and none that would bring a new day while a witness says otherwise.
    """
    local, database, source = clocks.local, clocks.database, clocks.source
    if abs(local - database) > TOLERANCE:
        return _by_a_third(clocks, source if source is not None else clocks.expected)
    if source is None:
        return _without_source(clocks)
    if source > local + LATENESS:
        return Judgement(local, trouble=ClockTrouble.SOURCE_AHEAD)
    if source < local - LATENESS:
        return Judgement(source, trouble=ClockTrouble.SOURCE_BEHIND)
    return Judgement(local, certain=True)


def _by_a_third(clocks: Clocks, third: datetime | None) -> Judgement:
    """Return the one of the two machines' times with which the *third* agrees."""
    certain = clocks.source is not None
    if third is not None:
        if abs(clocks.database - third) <= LATENESS < abs(clocks.local - third):
            return Judgement(clocks.database, certain, ClockTrouble.LOCAL)
        if abs(clocks.local - third) <= LATENESS < abs(clocks.database - third):
            return Judgement(clocks.local, certain, ClockTrouble.DATABASE)
    # The earlier one: what ends tomorrow ends no sooner than one clock says, and what was published stays so.
    return Judgement(min(clocks.local, clocks.database), trouble=ClockTrouble.DISAGREE)


def _without_source(clocks: Clocks) -> Judgement:
    """Return the time that two clocks agree on, unless it is not what was expected."""
    local, expected = clocks.local, clocks.expected
    if expected is None or -TOLERANCE <= local - expected <= _ORDINARY:
        return Judgement(local)
    outage = local - expected <= _LONGEST_OUTAGE
    if outage and clocks.waited >= _PATIENCE:
        return Judgement(local)  # neither compact nor the source has run for some days
    return Judgement(expected, trouble=ClockTrouble.LEAP)


_TEXTS: Final = {
    ClockTrouble.LOCAL: "the clock of this machine is not believed: the state database and the source say otherwise",
    ClockTrouble.DATABASE: "the state database's clock is not believed: this machine and the source say otherwise",
    ClockTrouble.SOURCE_AHEAD: "the source's clock is ahead of the state database's and this machine's",
    ClockTrouble.SOURCE_BEHIND: "this machine and the state database are ahead of the source's clock; its time is used",
    ClockTrouble.DISAGREE: "this machine and the state database have different times; the earlier one is used",
    ClockTrouble.LEAP: "the time has leapt and the source is silent; the time from before goes on",
}


def text_of(trouble: ClockTrouble) -> str:
    """Return what is wrong with the clocks, for operators."""
    return _TEXTS[trouble]
