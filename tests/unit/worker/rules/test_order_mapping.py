"""The header of a sales document (orders spec 4.4 and 5, examples 5, 7, 8, 9 and 12)."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.shop_settings import CurrencyHandling, ShopSettings
from tests.support.builders import a_shipping_charge, a_transaction, an_order, money
from tests.support.fake_erp import an_erp_setup
from worker.model.sales_document import DocumentType
from worker.model.shopify_order import OrderTransaction, ShopifyOrder
from worker.rules.mapping_tables import ShipmentMapping, ShopMappings
from worker.rules.order_mapping import (
    Header,
    document_type,
    external_document_no,
    in_document_currency,
    map_header,
    payment_method,
)

PAYMENTS = {("cards", "Visa"): "CARD", ("cards", "Amex"): "CARD", ("gift_card", ""): "GIFT", ("cash", ""): ""}
PRESENTMENT: dict[str, Any] = {"currency_handling": CurrencyHandling.PRESENTMENT_CURRENCY}


def header(order: ShopifyOrder | None = None, mappings: ShopMappings | None = None, **settings: Any) -> Header:
    found = map_header(order or an_order(), ShopSettings(**settings), mappings or ShopMappings(), an_erp_setup())
    assert isinstance(found, Header), found
    return found


def codes(order: ShopifyOrder | None = None, mappings: ShopMappings | None = None, **settings: Any) -> list[str]:
    found = map_header(order or an_order(), ShopSettings(**settings), mappings or ShopMappings(), an_erp_setup())
    assert isinstance(found, tuple)
    return [issue.code for issue in found]


@pytest.mark.parametrize(
    ("status", "create_invoices", "expected"),
    [
        ("fulfilled", True, DocumentType.INVOICE),
        ("fulfilled", False, DocumentType.ORDER),
        ("partially_fulfilled", True, DocumentType.ORDER),
        ("unfulfilled", True, DocumentType.ORDER),
        ("not_required", True, DocumentType.INVOICE),
        ("not_required", False, DocumentType.ORDER),
    ],
)
def test_what_was_handed_over_becomes_an_invoice(status: str, create_invoices: bool, expected: DocumentType) -> None:
    settings = ShopSettings(create_invoices_from_orders=create_invoices)

    assert document_type(an_order(fulfillment_status=status), settings) is expected


def test_the_document_has_the_date_of_the_companys_calendar() -> None:
    order = an_order(created_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))

    assert header(order).document_date == date(2026, 2, 1)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_orders_name_can_be_the_documents_number(enabled: bool) -> None:
    assert header(use_shopify_order_no=enabled).requested_number == ("#1001" if enabled else "")


def test_a_long_name_is_cut_to_a_number() -> None:
    assert header(an_order(name="N" * 30), use_shopify_order_no=True).requested_number == "N" * 20


def test_a_name_that_starts_with_an_at_sign_is_no_number() -> None:
    assert codes(an_order(name="@INVALID123"), use_shopify_order_no=True) == ["document_number_invalid"]
    assert header(an_order(name="@INVALID123")).requested_number == ""


@pytest.mark.parametrize(("po_number", "expected"), [("", "#1001"), ("PO-7", "PO-7"), ("P" * 40, "P" * 35)])
def test_the_external_number_is_the_buyers_else_the_orders_name(po_number: str, expected: str) -> None:
    assert external_document_no(an_order(po_number=po_number)) == expected


def test_the_documents_currency_is_the_orders_own() -> None:
    order = an_order(currency_code="USD", presentment_currency_code="JPY")

    assert header(order).currency == "USD"
    assert header(order, currency_code="USD").currency == "USD"
    assert header(order, **PRESENTMENT).currency == "JPY"


def test_another_currency_than_the_shops_is_refused() -> None:
    assert codes(an_order(currency_code="USD"), currency_code="EUR") == ["currency_mismatch"]


@pytest.mark.parametrize("settings", [{}, PRESENTMENT])
def test_a_currency_that_the_erp_does_not_know_is_refused_never_taken_for_its_own(settings: dict[str, Any]) -> None:
    order = an_order(currency_code="QQQ", presentment_currency_code="QQQ")

    assert codes(order, **settings) == ["currency_not_found"]


def test_amounts_follow_the_documents_currency() -> None:
    price = money("85.50", "120.75")

    assert in_document_currency(price, ShopSettings()) == money("85.50").shop
    assert in_document_currency(price, ShopSettings(**PRESENTMENT)) == money("120.75").shop


def paid(gateway: str, card: str = "", kind: str = "sale", status: str = "success") -> OrderTransaction:
    return a_transaction(gateway=gateway, card_company=card, kind=kind, status=status)


@pytest.mark.parametrize(
    ("transactions", "expected"),
    [
        ([paid("cards", "Visa", "authorization"), paid("cards", "Visa", "capture")], "CARD"),
        ([paid("cards", "Visa"), paid("cards", "Amex")], "CARD"),
        ([paid("cards", "Visa"), paid("gift_card")], ""),
        ([paid("gift_card", status="failure"), paid("cards", "Visa")], "CARD"),
        ([paid("gift_card", kind="refund"), paid("cards", "Visa")], "CARD"),
        ([paid("cards", "Visa"), paid("unknown")], ""),
        ([paid("cash")], ""),
        ([], ""),
    ],
)
def test_one_mapped_method_is_the_payment_method(transactions: list[OrderTransaction], expected: str) -> None:
    assert payment_method(an_order(transactions=tuple(transactions)), PAYMENTS) == expected


def test_the_first_shipping_charge_decides_how_it_is_sent() -> None:
    order = an_order(shipping_charges=(a_shipping_charge(1, title="Express"), a_shipping_charge(2)))
    mappings = ShopMappings(
        shipments={"Express": ShipmentMapping("STD", "DHL", "NIGHT"), "Standard": ShipmentMapping()}
    )

    found = header(order, mappings)

    assert (found.shipment_method, found.shipping_agent, found.shipping_agent_service) == ("STD", "DHL", "NIGHT")


def test_an_unmapped_title_leaves_it_to_the_erp() -> None:
    found = header()

    assert (found.shipment_method, found.shipping_agent, found.payment_method) == ("", "", "")


def test_all_codes_that_the_erp_lacks_are_told_at_once() -> None:
    mappings = ShopMappings(
        shipments={"Standard": ShipmentMapping("SLOW", "UPS")}, payments={("shopify_payments", "Visa"): "COIN"}
    )

    assert codes(mappings=mappings) == [
        "shipment_method_not_found",
        "shipping_agent_not_found",
        "payment_method_not_found",
    ]
