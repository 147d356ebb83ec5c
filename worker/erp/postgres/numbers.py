"""Numbers from the series of the embedded ERP. Gaps are allowed here: drafts and customers (ERP spec 2.2)."""

from datetime import date

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.errors import NeedsAttention, Scope

MOST_SKIPPED = 1000
"""Numbers taken by hand that are skipped in a row before somebody should look at the series."""


def next_number(connection: Connection[DictRow], series: str, purpose: str, today: date) -> str:
    """The next free number of the series. `purpose` is customer, order or invoice.

    The series stays locked until the transaction ends: take the number late.

    Raises:
        NeedsAttention("number_series_missing" | "number_series_used_up")
    """
    arguments = {"series": series, "purpose": purpose, "today": today}
    for _ in range(MOST_SKIPPED):
        row = connection.execute(load("erp")["take_number"], arguments).fetchone()
        if row is None:
            raise NeedsAttention(
                "number_series_missing",
                f"number series {series!r} has no line that starts on or before {today}; import one with "
                "`backroom erp import number-series FILE`",
                Scope.ERP,
            )
        if not row["taken"]:
            return str(row["number"])
    raise NeedsAttention(
        "number_series_used_up",
        f"the next {MOST_SKIPPED} numbers of series {series!r} are taken; raise its first_no",
        Scope.ERP,
    )
