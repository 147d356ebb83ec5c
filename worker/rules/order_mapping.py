"""What the header of a sales document takes from an order (orders spec 4.4, 5.1–5.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from schemas.shop_settings import CurrencyHandling, ShopSettings
from worker.model.money import MoneyBag
from worker.model.sales_document import DocumentType
from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue
from worker.rules.mapping_tables import ErpSetup, ShipmentMapping, ShopMappings

EXTERNAL_DOCUMENT_NO_LENGTH = 35
NUMBER_LENGTH = 20
_FULFILLED = frozenset({"fulfilled", "not_required", "fulfillment_not_required"})
_PAYING_KINDS = frozenset({"sale", "capture", "authorization"})


@dataclass(frozen=True, slots=True)
class Header:
    """The mapped header, without its parties."""

    type: DocumentType
    currency: str
    document_date: date
    external_document_no: str
    requested_number: str
    """Empty: the ERP's number series decides."""
    payment_method: str
    shipment_method: str
    shipping_agent: str
    shipping_agent_service: str


def map_header(
    order: ShopifyOrder, settings: ShopSettings, mappings: ShopMappings, erp: ErpSetup
) -> Header | tuple[Issue, ...]:
    """The header of the order's document, or everything that stands in its way."""
    currency = document_currency(order, settings)
    shipment = _shipment(order, mappings)
    payment = payment_method(order, mappings.payments)
    issues = [
        *_currency_issues(currency, settings, erp),
        *_number_issues(order, settings),
        *_unknown("shipment_method", shipment.shipment_method, erp.shipment_methods),
        *_unknown("shipping_agent", shipment.agent, erp.shipping_agents),
        *_unknown("payment_method", payment, erp.payment_methods),
    ]
    if issues:
        return tuple(issues)
    return Header(
        type=document_type(order, settings),
        currency=currency,
        document_date=order.created_at.astimezone(ZoneInfo(erp.time_zone)).date(),
        external_document_no=external_document_no(order),
        requested_number=order.name[:NUMBER_LENGTH] if settings.use_shopify_order_no else "",
        payment_method=payment,
        shipment_method=shipment.shipment_method,
        shipping_agent=shipment.agent,
        shipping_agent_service=shipment.agent_service,
    )


def document_type(order: ShopifyOrder, settings: ShopSettings) -> DocumentType:
    """An invoice for what was handed over already, where the shop wants that; otherwise an order."""
    fulfilled = order.fulfillment_status in _FULFILLED
    return DocumentType.INVOICE if fulfilled and settings.create_invoices_from_orders else DocumentType.ORDER


def document_currency(order: ShopifyOrder, settings: ShopSettings) -> str:
    """ISO code of the document's currency: the order's own, never a silent default."""
    if settings.currency_handling is CurrencyHandling.PRESENTMENT_CURRENCY:
        return order.presentment_currency_code
    return order.currency_code


def in_document_currency(money: MoneyBag, settings: ShopSettings) -> Decimal:
    """The amount of the bag that goes on the document."""
    if settings.currency_handling is CurrencyHandling.PRESENTMENT_CURRENCY:
        return money.presentment
    return money.shop


def external_document_no(order: ShopifyOrder) -> str:
    """The buyer's purchase order number, else the order's name; cut to what an ERP keeps."""
    return (order.po_number or order.name)[:EXTERNAL_DOCUMENT_NO_LENGTH]


def payment_method(order: ShopifyOrder, payments: Mapping[tuple[str, str], str]) -> str:
    """The one method by which the order was paid; empty where it is unmapped or there are several."""
    methods = {payments.get(key, "") for key in payment_keys(order)}
    return methods.pop() if len(methods) == 1 else ""


def payment_keys(order: ShopifyOrder) -> frozenset[tuple[str, str]]:
    """(gateway, card company) of every transaction that paid or promised to pay."""
    return frozenset(
        (transaction.gateway, transaction.card_company)
        for transaction in order.transactions
        if transaction.status == "success" and transaction.kind in _PAYING_KINDS
    )


def missing_setting(shop_code: str, setting: str, reason: str) -> Issue:
    """The order needs a setting that is empty: what to type."""
    return Issue(
        f"{setting}_missing",
        f"{reason}: `backroom shops set {shop_code} {setting}=NUMBER`",
        entity="shop",
        value=setting,
    )


def _shipment(order: ShopifyOrder, mappings: ShopMappings) -> ShipmentMapping:
    if not order.shipping_charges:
        return ShipmentMapping()
    return mappings.shipments.get(order.shipping_charges[0].title, ShipmentMapping())


def _currency_issues(currency: str, settings: ShopSettings, erp: ErpSetup) -> tuple[Issue, ...]:
    shop_currency = settings.currency_handling is CurrencyHandling.SHOP_CURRENCY
    if shop_currency and settings.currency_code and currency != settings.currency_code:
        return (
            Issue(
                "currency_mismatch",
                f"the order is in {currency}, the shop is set to {settings.currency_code}: "
                "correct the setting currency_code, or leave it empty",
                entity="order",
                value=currency,
            ),
        )
    if currency not in erp.currencies:
        return (
            Issue(
                "currency_not_found",
                f"the ERP does not know the currency {currency}: create it there, then process the order again",
                entity="order",
                value=currency,
            ),
        )
    return ()


def _number_issues(order: ShopifyOrder, settings: ShopSettings) -> tuple[Issue, ...]:
    if settings.use_shopify_order_no and order.name.startswith("@"):
        return (
            Issue(
                "document_number_invalid",
                f"{order.name} cannot be a document number, because it starts with @: "
                "rename the order, or set use_shopify_order_no=false",
                entity="order",
                value=order.name,
            ),
        )
    return ()


def _unknown(kind: str, code: str, known: frozenset[str]) -> tuple[Issue, ...]:
    if not code or code in known:
        return ()
    return (
        Issue(
            f"{kind}_not_found",
            f"the mapping names {kind.replace('_', ' ')} {code}, which the ERP does not have: correct the mapping",
            entity=kind,
            value=code,
        ),
    )
