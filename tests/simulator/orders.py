"""Builds a consistent order from a short description.

Amounts are what Shopify would say: the description names prices, discounts and charges, totals follow from the
lines (``state.Order``), taxes are rounded per line, discounts are spread so that the parts add up.
"""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypedDict, cast

from tests.simulator.entities import Attribute, Customer, Location, MailingAddress, gid
from tests.simulator.money import Currencies, MoneyBag, MoneyV2, round_money
from tests.simulator.order import Order
from tests.simulator.order_parts import (
    AssignedLocation,
    CardPaymentDetails,
    CashRounding,
    DeliveryMethod,
    DiscountAllocation,
    DiscountApplication,
    DiscountCodeApplication,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    LineItem,
    ManualDiscountApplication,
    OrderTransaction,
    PaymentSchedule,
    PaymentTerms,
    PricingPercentageValue,
    RiskAssessment,
    RiskFact,
    RiskSummary,
    ShippingLine,
)
from tests.simulator.state import Shop

Amount = str | int | Decimal
"""An amount of shop currency; text such as ``"4.90"`` where it travels as JSON."""


class DiscountRequest(TypedDict, total=False):
    """A discount: ``percent`` or ``amount``; a ``code`` if the buyer entered one, else it was given by hand."""

    code: str
    title: str
    percent: Amount
    amount: Amount


class LineRequest(TypedDict, total=False):
    """A line: ``sku`` of the shop and ``quantity`` (1); ``price`` overrides the variant's."""

    sku: str
    quantity: int
    price: Amount
    discount: DiscountRequest
    attributes: dict[str, str]


class ShippingRequest(TypedDict, total=False):
    """A shipping charge; ``discount`` is an amount."""

    title: str
    code: str
    price: Amount
    discount: Amount


class OrderRequest(TypedDict, total=False):
    """What an order is made of. Only ``lines`` is needed.

    ``customer`` is the e-mail of a customer of the shop (None = a guest), ``shipping`` one charge or several
    (default: Standard, 4.90), ``presentment_currency`` with ``rate`` what the buyer saw, ``cash_rounding`` a signed
    amount, ``gateway`` who took (or will take) the money, ``risk`` LOW, MEDIUM or HIGH, ``due_in_days`` makes
    payment terms, ``created_at`` an ISO time in the past.
    """

    lines: list[LineRequest]
    customer: str | None
    email: str | None
    phone: str | None
    shipping: ShippingRequest | list[ShippingRequest] | None
    tip: Amount
    discount: DiscountRequest
    paid: bool
    authorized: bool
    gateway: str
    presentment_currency: str
    rate: Amount
    cash_rounding: Amount
    note: str
    po_number: str
    tags: list[str]
    attributes: dict[str, str]
    test: bool
    confirmed: bool
    tax_exempt: bool
    risk: Literal["LOW", "MEDIUM", "HIGH"]
    due_in_days: int
    shipping_address: dict[str, str]
    billing_address: dict[str, str]
    created_at: str


DEFAULT_SHIPPING = ShippingRequest(title="Standard", code="STANDARD", price="4.90")


class OrderRefused(ValueError):
    """The description of an order cannot be carried out; the message says why."""


def check_keys(given: Mapping[str, object], known: type, what: str) -> None:
    """Refuse keys that a request of this kind does not know."""
    unknown = sorted(set(given) - set(known.__annotations__))
    if unknown:
        raise OrderRefused(f"{what} does not know {', '.join(unknown)}; it knows {', '.join(known.__annotations__)}")


def build_order(shop: Shop, request: OrderRequest, now: datetime) -> Order:
    """The order as Shopify would have made it, not yet part of the shop.

    Raises OrderRefused for an empty or unknown description, KeyError for an unknown SKU or customer.
    """
    check_keys(request, OrderRequest, "an order")
    if not request.get("lines"):
        raise OrderRefused("an order needs at least one line, e.g. {'lines': [{'sku': '1003', 'quantity': 2}]}")
    return _Builder(shop, request, now).build()


def random_order_request(shop: Shop, seed: int) -> OrderRequest:
    """A plausible order made from what the shop sells; the same seed gives the same order."""
    chance = random.Random(seed)
    sellable = [variant for variant in shop.variants if variant.sku and variant.sku != "9999"]
    picked = chance.sample(sellable, k=min(len(sellable), chance.choice([1, 1, 2, 2, 3, 4])))
    request = OrderRequest(
        lines=[LineRequest(sku=str(each.sku), quantity=chance.choice([1, 1, 1, 2, 3])) for each in picked],
        paid=chance.random() < 0.85,
    )
    if shop.customers:
        request["customer"] = chance.choice(shop.customers).email
    if chance.random() < 0.25:
        request["discount"] = DiscountRequest(code="WELCOME10", percent="10")
    if chance.random() < 0.10:
        request["tip"] = chance.choice(["1.00", "2.50", "5.00"])
    if chance.random() < 0.20:
        request["note"] = chance.choice(["Leave at the door", "Gift, please wrap", "Call before delivery"])
    if chance.random() < 0.30:
        request["shipping"] = ShippingRequest(title="Express", code="EXPRESS", price="9.90")
    return request


def make_address(shop: Shop, **parts: str | None) -> MailingAddress:
    """An address with an id of its own; raises OrderRefused for an unknown part."""
    number = shop.new_number("MailingAddress")
    try:
        return MailingAddress(legacy_resource_id=number, **parts)
    except TypeError as unknown:
        raise OrderRefused(f"an address has no such part: {unknown}") from None


def add_transaction(
    shop: Shop, order: Order, kind: str, amount: MoneyBag, now: datetime, gateway: str, *,
    parent: OrderTransaction | None = None, rounding: MoneyBag | None = None,
) -> OrderTransaction:  # fmt: skip
    """Record a successful movement of money on the order."""
    by_card = gateway not in ("manual", "cash", "bank_deposit")
    transaction = OrderTransaction(
        legacy_resource_id=shop.new_number("OrderTransaction"),
        order=order,
        kind=kind,
        status="SUCCESS",
        gateway=gateway,
        amount_set=amount,
        created_at=now,
        amount_rounding_set=rounding,
        manual_payment_gateway=not by_card,
        parent_transaction=parent,
        payment_details=CardPaymentDetails("Visa", "•••• •••• •••• 4242", "424242") if by_card else None,
        test=order.test,
    )
    order.transactions.append(transaction)
    shop.register(transaction)
    return transaction


def make_line(shop: Shop, request: LineRequest, currencies: Currencies, *, tax_exempt: bool = False) -> LineItem:
    """A line of goods without its discounts."""
    check_keys(request, LineRequest, "a line")
    variant = shop.variant_by_sku(request.get("sku", ""))
    quantity = request.get("quantity", 1)
    if quantity < 1:
        raise OrderRefused(f"a line needs a quantity of at least 1, not {quantity}")
    plain = variant.product.has_only_default_variant
    return LineItem(
        legacy_resource_id=shop.new_number("LineItem"),
        title=variant.product.title,
        variant_title=None if plain else variant.title,
        sku=variant.sku,
        vendor=variant.product.vendor,
        product=variant.product,
        variant=variant,
        quantity=quantity,
        current_quantity=quantity,
        original_unit_price_set=currencies.bag(Decimal(request.get("price", variant.price))),
        taxes_included=shop.taxes_included,
        tax_rate=None if tax_exempt else variant.tax_rate,
        taxable=variant.taxable,
        is_gift_card=variant.gift_card,
        requires_shipping=variant.inventory_item.requires_shipping,
        custom_attributes=[Attribute(key, value) for key, value in request.get("attributes", {}).items()],
    )


def shipped_from(shop: Shop) -> Location:
    """The location online orders leave from."""
    for location in shop.locations:
        if location.is_active and location.fulfills_online_orders:
            return location
    raise OrderRefused(f"shop {shop.handle} has no location that fulfils online orders")


def make_fulfillment_order(shop: Shop, order: Order, lines: list[LineItem], now: datetime) -> FulfillmentOrder:
    """The request to the shop's first location to ship these lines."""
    items = []
    for line in lines:
        number = shop.new_number("FulfillmentOrderLineItem")
        units = line.current_quantity
        items.append(
            FulfillmentOrderLineItem(
                legacy_resource_id=number, line_item=line, total_quantity=units, remaining_quantity=units
            )
        )
    method = "SHIPPING" if order.shipping_lines else "NONE"
    made = FulfillmentOrder(
        legacy_resource_id=shop.new_number("FulfillmentOrder"),
        order=order,
        assigned_location=AssignedLocation(shipped_from(shop)),
        delivery_method=DeliveryMethod(legacy_resource_id=shop.new_number("DeliveryMethod"), method_type=method),
        created_at=now,
        updated_at=now,
        line_items=items,
    )
    shop.register(made)
    return made


class _Builder:
    def __init__(self, shop: Shop, request: OrderRequest, now: datetime) -> None:
        self._shop = shop
        self._request = request
        created = request.get("created_at")
        self._now = datetime.fromisoformat(created) if created else now
        presentment = request.get("presentment_currency", shop.currency_code)
        self._currencies = Currencies(shop.currency_code, presentment, Decimal(request.get("rate", 1)))
        self._applications: list[DiscountApplication] = []

    def build(self) -> Order:
        shop, request = self._shop, self._request
        customer = self._customer()
        lines = [self._line(each) for each in request["lines"]]
        shipping = [self._shipping_line(each) for each in self._shipping_requests()]
        self._spread_order_discount(lines)
        number = shop.new_number("Order")
        order = Order(
            legacy_resource_id=number,
            name=f"#{shop.next_order_number}",
            created_at=self._now,
            updated_at=self._now,
            currencies=self._currencies,
            taxes_included=shop.taxes_included,
            line_items=[*lines, *self._tip()],
            shipping_lines=shipping,
            discount_applications=self._applications,
            total_cash_rounding_adjustment=self._rounding(),
            status_page_url=f"{shop.url}/{number}/authenticate",
            customer=customer,
            email=request.get("email", customer.email if customer else None),
            phone=request.get("phone"),
            billing_address=self._address("billing_address", customer),
            shipping_address=self._address("shipping_address", customer),
            note=request.get("note"),
            po_number=request.get("po_number"),
            tags=sorted(request.get("tags", [])),
            custom_attributes=[Attribute(key, text) for key, text in request.get("attributes", {}).items()],
            test=request.get("test", False),
            confirmed=request.get("confirmed", True),
            tax_exempt=request.get("tax_exempt", False),
            risk=_risk(request.get("risk", "LOW")),
            payment_terms=self._payment_terms(),
            total_weight=sum(line.quantity * line.variant.weight_grams for line in lines if line.variant),
        )
        order.fulfillment_orders.append(make_fulfillment_order(shop, order, lines, self._now))
        self._pay(order)
        return order

    def _customer(self) -> Customer | None:
        email = self._request.get("customer")
        return None if email is None else self._shop.customer_by_email(email)

    def _address(
        self, key: Literal["billing_address", "shipping_address"], customer: Customer | None
    ) -> MailingAddress | None:
        parts = self._request.get(key)
        if parts is not None:
            return make_address(self._shop, **parts)
        return customer.default_address if customer else None

    def _line(self, request: LineRequest) -> LineItem:
        line = make_line(self._shop, request, self._currencies, tax_exempt=self._request.get("tax_exempt", False))
        discount = request.get("discount")
        if discount is not None:
            gross = line.original_unit_price_set.times(line.quantity)
            application = self._application(discount, "EXPLICIT", "LINE_ITEM", "EACH")
            line.discount_allocations.append(DiscountAllocation(self._worth(discount, gross), application))
        return line

    def _shipping_requests(self) -> list[ShippingRequest]:
        given = self._request.get("shipping", DEFAULT_SHIPPING)
        if given is None:
            return []
        return given if isinstance(given, list) else [given]

    def _shipping_line(self, request: ShippingRequest) -> ShippingLine:
        check_keys(request, ShippingRequest, "a shipping charge")
        title = request.get("title", "Standard")
        line = ShippingLine(
            legacy_resource_id=self._shop.new_number("ShippingLine"),
            title=title,
            code=request.get("code", title.upper()),
            source="shopify",
            original_price_set=self._currencies.bag(Decimal(request.get("price", 0))),
            refunded=self._currencies.zero,
            taxes_included=self._shop.taxes_included,
            tax_rate=None if self._request.get("tax_exempt") else self._shop.shipping_tax_rate,
        )
        if "discount" in request:
            discount = DiscountRequest(code="SHIPPING", amount=request["discount"])
            application = self._application(discount, "ALL", "SHIPPING_LINE", "EACH")
            worth = self._worth(discount, line.original_price_set)
            line.discount_allocations.append(DiscountAllocation(worth, application))
        return line

    def _spread_order_discount(self, lines: list[LineItem]) -> None:
        discount = self._request.get("discount")
        if discount is None:
            return
        nets = [line.net_of(line.quantity) for line in lines]
        application = self._application(discount, "ALL", "LINE_ITEM", "ACROSS")
        total = self._worth(discount, self._currencies.total(nets))
        for line, share in zip(lines, self._currencies.distribute(total, nets), strict=True):
            line.discount_allocations.append(DiscountAllocation(share, application))

    def _application(self, discount: DiscountRequest, selection: str, target: str, method: str) -> DiscountApplication:
        check_keys(discount, DiscountRequest, "a discount")
        if ("percent" in discount) == ("amount" in discount):
            raise OrderRefused(f"a discount needs either percent or amount, not {dict(discount)}")
        value: MoneyV2 | PricingPercentageValue
        if "percent" in discount:
            value = PricingPercentageValue(Decimal(discount["percent"]))
        else:
            value = self._currencies.bag(Decimal(discount["amount"])).presentment_money
        facts = {
            "index": len(self._applications),
            "allocation_method": method,
            "target_selection": selection,
            "target_type": target,
            "value": value,
        }
        application: DiscountApplication
        if "code" in discount:
            application = DiscountCodeApplication(code=discount["code"], **facts)  # type: ignore[arg-type]
        else:
            title = discount.get("title", "Custom discount")
            application = ManualDiscountApplication(title=title, **facts)  # type: ignore[arg-type]
        self._applications.append(application)
        return application

    def _worth(self, discount: DiscountRequest, base: MoneyBag) -> MoneyBag:
        if "percent" in discount:
            return base.times(Decimal(discount["percent"]) / 100)
        wanted = self._currencies.bag(Decimal(discount["amount"]))
        return self._currencies.of(
            min(wanted.shop_money.amount, base.shop_money.amount),
            min(wanted.presentment_money.amount, base.presentment_money.amount),
        )

    def _tip(self) -> list[LineItem]:
        if "tip" not in self._request:
            return []
        tip = LineItem(
            legacy_resource_id=self._shop.new_number("LineItem"),
            title="Tip",
            sku=None,
            quantity=1,
            current_quantity=1,
            original_unit_price_set=self._currencies.bag(Decimal(self._request["tip"])),
            taxes_included=self._shop.taxes_included,
            tax_rate=None,
            is_tip=True,
            taxable=False,
            requires_shipping=False,
        )
        return [tip]

    def _rounding(self) -> CashRounding:
        amount = Decimal(self._request.get("cash_rounding", 0))
        return CashRounding(self._currencies.bag(amount), self._currencies.zero)

    def _payment_terms(self) -> PaymentTerms | None:
        days = self._request.get("due_in_days")
        if days is None:
            return None
        schedule = PaymentSchedule(
            legacy_resource_id=self._shop.new_number("PaymentSchedule"),
            due_at=self._now + timedelta(days=days),
        )
        return PaymentTerms(
            legacy_resource_id=self._shop.new_number("PaymentTerms"),
            payment_terms_name=f"Net {days}",
            payment_terms_type="NET",
            payment_schedules=[schedule],
        )

    def _pay(self, order: Order) -> None:
        request = self._request
        cash = "cash_rounding" in request
        gateway = request.get("gateway", "cash" if cash else "shopify_payments")
        rounding = order.total_cash_rounding_adjustment.payment_set if cash else None
        due = order.total_price_set + (rounding or self._currencies.zero)
        if request.get("authorized"):
            add_transaction(self._shop, order, "AUTHORIZATION", due, self._now, gateway)
        elif request.get("paid", True):
            add_transaction(self._shop, order, "SALE", due, self._now, gateway, rounding=rounding)
        elif "gateway" in request:
            pending = add_transaction(self._shop, order, "SALE", due, self._now, gateway)
            pending.status = "PENDING"


def _risk(level: str) -> RiskSummary:
    if level not in ("LOW", "MEDIUM", "HIGH"):
        raise OrderRefused(f"risk must be LOW, MEDIUM or HIGH, not {level!r}")
    facts = () if level == "LOW" else (RiskFact("Billing and shipping country differ", "NEGATIVE"),)
    return RiskSummary((RiskAssessment(level, facts),))


def summary(order: Order) -> dict[str, object]:
    """The order in a few JSON-able facts, for tests and demos; amounts are texts in shop money."""

    def text(bag: MoneyBag) -> str:
        return str(round_money(bag.shop_money.amount, order.currency_code))

    return {
        "id": order.id,
        "legacy_id": order.legacy_resource_id,
        "name": order.name,
        "email": order.email,
        "customer_id": order.customer.id if order.customer else None,
        "created_at": order.created_at.isoformat(),
        "updated_at": order.updated_at.isoformat(),
        "cancelled": order.cancelled_at is not None,
        "closed": order.closed,
        "test": order.test,
        "financial_status": order.display_financial_status,
        "fulfillment_status": order.display_fulfillment_status,
        "currency": order.currency_code,
        "presentment_currency": order.presentment_currency_code,
        "subtotal": text(order.subtotal_price_set),
        "discounts": text(order.total_discounts_set),
        "shipping": text(order.total_shipping_price_set),
        "tax": text(order.total_tax_set),
        "tip": text(order.total_tip_received_set),
        "total": text(order.total_price_set),
        "current_total": text(order.current_total_price_set),
        "outstanding": text(order.total_outstanding_set),
        "presentment_total": str(order.total_price_set.presentment_money.amount),
        "attributes": {each.key: each.value for each in order.custom_attributes},
        "tags": order.tags,
        "lines": [
            {
                "id": line.id,
                "sku": line.sku,
                "title": line.title,
                "variant_id": gid("ProductVariant", line.variant.legacy_resource_id) if line.variant else None,
                "quantity": line.quantity,
                "current_quantity": line.current_quantity,
                "unit_price": text(line.original_unit_price_set),
                "discount": text(line.total_discount_set),
            }
            for line in order.line_items
        ],
    }


def order_request(given: Mapping[str, object]) -> OrderRequest:
    """A description that arrived as JSON; raises OrderRefused for unknown keys."""
    check_keys(given, OrderRequest, "an order")
    return cast(OrderRequest, dict(given))
