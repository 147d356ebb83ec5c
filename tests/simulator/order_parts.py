"""The parts of an order: lines, charges, discounts, payments, refunds, shipments."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulator.entities import Attribute, Entity, Location, Product, ProductVariant
from tests.simulator.money import MoneyBag, MoneyV2

if TYPE_CHECKING:
    from tests.simulator.order import Order


@dataclass(frozen=True, slots=True)
class TaxLine:
    """One tax of a line, a shipping charge or the order; ``rate`` as 0.22."""

    title: str
    rate: Decimal
    price_set: MoneyBag
    channel_liable: bool = False

    @property
    def rate_percentage(self) -> Decimal:
        """The rate as 22."""
        return self.rate * 100


@dataclass(frozen=True, slots=True)
class PricingPercentageValue:
    """A discount in percent."""

    percentage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountApplication:
    """The reason of a discount; ``index`` is its place in the order's list."""

    index: int
    allocation_method: str
    target_selection: str
    target_type: str
    value: MoneyV2 | PricingPercentageValue


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountCodeApplication(DiscountApplication):
    """A discount the buyer entered as a code."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDiscountApplication(DiscountApplication):
    """A discount given by hand."""

    title: str


@dataclass(frozen=True, slots=True)
class DiscountAllocation:
    """The share of a discount that falls on one line."""

    allocated_amount_set: MoneyBag
    discount_application: DiscountApplication


@dataclass(kw_only=True, eq=False)
class LineItem(Entity):
    """A line of an order; a tip is a line without product. Prices include tax if the order says so."""

    title: str
    sku: str | None
    quantity: int
    current_quantity: int
    original_unit_price_set: MoneyBag
    taxes_included: bool
    tax_rate: Decimal | None
    product: Product | None = None
    variant: ProductVariant | None = None
    variant_title: str | None = None
    vendor: str | None = None
    is_gift_card: bool = False
    is_tip: bool = False
    taxable: bool = True
    requires_shipping: bool = True
    fulfilled_quantity: int = 0
    custom_attributes: list[Attribute] = field(default_factory=list)
    discount_allocations: list[DiscountAllocation] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Product and variant, as printed on the order."""
        return f"{self.title} - {self.variant_title}" if self.variant_title else self.title

    @property
    def unfulfilled_quantity(self) -> int:
        """Units still to ship."""
        return 0 if self.is_tip else max(0, self.current_quantity - self.fulfilled_quantity)

    @property
    def refundable_quantity(self) -> int:
        """Units that can still be given back."""
        return self.current_quantity

    @property
    def non_fulfillable_quantity(self) -> int:
        """Units that never ship."""
        return self.quantity - self.current_quantity

    @property
    def total_discount_set(self) -> MoneyBag:
        """All discounts of the line."""
        return self._sum([allocation.allocated_amount_set for allocation in self.discount_allocations])

    @property
    def tax_lines(self) -> list[TaxLine]:
        """The taxes of the line as ordered."""
        return self._taxes(self.net_of(self.quantity))

    @property
    def current_tax_lines(self) -> list[TaxLine]:
        """The taxes of what is left of the line."""
        return self._taxes(self.net_of(self.current_quantity))

    def discount_of(self, units: int) -> MoneyBag:
        """The discounts that fall on some units of the line."""
        if units == self.quantity:
            return self.total_discount_set
        return self.total_discount_set.times(Decimal(units) / self.quantity)

    def net_of(self, units: int) -> MoneyBag:
        """The price of some units after discounts; with tax if the order's prices include it."""
        return self.original_unit_price_set.times(units) - self.discount_of(units)

    def _taxes(self, amount: MoneyBag) -> list[TaxLine]:
        if self.tax_rate is None or not self.taxable:
            return []
        return [tax_line(self.tax_rate, amount, self.taxes_included)]

    def _sum(self, bags: list[MoneyBag]) -> MoneyBag:
        result = self.original_unit_price_set.times(0)
        for bag in bags:
            result = result + bag
        return result


def tax_line(rate: Decimal, amount: MoneyBag, taxes_included: bool) -> TaxLine:
    """The tax in (or on top of) an amount, rounded per line as Shopify does."""
    share = rate / (1 + rate) if taxes_included else rate
    return TaxLine(f"VAT {rate * 100:.0f}%", rate, amount.times(share))


@dataclass(kw_only=True, eq=False)
class ShippingLine(Entity):
    """A shipping charge; ``refunded`` of it was given back."""

    title: str
    code: str | None
    source: str
    original_price_set: MoneyBag
    refunded: MoneyBag
    taxes_included: bool
    tax_rate: Decimal | None
    discount_allocations: list[DiscountAllocation] = field(default_factory=list)

    @property
    def discounted_price_set(self) -> MoneyBag:
        """The charge after discounts."""
        price = self.original_price_set
        for allocation in self.discount_allocations:
            price = price - allocation.allocated_amount_set
        return price

    @property
    def current_price_set(self) -> MoneyBag:
        """The charge after discounts and refunds."""
        return self.discounted_price_set - self.refunded

    @property
    def tax_lines(self) -> list[TaxLine]:
        """The taxes of the charge as ordered."""
        return self._taxes(self.discounted_price_set)

    @property
    def current_tax_lines(self) -> list[TaxLine]:
        """The taxes of what is left of the charge."""
        return self._taxes(self.current_price_set)

    def _taxes(self, amount: MoneyBag) -> list[TaxLine]:
        return [] if self.tax_rate is None else [tax_line(self.tax_rate, amount, self.taxes_included)]


@dataclass(frozen=True, slots=True)
class CardPaymentDetails:
    """What a shop may know about a card."""

    company: str
    number: str
    bin: str
    avs_result_code: str = "Y"
    cvv_result_code: str = "M"


@dataclass(kw_only=True, eq=False)
class OrderTransaction(Entity):
    """A movement of money: ``kind`` SALE, AUTHORIZATION, CAPTURE, REFUND or VOID."""

    order: "Order"
    kind: str
    status: str
    gateway: str
    amount_set: MoneyBag
    created_at: datetime
    amount_rounding_set: MoneyBag | None = None
    manual_payment_gateway: bool = False
    error_code: str | None = None
    parent_transaction: "OrderTransaction | None" = None
    payment_details: CardPaymentDetails | None = None
    test: bool = False
    receipt_json: str | None = None

    @property
    def formatted_gateway(self) -> str:
        """The gateway as people read it."""
        return self.gateway.replace("_", " ").capitalize()

    @property
    def processed_at(self) -> datetime:
        """The gateway answers at once here."""
        return self.created_at

    @property
    def payment_id(self) -> str:
        """The number shared by order and gateway."""
        return f"{self.order.name}.{self.legacy_resource_id % 1000}"


@dataclass(kw_only=True, eq=False)
class RefundLineItem(Entity):
    """Units of a line given back or taken off the order."""

    line_item: LineItem
    quantity: int
    restock_type: str
    location: Location | None
    subtotal_set: MoneyBag
    total_tax_set: MoneyBag

    @property
    def restocked(self) -> bool:
        """The units went back on the shelf."""
        return self.restock_type in ("RETURN", "CANCEL")

    @property
    def price_set(self) -> MoneyBag:
        """Unit price."""
        return self.line_item.original_unit_price_set


@dataclass(kw_only=True, eq=False)
class RefundShippingLine(Entity):
    """Shipping given back."""

    shipping_line: ShippingLine
    subtotal_amount_set: MoneyBag
    tax_amount_set: MoneyBag


@dataclass(kw_only=True, eq=False)
class OrderAdjustment(Entity):
    """A refunded amount that no line explains."""

    reason: str
    amount_set: MoneyBag
    tax_amount_set: MoneyBag


@dataclass(kw_only=True, eq=False)
class Refund(Entity):
    """Money or units given back; an edit that removes units is a refund without money."""

    order: "Order"
    created_at: datetime
    total_refunded_set: MoneyBag
    note: str | None = None
    return_: None = None
    refund_line_items: list[RefundLineItem] = field(default_factory=list)
    refund_shipping_lines: list[RefundShippingLine] = field(default_factory=list)
    order_adjustments: list[OrderAdjustment] = field(default_factory=list)
    transactions: list[OrderTransaction] = field(default_factory=list)

    @property
    def updated_at(self) -> datetime:
        """A refund does not change."""
        return self.created_at


@dataclass(frozen=True, slots=True)
class AssignedLocation:
    """Who ships."""

    location: Location

    @property
    def name(self) -> str:
        """The location's name."""
        return self.location.name


@dataclass(kw_only=True, eq=False)
class DeliveryMethod(Entity):
    """How goods travel."""

    method_type: str


@dataclass(kw_only=True, eq=False)
class FulfillmentOrderLineItem(Entity):
    """Units of a line that one location ships."""

    line_item: LineItem
    total_quantity: int
    remaining_quantity: int

    @property
    def product_title(self) -> str:
        """The line's title."""
        return self.line_item.title

    @property
    def variant_title(self) -> str | None:
        """The line's variant."""
        return self.line_item.variant_title

    @property
    def sku(self) -> str | None:
        """The line's SKU."""
        return self.line_item.sku

    @property
    def variant(self) -> ProductVariant | None:
        """What is shipped."""
        return self.line_item.variant


@dataclass(kw_only=True, eq=False)
class FulfillmentOrder(Entity):
    """The part of an order that one location ships."""

    order: "Order"
    assigned_location: AssignedLocation
    delivery_method: DeliveryMethod
    created_at: datetime
    updated_at: datetime
    line_items: list[FulfillmentOrderLineItem]
    status: str = "OPEN"
    request_status: str = "UNSUBMITTED"

    @property
    def fulfill_at(self) -> datetime:
        """At once."""
        return self.created_at

    @property
    def order_id(self) -> str:
        """The order's global id."""
        return self.order.id

    @property
    def order_name(self) -> str:
        """The order's name."""
        return self.order.name


@dataclass(frozen=True, slots=True)
class TrackingInfo:
    """Where a parcel is."""

    company: str | None
    number: str | None
    url: str | None = None


@dataclass(kw_only=True, eq=False)
class FulfillmentLineItem(Entity):
    """Units of a line in a parcel."""

    line_item: LineItem
    quantity: int


@dataclass(kw_only=True, eq=False)
class Fulfillment(Entity):
    """A shipment."""

    order: "Order"
    name: str
    location: Location
    created_at: datetime
    updated_at: datetime
    fulfillment_line_items: list[FulfillmentLineItem]
    tracking_info: list[TrackingInfo] = field(default_factory=list)
    status: str = "SUCCESS"
    display_status: str = "FULFILLED"


@dataclass(frozen=True, slots=True)
class RiskFact:
    """A reason for a risk level."""

    description: str
    sentiment: str


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """A risk level somebody gave; ``provider`` None = Shopify."""

    risk_level: str
    facts: tuple[RiskFact, ...] = ()
    provider: None = None


@dataclass(frozen=True, slots=True)
class RiskSummary:
    """All assessments of an order."""

    assessments: tuple[RiskAssessment, ...]

    @property
    def recommendation(self) -> str:
        """What Shopify suggests."""
        levels = {assessment.risk_level for assessment in self.assessments}
        if "HIGH" in levels:
            return "CANCEL"
        if "MEDIUM" in levels:
            return "INVESTIGATE"
        return "ACCEPT" if levels else "NONE"


@dataclass(frozen=True, slots=True)
class CashRounding:
    """Cash rounding of payments and of refunds, signed."""

    payment_set: MoneyBag
    refund_set: MoneyBag


@dataclass(kw_only=True, eq=False)
class PaymentSchedule(Entity):
    """When a payment is due."""

    due_at: datetime


@dataclass(kw_only=True, eq=False)
class PaymentTerms(Entity):
    """When and how an order is paid later."""

    payment_terms_name: str
    payment_terms_type: str
    payment_schedules: list[PaymentSchedule]


@dataclass(frozen=True, slots=True)
class OrderApp:
    """The app an order came through."""

    name: str


@dataclass(frozen=True, slots=True)
class OrderAttribution:
    """The channel an order came through."""

    handle: str
    display_name: str
