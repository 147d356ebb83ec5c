"""The heartbeat: one thread with its own connection keeps the process's lease (design 4.1)."""

import threading
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from worker.clock import Clock
from worker.database import ledger
from worker.database.pool import connect
from worker.logs import logger

log = logger(__name__)


class Heartbeat:
    """Renews the lease of a registered worker until it is stopped."""

    def __init__(
        self, database_url: str, worker: UUID, clock: Clock, *, lease_seconds: float, beat_seconds: float
    ) -> None:
        self._url = database_url
        self._worker = worker
        self._clock = clock
        self._lease = lease_seconds
        self._beat = beat_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._alive_until = clock.monotonic() + lease_seconds
        self._renewed_after_lapse: float | None = None
        self._renewed_at = self._went_round_at = clock.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    @property
    def thread(self) -> threading.Thread:
        """For the watchdog."""
        return self._thread

    @property
    def silent_seconds(self) -> float:
        """Since its loop last went round; for the watchdog."""
        return self._clock.monotonic() - self._went_round_at

    @property
    def age_seconds(self) -> float:
        """Since the lease was last renewed, counted from before the renewal was sent."""
        return self._clock.monotonic() - self._renewed_at

    @property
    def alive(self) -> bool:
        """True while the lease, counted from before the last renewal was sent, has not run out."""
        return self._clock.monotonic() < self._alive_until

    def may_reap(self, grace_seconds: float) -> bool:
        """False for a while after our own lease had lapsed: the others had the same outage and renew too."""
        since = self._renewed_after_lapse
        return self.alive and (since is None or self._clock.monotonic() - since >= grace_seconds)

    def _run(self) -> None:
        connection: Connection[DictRow] | None = None
        wait = 0.0
        while not self._stop.wait(wait):
            sent = self._went_round_at = self._clock.monotonic()
            try:
                if connection is None or connection.closed:
                    connection = connect(self._url, f"backroom/{self._worker}")
                    connection.execute("SET statement_timeout = '5s'")
                if ledger.renew_worker(connection, self._worker, self._lease):
                    self._renewed_after_lapse = sent
                    log.warning("lease_lapsed", worker=str(self._worker))
                self._alive_until = sent + self._lease
                self._renewed_at = sent
                wait = self._beat
            except psycopg.Error as error:
                log.warning("heartbeat_failed", error=str(error).strip(), alive=self.alive)
                if connection is not None:
                    connection.close()
                connection = None
                wait = min(1.0, self._beat)
        if connection is not None:
            connection.close()
