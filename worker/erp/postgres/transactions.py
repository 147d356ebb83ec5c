"""One transaction of the embedded ERP, and what its database's errors mean to the callers of the port."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection, errors
from psycopg.rows import DictRow

from worker.database.pool import Database
from worker.database.queries import load
from worker.erp.postgres.constraints import refusal
from worker.errors import (
    AWAY_PROBE_SECONDS,
    BackroomError,
    NeedsAttention,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Scope,
    Unreachable,
)

BUSY = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.TooManyConnections,
)
"""The database rolled back and is well: the same call may succeed a moment later."""

GONE = (psycopg.OperationalError, psycopg.InterfaceError, errors.IdleInTransactionSessionTimeout)
"""The connection is no more."""


@contextmanager
def reading(database: Database) -> Iterator[Connection[DictRow]]:
    """For statements that only read, one round trip each: whatever goes wrong, they may be repeated.

    Raises:
        RetryLater("erp_busy"), NeedsAttention("erp_away")
    """
    try:
        with database.statements() as connection:
            yield connection
    except (psycopg.Error, Unreachable) as error:
        raise meaning_of(error) from error


@contextmanager
def writing(database: Database, key: str) -> Iterator[Connection[DictRow]]:
    """A transaction that writes under an idempotency key.

    Raises:
        RetryLater, NeedsAttention: nothing was written.
        OutcomeUnknown(key): the commit was sent and no answer came.
        Rejected: a constraint refused the data.
    """
    body_done = False
    try:
        with database.transaction() as connection:
            connection.execute(load("erp")["limit_lock_waits"])
            yield connection
            body_done = True
    except (psycopg.Error, Unreachable) as error:
        if body_done and isinstance(error, GONE) and not isinstance(error, BUSY):
            message = "the connection to the ERP's database broke while committing: look the key up before repeating"
            raise OutcomeUnknown(key, message) from error
        raise meaning_of(error) from error


def meaning_of(error: psycopg.Error | Unreachable) -> BackroomError | psycopg.Error:
    """What an error of the database means to the caller; one that only a mistake of ours explains stays itself."""
    if isinstance(error, BUSY):
        return RetryLater("erp_busy", f"the ERP's database was busy: {_first_line(error)}")
    if isinstance(error, (*GONE, Unreachable)):
        message = f"the ERP's database cannot be reached: {_first_line(error)}; jobs wait until it answers again"
        return NeedsAttention("erp_away", message, Scope.ERP, AWAY_PROBE_SECONDS)
    if isinstance(error, psycopg.IntegrityError):
        return refusal(error)
    if isinstance(error, psycopg.DataError):
        return Rejected("invalid_value", f"the ERP's database does not accept a value: {_first_line(error)}")
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
