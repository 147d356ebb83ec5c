"""The catalogue of reports: number, name, default category and parameter model (design section 3)."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.categories import Category
from schemas.parameters import CreateSalesOrders, Parameters, SyncOrders


class ReportName(StrEnum):
    """The slug of a report, as requests, commands and the ledger name it."""

    SYNC_ORDERS = "sync_orders"
    CREATE_SALES_ORDERS = "create_sales_orders"


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One row of the catalogue."""

    number: int
    name: ReportName
    title: str
    category: Category
    """Where its jobs run unless the shop says otherwise."""
    parameters: type[Parameters]


CATALOGUE: tuple[ReportEntry, ...] = (
    ReportEntry(30104, ReportName.SYNC_ORDERS, "Sync orders from Shopify", Category.ORDERS, SyncOrders),
    ReportEntry(
        30103, ReportName.CREATE_SALES_ORDERS, "Create sales orders in the ERP", Category.ORDERS, CreateSalesOrders
    ),
)

_BY_NAME: dict[str, ReportEntry] = {entry.name.value: entry for entry in CATALOGUE}
_BY_NUMBER: dict[str, ReportEntry] = {str(entry.number): entry for entry in CATALOGUE}


class UnknownReport(ValueError):
    """No report has this name or number; the message lists those that exist."""

    def __init__(self, given: str) -> None:
        known = ", ".join(f"{entry.name} ({entry.number})" for entry in CATALOGUE)
        super().__init__(f"unknown report {given!r}; known reports: {known}")
        self.given = given


def find_report(given: str | int) -> ReportEntry:
    """The catalogue entry for a slug (`sync_orders`) or a number (30104, "30104").

    Raises:
        UnknownReport: nothing in the catalogue is called that.
    """
    text = str(given)
    entry = _BY_NAME.get(text) or _BY_NUMBER.get(text)
    if entry is None:
        raise UnknownReport(text)
    return entry
