"""Makes orders for tests: ordinary ones, of which a test names only what it is about.

`an_order()` is paid, unfulfilled, bought by Ada Lovelace in Rome for 25.00 EUR: two blue shirts of 10.00 and
shipping of 5.00, VAT of 22 % included.
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from worker.model.address import Address
from worker.model.customer import ShopifyCustomer
from worker.model.ids import Gid
from worker.model.money import NO_MONEY, MoneyBag
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
from worker.rules import order_staging

PLACED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
"""When the ordinary order was placed."""


def money(shop: str | int | Decimal, presentment: str | int | Decimal | None = None) -> MoneyBag:
    """An amount in both currencies; the same in both unless told otherwise."""
    return MoneyBag(Decimal(shop), Decimal(shop if presentment is None else presentment))


def order_gid(number: int) -> Gid:
    return Gid(f"gid://shopify/Order/{number}")


def an_address(**changes: Any) -> Address:
    """Ada Lovelace, Via Roma 1, Rome."""
    ordinary = Address(
        first_name="Ada",
        last_name="Lovelace",
        address_1="Via Roma 1",
        post_code="00184",
        city="Roma",
        province_code="RM",
        province="Roma",
        country="IT",
        phone="+39 06 1234567",
    )
    return replace(ordinary, **changes)


def a_customer(**changes: Any) -> ShopifyCustomer:
    ordinary = ShopifyCustomer(
        id=Gid("gid://shopify/Customer/7001"),
        first_name="Ada",
        last_name="Lovelace",
        email="ada@example.com",
        phone="+390612345678",
        default_address=an_address(),
    )
    return replace(ordinary, **changes)


def a_tax_line(amount: str = "3.61", **changes: Any) -> TaxLine:
    """Italian VAT of 22 %."""
    return replace(TaxLine("IVA", Decimal(22), money(amount), channel_liable=False), **changes)


def a_line(number: int = 1, **changes: Any) -> OrderLine:
    """Two blue shirts of 10.00; `number` makes the ids of line, product and variant."""
    ordinary = OrderLine(
        id=Gid(f"gid://shopify/LineItem/{500_000 + number}"),
        position=number - 1,
        title="Shirt",
        variant_title="Blue",
        sku=f"SHIRT-{number}",
        barcode="",
        product_id=Gid(f"gid://shopify/Product/{600_000 + number}"),
        variant_id=Gid(f"gid://shopify/ProductVariant/{700_000 + number}"),
        quantity=2,
        current_quantity=2,
        unfulfilled_quantity=2,
        unit_price=money(10),
        discount=NO_MONEY,
        gift_card=False,
        tip=False,
        taxable=True,
        requires_shipping=True,
        tax_lines=(a_tax_line(),),
        attributes={},
    )
    return replace(ordinary, **changes)


def a_shipping_charge(number: int = 1, **changes: Any) -> ShippingCharge:
    """Standard shipping for 5.00."""
    ordinary = ShippingCharge(
        id=Gid(f"gid://shopify/ShippingLine/{800_000 + number}"),
        title="Standard",
        code="standard",
        source="shopify",
        amount=money(5),
        discount=NO_MONEY,
        tax_lines=(a_tax_line("0.90"),),
    )
    return replace(ordinary, **changes)


def a_transaction(number: int = 1, **changes: Any) -> OrderTransaction:
    """A successful card sale of 25.00."""
    ordinary = OrderTransaction(
        id=Gid(f"gid://shopify/OrderTransaction/{900_000 + number}"),
        kind="sale",
        status="success",
        gateway="shopify_payments",
        card_company="Visa",
        manual_gateway=False,
        amount=money(25),
        test=False,
        created_at=PLACED,
        payment_id="pay-1",
        error_code="",
    )
    return replace(ordinary, **changes)


def a_fulfillment_order(number: int = 1, *lines: OrderLine, **changes: Any) -> FulfillmentOrder:
    """An open fulfillment order for all units of `lines` at location 1."""
    ordinary = FulfillmentOrder(
        id=Gid(f"gid://shopify/FulfillmentOrder/{1_000_000 + number}"),
        status="open",
        request_status="unsubmitted",
        location_id=Gid("gid://shopify/Location/1"),
        delivery_method="shipping",
        lines=tuple(
            FulfillmentOrderLine(
                id=Gid(f"gid://shopify/FulfillmentOrderLineItem/{2_000_000 + number * 100 + index}"),
                order_line_id=line.id,
                total_quantity=line.quantity,
                remaining_quantity=line.unfulfilled_quantity,
            )
            for index, line in enumerate(lines)
        ),
    )
    return replace(ordinary, **changes)


def an_order(number: int = 1001, **changes: Any) -> ShopifyOrder:
    """An ordinary order #`number` whose Shopify id is `number` too."""
    lines = (a_line(),)
    ordinary = ShopifyOrder(
        id=order_gid(number),
        name=f"#{number}",
        created_at=PLACED,
        updated_at=PLACED,
        processed_at=PLACED,
        cancelled_at=None,
        cancel_reason="",
        closed=False,
        closed_at=None,
        test=False,
        edited=False,
        confirmed=True,
        email="ada@example.com",
        phone="+390612345678",
        po_number="",
        note="",
        tags=(),
        discount_codes=(),
        financial_status="paid",
        fulfillment_status="unfulfilled",
        return_status="no_return",
        fully_paid=True,
        unpaid=False,
        currency_code="EUR",
        presentment_currency_code="EUR",
        taxes_included=True,
        tax_exempt=False,
        current_items_quantity=2,
        channel_name="Online Store",
        app_name="Online Store",
        attributes={},
        sell_to=an_address(),
        ship_to=an_address(),
        bill_to=an_address(),
        customer=a_customer(),
        company_name="",
        high_risk=False,
        total=money(25),
        current_total=money(25),
        subtotal=money(20),
        tax=money("4.51"),
        current_tax=money("4.51"),
        discounts=NO_MONEY,
        current_discounts=NO_MONEY,
        shipping=money(5),
        tips=NO_MONEY,
        outstanding=NO_MONEY,
        duties=NO_MONEY,
        additional_fees=NO_MONEY,
        payment_rounding=NO_MONEY,
        refund_rounding=NO_MONEY,
        tax_lines=(a_tax_line("4.51"),),
        lines=lines,
        shipping_charges=(a_shipping_charge(),),
        transactions=(a_transaction(),),
        fulfillment_orders=(a_fulfillment_order(1, *lines),),
        refund_ids=(),
        due_date=None,
        payment_terms="",
    )
    return replace(ordinary, **changes)


def summary_of(order: ShopifyOrder, **changes: Any) -> OrderSummary:
    """What discovery would read of `order`."""
    return replace(order_staging.summary_of(order), **changes)


def a_summary(number: int = 1001, **changes: Any) -> OrderSummary:
    """The summary of the ordinary order #`number`."""
    return summary_of(an_order(number), **changes)
