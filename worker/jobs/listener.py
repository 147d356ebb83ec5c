"""Hears when a door or an operator stored a request, so that it is admitted in milliseconds (design D16, section 4.2).

What is missed while the connection is away, the upkeep's look of every second finds.
"""

import threading
from collections.abc import Callable

import psycopg

from worker.database import ledger
from worker.database.pool import connect
from worker.logs import logger

PATIENCE_SECONDS = 0.5
"""Between two looks whether to stop."""
RECONNECT_SECONDS = 1.0

log = logger(__name__)


class Listener:
    """One thread with a connection of its own."""

    def __init__(self, database_url: str, application_name: str, on_wakeup: Callable[[], None]) -> None:
        """`on_wakeup` must be quick; it is also called after every connect, for what was missed."""
        self._url = database_url
        self._application_name = application_name
        self._on_wakeup = on_wakeup
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="listener", daemon=True)
        """For the watchdog."""

    def start(self) -> None:
        """Begin to listen; an outage of the database is sat out."""
        self.thread.start()

    def stop(self) -> None:
        """Stop listening; returns within a second or two."""
        self._stop.set()
        self.thread.join(timeout=5 * PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                log.info("listener_lost", error=str(error).strip())
                self._stop.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        with connect(self._url, self._application_name) as connection:
            ledger.hear_wakeups(connection)
            self._on_wakeup()
            while not self._stop.is_set():
                for _ in connection.notifies(timeout=PATIENCE_SECONDS, stop_after=1):
                    self._on_wakeup()
