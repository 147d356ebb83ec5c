"""How the installation stands at a moment, in a few numbers: cheap enough to be asked for every few seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.database import transaction
from worker.database.pool import Database
from worker.database.queries import load
from worker.errors import Bug

SECONDS = 2.0
"""The query takes milliseconds; a database that needs longer has better things to do."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Numbers of the whole installation; what is not named is 0."""

    jobs: Mapping[str, int]
    """Unfinished jobs by state."""
    letters: Mapping[str, int]
    """Open dead letters by reason."""
    pauses: Mapping[str, int]
    """Lanes that stand still, by cause; one may have several."""
    pending: int
    """Requests that wait in the database to be relayed."""
    oldest_seconds: float
    """How long the oldest of them is overdue; 0: none is."""


def standing(database: Database) -> Standing:
    """Count.

    Raises:
        Unreachable, psycopg.Error: the database is away or busy.
    """
    with database.transaction() as connection:
        transaction.limit(connection, statement_seconds=SECONDS, lock_seconds=SECONDS)
        row = connection.execute(load("standing")["standing"]).fetchone()
    if row is None:
        raise Bug("no_answer", "the ledger's standing returned no row")
    return Standing(**row)
