"""Writes that happen once: the `erp.operation` row lives in the transaction of its result (ERP spec 1.4)."""

import hashlib
import json
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.errors import Bug, Rejected
from worker.model.customer import CustomerDraft
from worker.model.sales_document import DocumentDraft


class Operation(StrEnum):
    """The writes that carry a key."""

    CREATE_CUSTOMER = "create_customer"
    CREATE_DOCUMENT = "create_document"


def earlier_result(
    connection: Connection[DictRow], operation: Operation, key: str, draft: CustomerDraft | DocumentDraft
) -> UUID | None:
    """What this key made before; None: nothing, and the key is now ours until the transaction ends.

    A second caller of the same key waits here for the first: if that one commits, its result comes back; if it
    rolls back, the second does the work.

    Raises:
        Bug("key_reuse"): the key was used for something else.
        Rejected("not_found"): what the key made was deleted since.
    """
    if not key:
        raise Bug("key_missing", f"{operation} needs an idempotency key")
    request_hash = fingerprint(draft)
    arguments = {"key": key, "operation": operation.value, "request_hash": request_hash}
    if connection.execute(load("erp")["claim_operation"], arguments).fetchone():
        return None
    row = connection.execute(load("erp")["get_operation"], {"key": key}).fetchone()
    if row is None or row["result_id"] is None:
        raise Rejected("not_found", f"what key {key!r} made was deleted; use another key to make it again", "key")
    if (row["operation"], row["request_hash"]) != (operation.value, request_hash):
        raise Bug("key_reuse", f"key {key!r} was used before for another {row['operation']}: one key, one request")
    result: UUID = row["result_id"]
    return result


def fingerprint(draft: CustomerDraft | DocumentDraft) -> str:
    """A digest that is equal for equal drafts; 1.0 equals 1.00."""
    text = json.dumps(asdict(draft), default=_plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a draft")
