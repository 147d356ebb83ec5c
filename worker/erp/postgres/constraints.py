"""Turns a constraint of the embedded ERP that refused a row into an answer that names the field.

The constraints are the last line of defence: what people and programs usually get wrong is checked before, with a
better message. Automatic names (`customer_city_check`, `customer_country_ref_fkey`) hold the column.
"""

import psycopg
from psycopg import errors

from worker.errors import Rejected

TAKEN = {
    "sales_document_type_number_key": ("number_taken", "requested_number", "another document has this number"),
    "sales_document_external_key_type_key": ("duplicate", "key", "a document of this key and type exists"),
    "customer_pkey": ("number_taken", "number", "another customer has this number"),
}
"""Unique constraints that a caller can run into: code, field, message."""


def column_of(error: psycopg.Error) -> str | None:
    """The column at fault; None: the constraint ties several columns."""
    name, table = error.diag.constraint_name or "", error.diag.table_name or ""
    if isinstance(error, errors.NotNullViolation):
        return error.diag.column_name
    if not name.startswith(f"{table}_"):
        return None
    for suffix in ("_ref_fkey", "_fkey", "_check", "_check1"):
        if name.endswith(suffix):
            return name.removeprefix(f"{table}_").removesuffix(suffix) or None
    return None


def refusal(error: psycopg.IntegrityError) -> Rejected:
    """The `Rejected` for a row that a constraint refused."""
    name, column = error.diag.constraint_name or "", column_of(error)
    where = f"{error.diag.table_name}.{column}" if column else f"{error.diag.table_name} ({name})"
    if name in TAKEN:
        code, field, message = TAKEN[name]
        return Rejected(code, f"{message}: {error.diag.message_detail or ''}".strip(), field)
    if isinstance(error, errors.ForeignKeyViolation):
        return Rejected("not_found", f"{where}: {error.diag.message_detail or 'no such code'}", column)
    if isinstance(error, errors.NotNullViolation):
        return Rejected("required", f"{where}: a value is required", column)
    return Rejected("invalid_value", f"{where}: the ERP does not accept this value", column)
