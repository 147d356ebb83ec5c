"""An order as the shop knows it: what one import reads (orders spec 3). Amounts are in both currencies.

Enumerations of Shopify are kept as lower-case text (`paid`, `partially_fulfilled`): a value that Shopify adds
tomorrow is data, not an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from worker.model.address import Address
from worker.model.customer import ShopifyCustomer
from worker.model.ids import Gid
from worker.model.money import MoneyBag


class ImportAction(StrEnum):
    """Whether an order is known already."""

    NEW = "new"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """What discovery reads of an order, enough to stage and filter it (orders spec 2.2)."""

    id: Gid
    name: str
    created_at: datetime
    updated_at: datetime
    closed: bool
    cancelled_at: datetime | None
    test: bool
    confirmed: bool
    fully_paid: bool
    unpaid: bool
    financial_status: str
    fulfillment_status: str
    order_amount: Decimal
    currency_code: str
    total_quantity: int
    tags: tuple[str, ...]
    channel_name: str
    """Name of the sales channel, else of the app; empty: neither is known."""
    purchasing_entity: str
    """customer or company; empty: a guest."""
    high_risk: bool
    """Any assessment is HIGH."""
    sell_to_country: str
    ship_to_country: str
    bill_to_country: str
    vat_amount: Decimal
    presentment_vat_amount: Decimal
    channel_liable_taxes: bool
    """`channelLiable` of the first tax line; missing counts as False."""
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TaxLine:
    title: str
    rate_pct: Decimal
    """22 for 22 %."""
    amount: MoneyBag
    channel_liable: bool


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order, in Shopify's order of lines."""

    id: Gid
    position: int
    """0 for the first."""
    title: str
    variant_title: str
    sku: str
    barcode: str
    """Of the variant; empty: the variant is gone or has none."""
    product_id: Gid | None
    variant_id: Gid | None
    quantity: int
    current_quantity: int
    """What is left after edits and refunds."""
    unfulfilled_quantity: int
    unit_price: MoneyBag
    discount: MoneyBag
    """Sum of all allocations to the line."""
    gift_card: bool
    tip: bool
    taxable: bool
    requires_shipping: bool
    tax_lines: tuple[TaxLine, ...]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShippingCharge:
    id: Gid
    title: str
    code: str
    source: str
    amount: MoneyBag
    """Before discounts."""
    discount: MoneyBag
    tax_lines: tuple[TaxLine, ...]


@dataclass(frozen=True, slots=True)
class OrderTransaction:
    id: Gid
    kind: str
    status: str
    gateway: str
    card_company: str
    """Empty: no card."""
    manual_gateway: bool
    amount: MoneyBag
    test: bool
    created_at: datetime
    payment_id: str
    error_code: str


@dataclass(frozen=True, slots=True)
class FulfillmentOrder:
    id: Gid
    status: str
    request_status: str
    location_id: Gid | None
    delivery_method: str
    lines: tuple["FulfillmentOrderLine", ...]


@dataclass(frozen=True, slots=True)
class FulfillmentOrderLine:
    id: Gid
    order_line_id: Gid
    total_quantity: int
    remaining_quantity: int


@dataclass(frozen=True, slots=True)
class ShopifyOrder:
    """The whole order at one moment."""

    id: Gid
    name: str
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: str
    closed: bool
    closed_at: datetime | None
    test: bool
    edited: bool
    confirmed: bool
    email: str
    phone: str
    po_number: str
    note: str
    tags: tuple[str, ...]
    discount_codes: tuple[str, ...]
    financial_status: str
    fulfillment_status: str
    return_status: str
    fully_paid: bool
    unpaid: bool
    currency_code: str
    presentment_currency_code: str
    taxes_included: bool
    tax_exempt: bool
    current_items_quantity: int
    channel_name: str
    app_name: str
    attributes: Mapping[str, str]
    sell_to: Address | None
    ship_to: Address | None
    bill_to: Address | None
    customer: ShopifyCustomer | None
    """None: a guest, or customer data was not released."""
    company_name: str
    """Empty: not bought by a company."""
    high_risk: bool
    total: MoneyBag
    current_total: MoneyBag
    subtotal: MoneyBag
    tax: MoneyBag
    current_tax: MoneyBag
    discounts: MoneyBag
    current_discounts: MoneyBag
    shipping: MoneyBag
    tips: MoneyBag
    outstanding: MoneyBag
    duties: MoneyBag
    additional_fees: MoneyBag
    payment_rounding: MoneyBag
    refund_rounding: MoneyBag
    tax_lines: tuple[TaxLine, ...]
    lines: tuple[OrderLine, ...]
    shipping_charges: tuple[ShippingCharge, ...]
    transactions: tuple[OrderTransaction, ...]
    fulfillment_orders: tuple[FulfillmentOrder, ...]
    refund_ids: tuple[Gid, ...]
    due_date: date | None
    """Of the payment terms, only where there is exactly one schedule."""
    payment_terms: str
    """Name of the payment terms; empty: none."""
    unavailable: tuple[str, ...] = ()
    """Fields that a missing scope or approval kept from us, as Shopify names them (`customer`, `email`): empty
    there does not mean absent (platform spec 3.4)."""
