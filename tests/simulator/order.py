"""An order: facts are stored, every amount and status follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tests.simulator.entities import Attribute, Customer, Entity, Location, MailingAddress
from tests.simulator.money import Currencies, MoneyBag
from tests.simulator.order_parts import (
    CashRounding,
    DiscountApplication,
    DiscountCodeApplication,
    Fulfillment,
    FulfillmentOrder,
    LineItem,
    OrderApp,
    OrderAttribution,
    OrderTransaction,
    PaymentTerms,
    Refund,
    RiskSummary,
    ShippingLine,
    TaxLine,
)


@dataclass(kw_only=True, eq=False)
class Order(Entity):
    """An order; stored are facts, every amount follows from them."""

    name: str
    created_at: datetime
    updated_at: datetime
    currencies: Currencies
    taxes_included: bool
    line_items: list[LineItem]
    shipping_lines: list[ShippingLine]
    discount_applications: list[DiscountApplication]
    total_cash_rounding_adjustment: CashRounding
    status_page_url: str
    customer: Customer | None = None
    email: str | None = None
    phone: str | None = None
    billing_address: MailingAddress | None = None
    shipping_address: MailingAddress | None = None
    note: str | None = None
    po_number: str | None = None
    tags: list[str] = field(default_factory=list)
    custom_attributes: list[Attribute] = field(default_factory=list)
    test: bool = False
    confirmed: bool = True
    edited: bool = False
    tax_exempt: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    closed_at: datetime | None = None
    risk: RiskSummary = field(default_factory=lambda: RiskSummary(()))
    transactions: list[OrderTransaction] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    fulfillment_orders: list[FulfillmentOrder] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    payment_terms: PaymentTerms | None = None
    app: OrderApp | None = field(default_factory=lambda: OrderApp("Online Store"))
    attribution: OrderAttribution | None = field(
        default_factory=lambda: OrderAttribution("online_store", "Online Store")
    )
    source_name: str = "web"
    total_weight: int = 0
    retail_location: Location | None = None
    staff_member: None = None
    return_status: str = "NO_RETURN"
    returns: tuple[()] = ()
    current_total_duties_set: None = None
    current_total_additional_fees_set: None = None

    # --- who and what -----------------------------------------------------------------------------------------

    @property
    def processed_at(self) -> datetime:
        """An order counts from the moment it was placed."""
        return self.created_at

    @property
    def closed(self) -> bool:
        """Archived."""
        return self.closed_at is not None

    @property
    def currency_code(self) -> str:
        """The shop's currency when the order was placed."""
        return self.currencies.shop

    @property
    def presentment_currency_code(self) -> str:
        """The currency the buyer saw."""
        return self.currencies.presentment

    @property
    def display_address(self) -> MailingAddress | None:
        """Shipping address, else billing address."""
        return self.shipping_address or self.billing_address

    @property
    def purchasing_entity(self) -> Customer | None:
        """The buyer; companies are not simulated."""
        return self.customer

    @property
    def discount_codes(self) -> list[str]:
        """Codes the buyer entered."""
        found = self.discount_applications
        return [each.code for each in found if isinstance(each, DiscountCodeApplication)]

    @property
    def discount_code(self) -> str | None:
        """The first code, None without one."""
        return next(iter(self.discount_codes), None)

    @property
    def payment_gateway_names(self) -> list[str]:
        """Gateways used, without repetition."""
        return list(dict.fromkeys(transaction.gateway for transaction in self.transactions))

    @property
    def goods(self) -> list[LineItem]:
        """All lines but the tip."""
        return [line for line in self.line_items if not line.is_tip]

    @property
    def _taxed(self) -> "list[LineItem | ShippingLine]":
        return [*self.goods, *self.shipping_lines]

    @property
    def subtotal_line_items_quantity(self) -> int:
        """Units ordered."""
        return sum(line.quantity for line in self.goods)

    @property
    def current_subtotal_line_items_quantity(self) -> int:
        """Units that are still part of the order."""
        return sum(line.current_quantity for line in self.goods)

    # --- amounts as ordered -----------------------------------------------------------------------------------

    @property
    def subtotal_price_set(self) -> MoneyBag:
        """Lines after discounts, without shipping and tip; with tax if prices include it."""
        return self._total(line.net_of(line.quantity) for line in self.goods)

    @property
    def total_discounts_set(self) -> MoneyBag:
        """All discounts of lines and shipping."""
        lines = [line.total_discount_set for line in self.goods]
        shipping = [line.original_price_set - line.discounted_price_set for line in self.shipping_lines]
        return self._total((*lines, *shipping))

    @property
    def total_shipping_price_set(self) -> MoneyBag:
        """Shipping before discounts and refunds."""
        return self._total(line.original_price_set for line in self.shipping_lines)

    @property
    def tax_lines(self) -> list[TaxLine]:
        """Taxes of lines and shipping, added up per rate."""
        return self._taxes_per_rate(tax for line in self._taxed for tax in line.tax_lines)

    @property
    def total_tax_set(self) -> MoneyBag:
        """All taxes."""
        return self._total(tax.price_set for tax in self.tax_lines)

    @property
    def total_tip_received_set(self) -> MoneyBag:
        """The tip."""
        return self._total(line.net_of(line.quantity) for line in self.line_items if line.is_tip)

    @property
    def total_price_set(self) -> MoneyBag:
        """What the order cost when it was placed: subtotal, shipping, tip, and tax if it comes on top."""
        shipping = self._total(line.discounted_price_set for line in self.shipping_lines)
        total = self.subtotal_price_set + shipping + self.total_tip_received_set
        return total if self.taxes_included else total + self.total_tax_set

    # --- amounts after edits and refunds ----------------------------------------------------------------------

    @property
    def current_subtotal_price_set(self) -> MoneyBag:
        """``subtotal_price_set`` of what is left."""
        return self._total(line.net_of(line.current_quantity) for line in self.goods)

    @property
    def current_total_discounts_set(self) -> MoneyBag:
        """``total_discounts_set`` of what is left."""
        lines = [line.discount_of(line.current_quantity) for line in self.goods]
        shipping = [line.original_price_set - line.discounted_price_set for line in self.shipping_lines]
        return self._total((*lines, *shipping))

    @property
    def current_shipping_price_set(self) -> MoneyBag:
        """Shipping after discounts and refunds."""
        return self._total(line.current_price_set for line in self.shipping_lines)

    @property
    def current_total_tax_set(self) -> MoneyBag:
        """Taxes of what is left."""
        return self._total(tax.price_set for line in self._taxed for tax in line.current_tax_lines)

    @property
    def current_total_price_set(self) -> MoneyBag:
        """What the order costs now."""
        tip = self._total(line.net_of(line.current_quantity) for line in self.line_items if line.is_tip)
        adjustments = self._total(each.amount_set for refund in self.refunds for each in refund.order_adjustments)
        total = self.current_subtotal_price_set + self.current_shipping_price_set + tip + adjustments
        return total if self.taxes_included else total + self.current_total_tax_set

    # --- payment ----------------------------------------------------------------------------------------------

    @property
    def total_received_set(self) -> MoneyBag:
        """Money received, refunds not deducted."""
        return self._moved("SALE", "CAPTURE")

    @property
    def total_refunded_set(self) -> MoneyBag:
        """Money given back."""
        return self._moved("REFUND")

    @property
    def total_outstanding_set(self) -> MoneyBag:
        """What is still to be paid; cash rounding is not owed."""
        rounding = self.total_cash_rounding_adjustment.payment_set if self.transactions else self.currencies.zero
        return self.current_total_price_set + rounding - (self.total_received_set - self.total_refunded_set)

    @property
    def unpaid(self) -> bool:
        """No money was received although some is due."""
        return self.total_received_set.shop_money.amount == 0 and self.total_price_set.shop_money.amount > 0

    @property
    def fully_paid(self) -> bool:
        """Nothing is owed any more."""
        return not self.unpaid and self.total_outstanding_set.shop_money.amount <= 0

    @property
    def refundable(self) -> bool:
        """Money was received that was not given back."""
        return (self.total_received_set - self.total_refunded_set).shop_money.amount > 0

    @property
    def can_mark_as_paid(self) -> bool:
        """Something is owed and the order stands."""
        return self.cancelled_at is None and self.total_outstanding_set.shop_money.amount > 0

    @property
    def display_financial_status(self) -> str:
        """Follows from the transactions."""
        received = self.total_received_set.shop_money.amount
        refunded = self.total_refunded_set.shop_money.amount
        if self.unpaid:
            if self.cancelled_at:
                return "VOIDED"
            return "AUTHORIZED" if self._authorized else "PENDING"
        if refunded and refunded >= received:
            return "REFUNDED"
        if refunded:
            return "PARTIALLY_REFUNDED"
        return "PAID" if self.fully_paid else "PARTIALLY_PAID"

    @property
    def display_fulfillment_status(self) -> str:
        """Follows from shipped and open units."""
        shipped = any(line.fulfilled_quantity for line in self.goods)
        open_units = any(line.unfulfilled_quantity for line in self.goods)
        if shipped:
            return "PARTIALLY_FULFILLED" if open_units else "FULFILLED"
        return "UNFULFILLED"

    @property
    def _authorized(self) -> bool:
        return any(each.kind == "AUTHORIZATION" and each.status == "SUCCESS" for each in self.transactions)

    def _moved(self, *kinds: str) -> MoneyBag:
        moved = (each for each in self.transactions if each.kind in kinds and each.status == "SUCCESS")
        return self._total(each.amount_set for each in moved)

    def _total(self, bags: "Iterator[MoneyBag] | tuple[MoneyBag, ...]") -> MoneyBag:
        return self.currencies.total(list(bags))

    def _taxes_per_rate(self, taxes: Iterator[TaxLine]) -> list[TaxLine]:
        per_rate: dict[Decimal, TaxLine] = {}
        for tax in taxes:
            known = per_rate.get(tax.rate)
            amount = tax.price_set if known is None else known.price_set + tax.price_set
            per_rate[tax.rate] = TaxLine(tax.title, tax.rate, amount)
        return list(per_rate.values())
