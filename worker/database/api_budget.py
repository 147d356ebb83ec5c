"""The shop's API points, shared by all workers through the database (platform spec 2.4).

One round trip before a call and one after it; the call's row in the log travels with the second.
"""

import psycopg

from worker.database.pool import Database
from worker.database.queries import load
from worker.database.secrets import SecretBox
from worker.errors import Bug, Unreachable
from worker.logs import logger
from worker.model.api_call import Admission, ApiCall

SQL = load("api")
_LOG = logger(__name__)


class ApiBudget:
    """Admits calls of all shops, and remembers what their answers said. Safe for many threads and processes."""

    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    def admit(self, shop: str, operation: str, *, initial_cost: float, kept_share: float) -> Admission:
        """Reserve the points of one call, or learn how long to wait.

        `initial_cost` counts while no answer has priced the operation; `kept_share` (0…1) of the bucket is left
        to others. The token comes along, read anew for every call, so a changed one is used at once.
        """
        with self._database.statements() as connection:
            row = connection.execute(
                SQL["admit"],
                {"shop": shop, "operation": operation, "initial_cost": initial_cost, "kept_share": kept_share},
            ).fetchone()
        if row is None:
            raise Bug("unknown_shop", f"shop {shop!r} was deleted while it was being served")
        stored = row["access_token"]
        return Admission(
            token=None if stored is None else self._secrets.decrypt(stored),
            cost=row["cost"],
            wait_seconds=row["wait_seconds"],
            maximum=row["bucket_maximum"],
        )

    def record(self, call: ApiCall) -> None:
        """Overwrite the budget with what the answer said, keep the largest cost, log the call.

        A database that fails here is reported in the process's log only: the call has happened, and its answer
        must not be lost for want of a record.
        """
        status = call.throttle
        values = {
            "shop": call.shop,
            "operation": call.operation,
            "job_id": call.job_id,
            "status": call.status,
            "outcome": call.outcome,
            "requested_cost": call.requested_cost,
            "actual_cost": call.actual_cost,
            "maximum": status and status.maximum,
            "available": status and status.available,
            "restore_rate": status and status.restore_rate,
            "duration_seconds": call.duration_seconds,
            "request_id": call.request_id,
            "deprecated": call.deprecated,
            "trace_id": call.trace_id,
        }
        try:
            with self._database.statements() as connection:
                connection.execute(SQL["record"], values)
        except (psycopg.Error, Unreachable) as error:
            _LOG.warning("api_call_not_recorded", **values, error=str(error))

    def forget_price(self, shop: str, operation: str) -> None:
        """Forget the largest cost seen: the operation will be sent with smaller pages from now on."""
        with self._database.statements() as connection:
            connection.execute(SQL["lower_price"], {"shop": shop, "operation": operation})
