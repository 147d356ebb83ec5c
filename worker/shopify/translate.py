"""Answers of the Admin API into our model (orders spec 3): pure, no I/O.

Enumerations become lower-case text as they are. Absent text is empty. Amounts are texts in Shopify's answers and
become Decimal; one that the schema lets be null is zero then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any, Final

from worker.model.address import Address
from worker.model.customer import ShopifyCustomer
from worker.model.ids import Gid
from worker.model.money import NO_MONEY, ZERO, MoneyBag
from worker.model.shopify_order import (
    FulfillmentOrder,
    FulfillmentOrderLine,
    OrderLine,
    OrderSummary,
    OrderTransaction,
    ShippingCharge,
    ShopifyOrder,
    TaxLine,
)

Json = Mapping[str, Any]

TIP_NAMES: Final = frozenset({"tip"})
"""Names that make a product-less line a tip, lower case; shops in other languages have others."""


def order_summary(node: Json) -> OrderSummary:
    """The facts of discovery (orders spec 2.2) from the fields of `fragments/Summary.graphql`."""
    total, tax = _bag(node["totalPriceSet"]), _bag_or_zero(node.get("totalTaxSet"))
    tax_lines = node.get("taxLines") or ()
    return OrderSummary(
        id=Gid(node["id"]),
        name=node["name"],
        created_at=_moment(node["createdAt"]),
        updated_at=_moment(node["updatedAt"]),
        closed=node["closed"],
        cancelled_at=_moment_or_none(node.get("cancelledAt")),
        test=node["test"],
        confirmed=node["confirmed"],
        fully_paid=node["fullyPaid"],
        unpaid=node["unpaid"],
        financial_status=_enum(node.get("displayFinancialStatus")),
        fulfillment_status=_enum(node.get("displayFulfillmentStatus")),
        order_amount=total.shop,
        currency_code=node["currencyCode"],
        total_quantity=node["subtotalLineItemsQuantity"],
        tags=tuple(node.get("tags") or ()),
        channel_name=_channel_name(node),
        purchasing_entity=_purchasing_entity(node.get("purchasingEntity")),
        high_risk=_high_risk(node.get("risk")),
        sell_to_country=_country(node.get("displayAddress")),
        ship_to_country=_country(node.get("shippingAddress")),
        bill_to_country=_country(node.get("billingAddress")),
        vat_amount=tax.shop,
        presentment_vat_amount=tax.presentment,
        channel_liable_taxes=bool(tax_lines and tax_lines[0].get("channelLiable")),
        attributes=_attributes(node.get("customAttributes")),
    )


def shopify_order(
    node: Json, *, unavailable: Sequence[str] = (), tip_names: frozenset[str] = TIP_NAMES
) -> ShopifyOrder:
    """The whole order from the answer of `OrderImport`, its connections completed by the caller.

    `unavailable` are the denied fields as the client lists them: `order.customer`, …
    """
    customer = _customer(node.get("customer"))
    company = _company_name(node.get("purchasingEntity"))
    tips = _bag_or_zero(node.get("totalTipReceivedSet"))
    rounding = node.get("totalCashRoundingAdjustment") or {}
    sell_to = _address(node.get("displayAddress"), customer)
    if sell_to is not None and company and not (sell_to.first_name or sell_to.last_name or sell_to.company):
        sell_to = replace(sell_to, company=company)
    terms = node.get("paymentTerms") or {}
    return ShopifyOrder(
        id=Gid(node["id"]),
        name=node["name"],
        created_at=_moment(node["createdAt"]),
        updated_at=_moment(node["updatedAt"]),
        processed_at=_moment_or_none(node.get("processedAt")),
        cancelled_at=_moment_or_none(node.get("cancelledAt")),
        cancel_reason=_enum(node.get("cancelReason")),
        closed=node["closed"],
        closed_at=_moment_or_none(node.get("closedAt")),
        test=node["test"],
        edited=node["edited"],
        confirmed=node["confirmed"],
        email=_text(node.get("email")) or (customer.email if customer else ""),
        phone=_phone(node, customer),
        po_number=_text(node.get("poNumber")),
        note=_text(node.get("note")),
        tags=tuple(node.get("tags") or ()),
        discount_codes=tuple(node.get("discountCodes") or ()),
        financial_status=_enum(node.get("displayFinancialStatus")),
        fulfillment_status=_enum(node.get("displayFulfillmentStatus")),
        return_status=_enum(node.get("returnStatus")),
        fully_paid=node["fullyPaid"],
        unpaid=node["unpaid"],
        currency_code=node["currencyCode"],
        presentment_currency_code=node["presentmentCurrencyCode"],
        taxes_included=node["taxesIncluded"],
        tax_exempt=node["taxExempt"],
        current_items_quantity=node["currentSubtotalLineItemsQuantity"],
        channel_name=_channel_name(node),
        app_name=_text((node.get("app") or {}).get("name")),
        attributes=_attributes(node.get("customAttributes")),
        sell_to=sell_to,
        ship_to=_address(node.get("shippingAddress"), customer),
        bill_to=_address(node.get("billingAddress"), customer),
        customer=customer,
        company_name=company,
        high_risk=_high_risk(node.get("risk")),
        total=_bag(node["totalPriceSet"]),
        current_total=_bag(node["currentTotalPriceSet"]),
        subtotal=_bag_or_zero(node.get("subtotalPriceSet")),
        tax=_bag_or_zero(node.get("totalTaxSet")),
        current_tax=_bag_or_zero(node.get("currentTotalTaxSet")),
        discounts=_bag_or_zero(node.get("totalDiscountsSet")),
        current_discounts=_bag(node["currentTotalDiscountsSet"]),
        shipping=_bag(node["totalShippingPriceSet"]),
        tips=tips,
        outstanding=_bag(node["totalOutstandingSet"]),
        duties=_bag_or_zero(node.get("currentTotalDutiesSet")),
        additional_fees=_bag_or_zero(node.get("currentTotalAdditionalFeesSet")),
        payment_rounding=_bag_or_zero(rounding.get("paymentSet")),
        refund_rounding=_bag_or_zero(rounding.get("refundSet")),
        tax_lines=_tax_lines(node.get("taxLines")),
        lines=_lines(_nodes(node["lineItems"]), tips, tip_names),
        shipping_charges=tuple(
            _shipping_charge(node, line, position) for position, line in enumerate(_nodes(node["shippingLines"]))
        ),
        transactions=tuple(_transaction(one) for one in node.get("transactions") or ()),
        fulfillment_orders=tuple(_fulfillment_order(one) for one in _nodes(node.get("fulfillmentOrders"))),
        refund_ids=tuple(Gid(refund["id"]) for refund in node.get("refunds") or ()),
        due_date=_due_date(terms),
        payment_terms=_text(terms.get("paymentTermsName")),
        unavailable=tuple(path.removeprefix("order.") for path in unavailable),
    )


def _lines(nodes: Sequence[Json], tips: MoneyBag, tip_names: frozenset[str]) -> tuple[OrderLine, ...]:
    tip_ids = _tip_lines(nodes, tips, tip_names)
    return tuple(_line(node, position, node["id"] in tip_ids) for position, node in enumerate(nodes))


def _tip_lines(nodes: Sequence[Json], tips: MoneyBag, tip_names: frozenset[str]) -> frozenset[str]:
    """Ids of the lines that are tips (orders spec 3.3): by name, else the one line that the tips received equal."""
    loose = [node for node in nodes if node.get("product") is None]
    named = {
        node["id"]
        for node in loose
        if {_text(node.get("name")).strip().lower(), _text(node.get("title")).strip().lower()} & tip_names
    }
    if named or not tips:
        return frozenset(named)
    equal = [
        node["id"]
        for node in loose
        if not node["requiresShipping"]
        and not node["isGiftCard"]
        and _bag(node["originalUnitPriceSet"]).shop * node["quantity"] - _allocated(node).shop == tips.shop
    ]
    return frozenset(equal) if len(equal) == 1 else frozenset()


def _line(node: Json, position: int, tip: bool) -> OrderLine:
    product, variant = node.get("product"), node.get("variant")
    return OrderLine(
        id=Gid(node["id"]),
        position=position,
        title=node["title"],
        variant_title=_text(node.get("variantTitle")),
        sku=_text(node.get("sku")) or _text((variant or {}).get("sku")),
        barcode=_text((variant or {}).get("barcode")),
        product_id=Gid(product["id"]) if product else None,
        variant_id=Gid(variant["id"]) if variant else None,
        quantity=node["quantity"],
        current_quantity=node["currentQuantity"],
        unfulfilled_quantity=node["unfulfilledQuantity"],
        unit_price=_bag(node["originalUnitPriceSet"]),
        discount=_allocated(node),
        gift_card=node["isGiftCard"],
        tip=tip,
        taxable=node["taxable"],
        requires_shipping=node["requiresShipping"],
        tax_lines=_tax_lines(node.get("taxLines")),
        attributes=_attributes(node.get("customAttributes")),
    )


def _shipping_charge(order: Json, node: Json, position: int) -> ShippingCharge:
    # The schema allows a line without an id: its place in the order then stands for one.
    return ShippingCharge(
        id=Gid(_text(node.get("id")) or f"{order['id']}?shipping_line={position}"),
        title=_text(node.get("title")),
        code=_text(node.get("code")),
        source=_text(node.get("source")),
        amount=_bag(node["originalPriceSet"]),
        discount=_allocated(node),
        tax_lines=_tax_lines(node.get("taxLines")),
    )


def _transaction(node: Json) -> OrderTransaction:
    return OrderTransaction(
        id=Gid(node["id"]),
        kind=_enum(node["kind"]),
        status=_enum(node["status"]),
        gateway=_text(node.get("gateway")),
        card_company=_text((node.get("paymentDetails") or {}).get("company")),
        manual_gateway=bool(node.get("manualPaymentGateway")),
        amount=_bag(node["amountSet"]),
        test=node["test"],
        created_at=_moment(node["createdAt"]),
        payment_id=_text(node.get("paymentId")),
        error_code=_enum(node.get("errorCode")),
    )


def _fulfillment_order(node: Json) -> FulfillmentOrder:
    location = (node.get("assignedLocation") or {}).get("location") or {}
    return FulfillmentOrder(
        id=Gid(node["id"]),
        status=_enum(node["status"]),
        request_status=_enum(node["requestStatus"]),
        location_id=Gid(location["id"]) if location else None,
        delivery_method=_enum((node.get("deliveryMethod") or {}).get("methodType")),
        lines=tuple(
            FulfillmentOrderLine(
                id=Gid(line["id"]),
                order_line_id=Gid(line["lineItem"]["id"]),
                total_quantity=line["totalQuantity"],
                remaining_quantity=line["remainingQuantity"],
            )
            for line in _nodes(node["lineItems"])
        ),
    )


def _customer(node: Json | None) -> ShopifyCustomer | None:
    if node is None:
        return None
    return ShopifyCustomer(
        id=Gid(node["id"]),
        first_name=_text(node.get("firstName")),
        last_name=_text(node.get("lastName")),
        email=_text((node.get("defaultEmailAddress") or {}).get("emailAddress")),
        phone=_text((node.get("defaultPhoneNumber") or {}).get("phoneNumber")),
        default_address=_address(node.get("defaultAddress"), None),
    )


def _address(node: Json | None, customer: ShopifyCustomer | None) -> Address | None:
    """An address; blank first and last names come from the customer (orders spec 3.2)."""
    if node is None:
        return None
    first, last = _text(node.get("firstName")), _text(node.get("lastName"))
    if customer is not None and not (first or last):
        first, last = customer.first_name, customer.last_name
    return Address(
        first_name=first,
        last_name=last,
        company=_text(node.get("company")),
        address_1=_text(node.get("address1")),
        address_2=_text(node.get("address2")),
        post_code=_text(node.get("zip")),
        city=_text(node.get("city")),
        province_code=_text(node.get("provinceCode")),
        province=_text(node.get("province")),
        country=_country(node),
        phone=_text(node.get("phone")),
    )


def _phone(node: Json, customer: ShopifyCustomer | None) -> str:
    """The first that is not blank (orders spec 3.2)."""
    default = customer.default_address if customer else None
    candidates = (
        node.get("phone"),
        (node.get("displayAddress") or {}).get("phone"),
        customer.phone if customer else "",
        default.phone if default else "",
        (node.get("shippingAddress") or {}).get("phone"),
        (node.get("billingAddress") or {}).get("phone"),
    )
    return next((text for text in map(_text, candidates) if text.strip()), "")


def _tax_lines(nodes: Iterable[Json] | None) -> tuple[TaxLine, ...]:
    return tuple(
        TaxLine(
            title=_text(node.get("title")),
            rate_pct=_decimal(node.get("ratePercentage")),
            amount=_bag(node["priceSet"]),
            channel_liable=bool(node.get("channelLiable")),
        )
        for node in nodes or ()
    )


def _allocated(node: Json) -> MoneyBag:
    allocations = node.get("discountAllocations") or ()
    return reduce(add, (_bag(allocation["allocatedAmountSet"]) for allocation in allocations), NO_MONEY)


def _due_date(terms: Json) -> date | None:
    schedules = _nodes(terms.get("paymentSchedules"))
    due = schedules[0].get("dueAt") if len(schedules) == 1 else None
    return _moment(due).date() if due else None


def _company_name(entity: Json | None) -> str:
    return _text(((entity or {}).get("company") or {}).get("name"))


def _purchasing_entity(entity: Json | None) -> str:
    kinds = {"PurchasingCompany": "company", "Customer": "customer"}
    return kinds.get((entity or {}).get("__typename", ""), "")


def _high_risk(risk: Json | None) -> bool:
    return any(assessment.get("riskLevel") == "HIGH" for assessment in (risk or {}).get("assessments") or ())


def _channel_name(node: Json) -> str:
    attribution, app = node.get("attribution") or {}, node.get("app") or {}
    return _text(attribution.get("displayName")) or _text(app.get("name"))


def _attributes(entries: Iterable[Json] | None) -> dict[str, str]:
    return {entry["key"]: _text(entry.get("value")) for entry in entries or ()}


def _country(address: Json | None) -> str:
    return _text((address or {}).get("countryCodeV2"))


def _nodes(connection: Json | None) -> Sequence[Json]:
    return (connection or {}).get("nodes") or ()


def _bag_or_zero(node: Json | None) -> MoneyBag:
    """For amounts that the schema lets be null; for the others a null is an error, never zero."""
    return NO_MONEY if node is None else _bag(node)


def _bag(node: Json) -> MoneyBag:
    return MoneyBag(_decimal(node["shopMoney"]["amount"]), _decimal(node["presentmentMoney"]["amount"]))


def _decimal(value: str | int | Decimal | None) -> Decimal:
    return ZERO if value is None else Decimal(value)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return moment.astimezone(UTC)


def _moment_or_none(text: str | None) -> datetime | None:
    return _moment(text) if text else None


def _enum(value: str | None) -> str:
    return (value or "").lower()


def _text(value: str | None) -> str:
    return value or ""
