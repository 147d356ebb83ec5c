"""Checks of what callers hand to the embedded ERP, before anything is written."""

from decimal import Decimal
from uuid import UUID

from worker.errors import Rejected
from worker.model.address import PartyAddress

LENGTHS = {
    "number": 20,
    "name": 100,
    "name_2": 50,
    "contact": 100,
    "address": 100,
    "address_2": 50,
    "post_code": 20,
    "city": 30,
    "county": 30,
    "country": 2,
    "phone": 30,
    "email": 80,
    "key": 100,
    "description": 100,
    "external_document_no": 35,
    "shopify_order_no": 50,
}
"""Longest text per field, in characters; the table definitions say the same."""

MAX_DECIMALS = 5
"""Of unit prices and quantities (ERP spec 1.1.2)."""
_LARGEST = Decimal(10) ** 13

ADDRESS_FIELDS = (
    "name", "name_2", "contact", "address", "address_2", "post_code", "city", "county", "country",
)  # fmt: skip


def check_length(field: str, value: str, path: str = "") -> None:
    """Refuse a text that is too long for `field`, or that no database can hold.

    `path` is how the caller knows the field, `ship_to_address.city`; empty: the same name.

    Raises:
        Rejected("too_long" | "invalid_text")
    """
    path = path or field
    if len(value) > LENGTHS[field]:
        message = f"{path}: {value!r} has {len(value)} characters, at most {LENGTHS[field]} are allowed; shorten it"
        raise Rejected("too_long", message, path)
    check_text(path, value)


def check_text(path: str, value: str) -> None:
    """Refuse a text with a NUL character, which PostgreSQL cannot hold.

    Raises:
        Rejected("invalid_text")
    """
    if "\x00" in value:
        raise Rejected("invalid_text", f"{path}: {value!r} contains a NUL character; remove it", path)


def check_address(path: str, address: PartyAddress) -> None:
    """Refuse an address with a field that is too long.

    Raises:
        Rejected("too_long" | "invalid_text"): the field is `path.city`, or `city` where `path` is empty.
    """
    for field in ADDRESS_FIELDS:
        check_length(field, getattr(address, field), f"{path}.{field}" if path else field)


def check_decimals(path: str, value: Decimal, decimals: int) -> None:
    """Refuse an amount that is no finite number of at most that many decimals.

    Raises:
        Rejected("not_a_number" | "too_large" | "too_many_decimals")
    """
    if not value.is_finite():
        raise Rejected("not_a_number", f"{path}: {value} is not a number", path)
    if abs(value) >= _LARGEST:
        raise Rejected("too_large", f"{path}: {value} is not below {_LARGEST:f}", path)
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        message = f"{path}: {value} has more than {decimals} decimals; round it first"
        raise Rejected("too_many_decimals", message, path)


def searchable(value: str) -> str:
    """The value to look for: trimmed, and without NUL, which no record holds."""
    return value.replace("\x00", "").strip()


def uuid_or_none(erp_id: str) -> UUID | None:
    """The id of a record; None: it cannot be one of ours."""
    try:
        return UUID(erp_id)
    except ValueError:
        return None
