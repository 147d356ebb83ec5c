"""What can be imported into and exported from the embedded ERP: one table of kinds and their columns.

`backroom erp import --help` prints it; the import checks by it; the queries `rows_<query>` and `save_<query>` of
`erp_data.sql` have exactly these columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

Value = str | int | bool | Decimal | date | None
"""A cell: what a column of any type holds."""

Row = dict[str, Value]
"""A record as its columns."""


class ColumnType(StrEnum):
    """How a cell is read and written."""

    CODE = "code"
    """A code or number: upper case, no outer spaces."""
    TEXT = "text"
    CHOICE = "choice"
    """One of a few words, lower case."""
    INTEGER = "integer"
    DECIMAL = "decimal"
    """With a point, at most 5 decimals."""
    BOOLEAN = "boolean"
    """true or false; yes, no, 1 and 0 are understood."""
    DATE = "date"
    """YYYY-MM-DD."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind."""

    name: str
    type: ColumnType
    required: bool = False
    """A new record needs it, and its cell may never be empty."""
    key: bool = False
    """Part of what tells records apart."""
    default: Value = ""
    """What an empty cell means, and a new record without the column."""
    length: int | None = None
    """Longest text, in characters; None: not a text."""
    choices: tuple[str, ...] = ()
    refers_to: str = ""
    """The kind whose records this column names."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of records."""

    name: str
    description: str
    query: str
    """End of the names of its queries in `erp_data.sql`."""
    columns: tuple[Column, ...]
    importable: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key columns; empty: there is one record at most."""
        return tuple(column.name for column in self.columns if column.key)

    def column(self, name: str) -> Column | None:
        """The column of that name; None: there is none."""
        return next((column for column in self.columns if column.name == name), None)


def _key(name: str, length: int, refers_to: str = "") -> Column:
    return Column(name, ColumnType.CODE, required=True, key=True, length=length, refers_to=refers_to)


def _code(name: str, length: int = 20, refers_to: str = "", *, required: bool = False) -> Column:
    return Column(name, ColumnType.CODE, required=required, length=length, refers_to=refers_to)


def _text(name: str, length: int, *, required: bool = False) -> Column:
    return Column(name, ColumnType.TEXT, required=required, length=length)


def _flag(name: str, *, default: bool = False) -> Column:
    return Column(name, ColumnType.BOOLEAN, default=default)


def _number(name: str) -> Column:
    return Column(name, ColumnType.DECIMAL, default=Decimal(0))


def _choice(name: str, *choices: str, key: bool = False) -> Column:
    return Column(name, ColumnType.CHOICE, key=key, default=choices[0], choices=choices)


def _integer(name: str, default: int) -> Column:
    return Column(name, ColumnType.INTEGER, default=default)


_NAME = _text("name", 100)
_CUSTOMER_CODES = (
    _code("currency", 3, "currencies"),
    _code("tax_business_group"),
    _code("payment_terms", 10, "payment-terms"),
    _code("payment_method", 10, "payment-methods"),
    _code("shipment_method", 10, "shipment-methods"),
)
_ADDRESS = (
    _text("name", 100),
    _text("name_2", 50),
    _text("contact", 100),
    _text("address", 100),
    _text("address_2", 50),
    _text("post_code", 20),
    _text("city", 30),
    _text("county", 30),
    _code("country", 2, "countries"),
)
_DOCUMENT = (
    _key("number", 20),
    _choice("status", "open", "released"),
    _code("customer", 20, "customers"),
    _code("bill_to", 20, "customers"),
    _text("sell_to_name", 100),
    _text("ship_to_name", 100),
    _text("ship_to_city", 30),
    _code("ship_to_country", 2, "countries"),
    _text("email", 80),
    _text("phone", 30),
    _code("currency", 3, "currencies"),
    _flag("prices_include_vat"),
    Column("document_date", ColumnType.DATE),
    Column("due_date", ColumnType.DATE),
    _text("external_document_no", 35),
    _integer("shopify_order_id", 0),
    _text("shopify_order_no", 50),
    _code("payment_method", 10, "payment-methods"),
    _code("payment_terms", 10, "payment-terms"),
    _code("shipment_method", 10, "shipment-methods"),
    _code("shipping_agent", 10, "shipping-agents"),
    _code("shipping_agent_service", 10, "shipping-agent-services"),
    _number("invoice_discount"),
    _number("amount"),
    _number("vat_amount"),
    _number("amount_incl_vat"),
)


def _simple(name: str, description: str, *more: Column, length: int = 10) -> Kind:
    return Kind(name, description, name.replace("-", "_"), (_key("code", length), _NAME, *more))


_ALL = (
    Kind(
        "number-series",
        "Number series, a row per line; numbers never go back",
        "number_series",
        (
            _key("code", 20),
            Column("start_date", ColumnType.DATE, key=True, default=date(2000, 1, 1)),
            _NAME,
            _flag("manual_allowed"),
            _code("prefix", 10),
            _integer("digits", 6),
            _integer("first_no", 1),
        ),
    ),
    _simple("currencies", "Currencies by ISO code, with their decimals", _integer("decimals", 2), length=3),
    Kind(
        "countries",
        "Countries by ISO code",
        "countries",
        (_key("code", 2), _text("name", 100, required=True)),
    ),
    Kind(
        "company",
        "The company itself: one row",
        "company",
        (
            _text("name", 100, required=True),
            _code("currency", 3, "currencies", required=True),
            _code("country", 2, "countries", required=True),
            Column("time_zone", ColumnType.TEXT, required=True, length=50),
            _code("customer_series", 20, "number-series", required=True),
            _code("sales_order_series", 20, "number-series", required=True),
            _code("sales_invoice_series", 20, "number-series", required=True),
        ),
    ),
    Kind(
        "accounts",
        "G/L accounts that documents may name",
        "accounts",
        (
            _key("number", 20),
            _NAME,
            _flag("direct_posting", default=True),
            _flag("blocked"),
            _code("tax_product_group"),
        ),
    ),
    Kind(
        "tax-rates",
        "VAT per business group of the customer and product group of the item or account",
        "tax_rates",
        (
            Column("business_group", ColumnType.CODE, key=True, length=20),
            Column("product_group", ColumnType.CODE, key=True, length=20),
            _choice("kind", "normal", "reverse"),
            Column("pct", ColumnType.DECIMAL, required=True, default=Decimal(0)),
            _code("identifier", required=True),
        ),
    ),
    _simple("payment-methods", "Payment methods"),
    _simple("payment-terms", "Payment terms: days from document date to due date", _integer("days", 0)),
    _simple("shipment-methods", "Shipment methods"),
    _simple("shipping-agents", "Shipping agents", _text("tracking_url", 250)),
    Kind(
        "shipping-agent-services",
        "Services of the shipping agents",
        "shipping_agent_services",
        (_key("agent", 10, "shipping-agents"), _key("code", 10), _NAME),
    ),
    _simple("locations", "Places that hold stock"),
    _simple("units", "Units of measure"),
    _simple(
        "customer-templates",
        "What new customers start with",
        _code("number_series", 20, "number-series"),
        *_CUSTOMER_CODES,
        _flag("prices_include_vat"),
        length=20,
    ),
    Kind(
        "customers",
        "Customers; several e-mail addresses are written a;b",
        "customers",
        (
            _key("number", 20),
            *_ADDRESS,
            _text("phone", 30),
            _text("email", 80),
            *_CUSTOMER_CODES,
            _text("vat_no", 20),
            _code("bill_to", 20, "customers"),
            _flag("prices_include_vat"),
            _choice("blocked", "", "ship", "invoice", "all"),
        ),
    ),
    Kind(
        "items",
        "Items",
        "items",
        (
            _key("number", 20),
            _text("description", 100),
            _text("description_2", 50),
            _choice("type", "inventory", "service", "non_inventory"),
            _code("base_unit", 10, "units", required=True),
            _code("sales_unit", 10, "units"),
            _number("unit_price"),
            _flag("price_includes_vat"),
            _number("unit_cost"),
            _code("tax_product_group"),
            _flag("allow_invoice_discount", default=True),
            _text("gtin", 14),
            _flag("blocked"),
            _flag("sales_blocked"),
        ),
    ),
    Kind(
        "item-variants",
        "Variants of items",
        "item_variants",
        (
            _key("item", 20, "items"),
            _key("code", 10),
            _text("description", 100),
            _flag("blocked"),
            _flag("sales_blocked"),
        ),
    ),
    Kind(
        "item-references",
        "Barcodes of items, and what vendors and customers call them",
        "item_references",
        (
            _key("item", 20, "items"),
            Column("variant", ColumnType.CODE, key=True, length=10, refers_to="item-variants"),
            Column("unit", ColumnType.CODE, key=True, length=10, refers_to="units"),
            _choice("type", "barcode", "vendor", "customer", key=True),
            Column("type_no", ColumnType.CODE, key=True, length=20),
            Column("value", ColumnType.TEXT, required=True, key=True, length=50),
        ),
    ),
    Kind("sales-orders", "Sales orders that are not posted yet", "sales_orders", _DOCUMENT, importable=False),
    Kind("sales-invoices", "Sales invoices that are not posted yet", "sales_invoices", _DOCUMENT, importable=False),
    Kind(
        "sales-lines",
        "Lines of sales orders and invoices that are not posted yet",
        "sales_lines",
        (
            _choice("type", "order", "invoice", key=True),
            _key("document", 20),
            Column("line_no", ColumnType.INTEGER, key=True),
            _choice("kind", "comment", "item", "gl_account"),
            _code("number"),
            _code("variant", 10),
            _text("description", 100),
            _code("unit", 10, "units"),
            _code("location", 10, "locations"),
            _number("quantity"),
            _number("unit_price"),
            _number("line_discount_amount"),
            _number("line_discount_pct"),
            _number("line_amount"),
            _number("invoice_discount_amount"),
            _number("vat_pct"),
            _number("amount"),
            _number("vat_amount"),
            _number("amount_incl_vat"),
            Column("shopify_line_id", ColumnType.INTEGER),
        ),
        importable=False,
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind by its name, in the order in which to import them: each finds what it refers to."""
