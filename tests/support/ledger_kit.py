"""Arranges and looks at the ledger in tests: a shop, workers, requests, the clock and the invariants."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiosql
import psycopg
from psycopg.rows import dict_row

from schemas.request import SyncRequest, new_request
from schemas.wire import encode_request
from worker.database import ledger
from worker.database.ledger import Admission, Claim
from worker.database.pool import Database

INVARIANTS = aiosql.from_path(Path(__file__).parent / "invariants.sql", "psycopg", mandatory_parameters=False)


def add_shop(database_url: str, code: str = "my-shop", *, enabled: bool = True) -> None:
    """A shop without secrets."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO backroom.shop (code, domain, api_url, enabled) VALUES (%s, %s, %s, %s)",
            (code, f"{code}.myshopify.com", f"https://{code}.myshopify.com", enabled),
        )


def move_clock(database_url: str, by: timedelta) -> None:
    """Let the ledger's clock run ahead."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE backroom.clock_offset SET shift = shift + %s", (by,))


def rows(database_url: str, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Rows of a query, for looking at what was written."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def broken_invariants(database_url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Names of the invariants that do not hold, with the rows that break them, in one snapshot."""
    broken = {}
    with psycopg.connect(database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for name in INVARIANTS.available_queries:
            if name.endswith("_cursor"):
                continue
            found = connection.execute(str(getattr(INVARIANTS, name).sql).encode()).fetchall()
            if found:
                broken[name] = found
    return broken


def a_request(id: str = "e1", *, shop: str = "my-shop", source: str = "/test", **data: Any) -> SyncRequest:
    """A request for report 30104; `data` are fields of `new_request`."""
    return new_request(id=id, source=source, shop=shop, report=data.pop("report", "sync_orders"), **data)


def register(database: Database, *, lease_seconds: float = 60, kind: str = "worker") -> UUID:
    """A worker that is alive for `lease_seconds`."""
    worker = uuid4()
    ledger.register_worker(database, worker, kind=kind, name=f"test {worker}", lease_seconds=lease_seconds)
    return worker


def admit(database: Database, request: SyncRequest, worker: UUID, *, may_claim: bool = False) -> Admission:
    """T1 for a request as it would come from the queue."""
    return ledger.admit(
        database, request, worker=worker, may_claim=may_claim, body=encode_request(request), origin="orders"
    )


def state_of(database_url: str, job_id: int | None) -> Mapping[str, Any]:
    """The job's row."""
    (row,) = rows(database_url, "SELECT * FROM backroom.job WHERE id = %s", job_id)
    return row


def claimed(admission: Admission) -> Claim:
    """The claim of an admission that must have one."""
    assert admission.claim is not None
    return admission.claim
