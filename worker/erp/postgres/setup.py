"""The company and its code tables."""

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.erp.port import Code, CodeKind, Company
from worker.errors import NeedsAttention, Scope


def company(connection: Connection[DictRow]) -> tuple[Company, DictRow]:
    """The company, and the row with its date (`today`).

    Raises:
        NeedsAttention("company_missing")
    """
    row = connection.execute(load("erp")["company"]).fetchone()
    if row is None:
        raise company_missing()
    return Company(row["name"], row["currency"], row["country"], row["time_zone"]), row


def company_missing() -> NeedsAttention:
    """The error for an ERP without a company or without its number series."""
    message = "the embedded ERP has no company; make one with `backroom erp init` or `backroom erp import company FILE`"
    return NeedsAttention("company_missing", message, Scope.ERP)


def list_codes(connection: Connection[DictRow], kind: CodeKind) -> tuple[Code, ...]:
    """A whole code table, by code."""
    return tuple(Code(**row) for row in connection.execute(load("erp")[f"list_{kind.value}"]))
