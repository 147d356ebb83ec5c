"""The one way to a database connection: a pool whose sessions keep the house rules (design 4.1)."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from worker.errors import Unreachable

IDLE_IN_TRANSACTION_SECONDS = 30
"""A session that stalls inside a transaction is ended, so that its locks never outlive a lease for long."""
STATEMENT_SECONDS = 60
CONNECT_SECONDS = 5
ACQUIRE_SECONDS = 30
RECONNECT_SECONDS = 5
"""The pool's own attempts double their pauses; after so long it gives up, and whoever asks next starts them anew.
Otherwise a database that was away for minutes would stay unused for minutes after its return."""
ASK_AGAIN_SECONDS = 3
"""How long one who waits for a connection waits before it asks anew."""


class Database:
    """Connections to one database. Rows come as dictionaries; sessions run READ COMMITTED in UTC."""

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        max_connections: int = 4,
        acquire_seconds: float = ACQUIRE_SECONDS,
    ) -> None:
        """Prepare, without connecting. `application_name` shows up in pg_stat_activity (≤ 63 bytes).

        `acquire_seconds`: how long `transaction` waits for a connection; a door that must answer waits briefly.
        """
        self.url = url
        self.application_name = application_name
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            url,
            connection_class=Connection[DictRow],
            kwargs=session_arguments(application_name),
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=acquire_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            check=_check,
            name=application_name,
        )

    def open(self) -> None:
        """Start the pool and prove that the database answers.

        Raises:
            Unreachable: no connection could be made.
        """
        try:
            psycopg.connect(self.url, connect_timeout=CONNECT_SECONDS).close()
        except psycopg.OperationalError as error:
            raise unreachable(self.url, error) from error
        self._pool.open()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        """One transaction: committed at the end of the block, rolled back on an error.

        Raises:
            Unreachable: no connection could be had in time.
        """
        connection = self._acquire()
        try:
            with connection:
                yield connection
        finally:
            self._pool.putconn(connection)

    def _acquire(self) -> Connection[DictRow]:
        """Asks again and again: whoever only waits would not notice that the database is back (`RECONNECT_SECONDS`)."""
        end = time.monotonic() + self._pool.timeout
        while True:
            try:
                return self._pool.getconn(max(0.0, min(ASK_AGAIN_SECONDS, end - time.monotonic())))
            except PoolTimeout as error:
                if time.monotonic() >= end:
                    raise unreachable(self.url, error) from error

    @contextmanager
    def statements(self) -> Iterator[Connection[DictRow]]:
        """A connection where each statement commits by itself: one round trip for one statement."""
        with self.transaction() as connection:
            connection.autocommit = True
            try:
                yield connection
            finally:
                connection.autocommit = False

    def __enter__(self) -> "Database":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check(connection: Connection[DictRow]) -> None:
    """Refuse a connection that the server has ended. It said so, hence there is something to read; asking each time
    would cost a round trip a transaction."""
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    if line.poll(0):
        ConnectionPool.check_connection(connection)


def session_arguments(application_name: str) -> dict[str, Any]:
    """Arguments of `psycopg.connect` that make a session keep the house rules."""
    options = " ".join(
        (
            "-c default_transaction_isolation=read\\ committed",
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s",
            f"-c statement_timeout={STATEMENT_SECONDS}s",
            "-c TimeZone=UTC",
        )
    )
    return {
        "row_factory": dict_row,
        "application_name": application_name,
        "connect_timeout": CONNECT_SECONDS,
        "options": options,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # A line that swallows what is sent: keepalives do not notice that, and the kernel tries for 15 minutes.
        "tcp_user_timeout": 20_000,
    }


def connect(url: str, application_name: str) -> Connection[DictRow]:
    """One connection of its own, in autocommit, for a thread that must not wait for the pool.

    Raises:
        psycopg.OperationalError: no connection could be made.
    """
    return Connection[DictRow].connect(url, autocommit=True, **session_arguments(application_name))


def unreachable(url: str, error: BaseException) -> Unreachable:
    """The error for a database that cannot be reached; the password is left out."""
    info = psycopg.conninfo.conninfo_to_dict(url)
    where = f"{info.get('host', 'localhost')}:{info.get('port', 5432)}/{info.get('dbname', '')}"
    reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return Unreachable(
        "database_unreachable",
        f"PostgreSQL at {where} cannot be reached ({reason}); start it, for example with `backroom services up`, "
        "or set BACKROOM_DATABASE_URL",
    )
