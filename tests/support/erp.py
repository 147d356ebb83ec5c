"""An embedded ERP to test with: the starter company and a few customers and items."""

from collections.abc import Iterable, Mapping

from worker.database.pool import Database
from worker.erp.postgres import starter
from worker.erp.postgres.data import import_rows, kind_named

CUSTOMERS = (
    {
        "number": "C00010",
        "name": "Ada Lovelace",
        "country": "IT",
        "email": "ada@example.com; Ada.L@Example.org",
        "phone": "02 36000101",
        "tax_business_group": "DOMESTIC",
        "prices_include_vat": True,
    },
    {"number": "C00021", "name": "Twin B", "email": "twin@example.com", "bill_to": "C00020"},
    {"number": "C00020", "name": "Twin A", "email": "TWIN@example.com"},
    {"number": "C00090", "name": "Blocked", "blocked": "all", "tax_business_group": "DOMESTIC"},
    {"number": "C00091", "name": "Untaxed", "tax_business_group": "NOWHERE"},
)
ITEMS = (
    {"number": "1000", "description": "Touring Bicycle", "base_unit": "PCS", "tax_product_group": "STANDARD"},
    {
        "number": "1003",
        "description": "Bicycle Bell",
        "base_unit": "PCS",
        "unit_price": "9.99",
        "price_includes_vat": True,
        "tax_product_group": "STANDARD",
        "gtin": "80000001",
    },
    {"number": "1014", "description": "Energy Bar", "base_unit": "PCS", "tax_product_group": "REDUCED"},
    {
        "number": "1099",
        "description": "Old",
        "base_unit": "PCS",
        "sales_blocked": True,
        "tax_product_group": "ZERO",
    },
)
VARIANTS = (
    {"item": "1000", "code": "S", "description": "Small"},
    {"item": "1000", "code": "M", "description": "Medium", "blocked": True},
)
REFERENCES = (
    {"item": "1003", "value": "8000000100300"},
    {"item": "1000", "variant": "S", "value": "8000000100001"},
    {"item": "1003", "value": "8000000999999"},
    {"item": "1014", "value": "8000000999999"},
)
ACCOUNTS = (
    {"number": "9000", "name": "Receivables", "direct_posting": False, "tax_product_group": "ZERO"},
    {"number": "9001", "name": "Old", "blocked": True, "tax_product_group": "ZERO"},
)


def set_up(database: Database) -> None:
    """Install the starter company and the records above."""
    starter.install(database)
    fill(database, "customers", CUSTOMERS)
    fill(database, "items", ITEMS)
    fill(database, "item-variants", VARIANTS)
    fill(database, "item-references", REFERENCES)
    fill(database, "accounts", ACCOUNTS)


def fill(database: Database, kind: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Import rows, by their raw cells; every one must be accepted."""
    refused: list[object] = []
    result = import_rows(
        database, kind_named(kind), rows, on_row=lambda row: refused.append(row) if row.message else None
    )
    assert result.committed, refused
