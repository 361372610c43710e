"""What has caused an error of a statement: the row that was written, an outage, or a defect of the installation.

Only an outage is worth another try. What one row causes comes back at every try, so the row goes to quarantine;
otherwise it would hold up everything behind it. A defect (a missing table, a missing privilege) would quarantine every
row, so it ends the process instead.

Source of the classes: PostgreSQL's documentation, appendix A, "PostgreSQL Error Codes".
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import psycopg


class Cause(StrEnum):
    """What has to change before the same statement succeeds."""

    ROW = "row"
    OUTAGE = "outage"
    DEFECT = "defect"


_CLASSES: Final[Mapping[str, Cause]] = {
    "03": Cause.DEFECT,  # SQL statement not yet complete
    "08": Cause.OUTAGE,  # connection exception
    "0A": Cause.OUTAGE,  # feature not supported: "cached plan must not change result type"; a new session has no plans
    "0B": Cause.DEFECT,  # invalid transaction initiation
    "0F": Cause.DEFECT,  # locator exception
    "0L": Cause.DEFECT,  # invalid grantor
    "0P": Cause.DEFECT,  # invalid role specification
    "10": Cause.DEFECT,  # XQuery error
    "24": Cause.DEFECT,  # invalid cursor state
    "25": Cause.DEFECT,  # invalid transaction state
    "26": Cause.DEFECT,  # invalid SQL statement name
    "28": Cause.OUTAGE,  # invalid authorization: an operator may be changing the password
    "2B": Cause.DEFECT,  # dependent privilege descriptors still exist
    "2D": Cause.DEFECT,  # invalid transaction termination
    "34": Cause.DEFECT,  # invalid cursor name
    "3D": Cause.DEFECT,  # invalid catalog name
    "3F": Cause.DEFECT,  # invalid schema name
    "40": Cause.OUTAGE,  # transaction rollback: serialization failure, deadlock
    "42": Cause.DEFECT,  # syntax error or access rule violation: a missing table, column or privilege
    "53": Cause.OUTAGE,  # insufficient resources: the disk is full, no memory, too many connections
    "55": Cause.OUTAGE,  # object not in prerequisite state: a lock was not available
    "57": Cause.OUTAGE,  # operator intervention: the server is shut down, a statement was cancelled or took too long
    "58": Cause.OUTAGE,  # system error: input and output
    "72": Cause.OUTAGE,  # snapshot failure
    "F0": Cause.OUTAGE,  # configuration file error
    "HV": Cause.OUTAGE,  # foreign data wrapper error
}
"""Every class that is not here is the row's: 22 data exception, 23 integrity constraint violation, 54 program limit
exceeded (a text that is too long for an index), 21, 44, the errors of triggers and functions (09, 27, 2F, 38, 39, P0,
and codes of their own), and XX, such as an "invalid memory alloc request size"."""

_STATES: Final[Mapping[str, Cause]] = {
    "25006": Cause.OUTAGE,  # the server is a standby now; the next session reaches the new primary
    "25P03": Cause.OUTAGE,  # the process was paused inside a transaction; psycopg calls it an internal error
    "25P04": Cause.OUTAGE,  # the transaction took too long
    "XX001": Cause.DEFECT,  # data corrupted
    "XX002": Cause.DEFECT,  # index corrupted
}


def cause_of(error: BaseException) -> Cause:
    """Return what has caused *error*, raised by a statement on the state database or while its values were prepared."""
    if not isinstance(error, psycopg.Error):
        # psycopg could not even encode a value: UnicodeEncodeError is a ValueError.
        return Cause.ROW if isinstance(error, ValueError | OverflowError) else Cause.DEFECT
    state = sqlstate(error)
    if state is not None:
        return _STATES.get(state) or _CLASSES.get(state[:2], Cause.ROW)
    # Without a code the error comes from psycopg or libpq: the connection was lost, or a value could not be adapted.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Cause.OUTAGE
    return Cause.ROW if isinstance(error, psycopg.DataError) else Cause.DEFECT


def sqlstate(error: BaseException) -> str | None:
    """Return the server's code for *error*, or ``None`` if it does not come from the server."""
    return (error.diag.sqlstate or error.sqlstate) if isinstance(error, psycopg.Error) else None


def refusal(error: BaseException) -> str:
    """Return why a row was refused, for the quarantine: the server's code or the error's kind, and never a value."""
    return f"PostgreSQL refused it: {sqlstate(error) or type(error).__name__}"
