"""What happens in the demo, as data: which orders are placed, how each is to arrive, what is to become of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.simulator.orders import DiscountRequest, LineRequest, OrderRequest, ShippingRequest

SHOP = "demo-shop"
SCHEDULE = "every-two-seconds"
SCHEDULE_EVERY = "2s"

UNKNOWN_CUSTOMERS = frozenset({"C00050", "C00080"})
"""Customers of the shop that are left out of the ERP: the import has to create them."""

SETTINGS: Mapping[str, str] = {
    "auto_create_orders": "true",
    "auto_create_unknown_customers": "true",
    "customer_template_code": "SHOP",
    "shipping_charges_account": "6110",
    "tip_account": "6120",
}


class Arrival(StrEnum):
    """What made an order come in; the value is how the ledger's sources of such requests begin."""

    WEBHOOK = "/shopify/"
    SCHEDULE = "/schedules/"
    BY_HAND = "/operators/"

    @property
    def words(self) -> str:
        """As the summary says it."""
        return {Arrival.WEBHOOK: "webhook", Arrival.SCHEDULE: "schedule", Arrival.BY_HAND: "by hand"}[self]


@dataclass(frozen=True, slots=True)
class StoryOrder:
    """An order that is placed, and what must become of it."""

    what: str
    """What is special about it, in a few words."""
    request: OrderRequest
    arrival: Arrival
    customer: str | None = None
    """The ERP's customer it must be booked on; None: one that the import creates."""
    refused_as: str = ""
    """Code of the reason why no document may be made of it; empty: one document must be."""


BY_WEBHOOK = (
    StoryOrder(
        "two lines, VAT included",
        OrderRequest(
            lines=[LineRequest(sku="1003", quantity=2), LineRequest(sku="1004")], customer="ada@example.com", paid=True
        ),
        Arrival.WEBHOOK,
        "C00010",
    ),
    StoryOrder(
        "10 % off, express shipping",
        OrderRequest(
            lines=[LineRequest(sku="1001-RED"), LineRequest(sku="1006")],
            customer="carlo.rossi@example.com",
            discount=DiscountRequest(code="WELCOME10", percent="10"),
            shipping=ShippingRequest(title="Express", code="EXPRESS", price="9.90"),
            paid=True,
        ),
        Arrival.WEBHOOK,
        "C00020",
    ),
    StoryOrder(
        "VAT of 22, 10 and 0 %",
        OrderRequest(
            lines=[
                LineRequest(sku="1012-XL"),
                LineRequest(sku="1014", quantity=6),
                LineRequest(sku="1017", quantity=1),
            ],
            customer="greta@example.com",
            paid=True,
        ),
        Arrival.WEBHOOK,
        "C00030",
    ),
    StoryOrder(
        "new customer, a tip",
        OrderRequest(
            lines=[LineRequest(sku="1008-M"), LineRequest(sku="1013", quantity=2)],
            customer="ines@example.com",
            tip="2.50",
            paid=True,
        ),
        Arrival.WEBHOOK,
    ),
    StoryOrder(
        "buyer pays in USD",
        OrderRequest(
            lines=[LineRequest(sku="1000-L")],
            customer="soeren@example.com",
            presentment_currency="USD",
            rate="1.0837",
            paid=True,
        ),
        Arrival.WEBHOOK,
        "C00040",
    ),
)
"""Chapter 1: the shop tells of them at once."""

BY_SCHEDULE = (
    StoryOrder(
        "its webhooks are lost",
        OrderRequest(
            lines=[LineRequest(sku="1010"), LineRequest(sku="1011", quantity=3)],
            customer="luca@officina.example",
            paid=True,
        ),
        Arrival.SCHEDULE,
        "C00060",
    ),
    StoryOrder(
        "lost too, not yet paid",
        OrderRequest(
            lines=[LineRequest(sku="1018", quantity=2, discount=DiscountRequest(title="Second choice", amount="3.33"))],
            customer="marta@example.com",
            paid=False,
        ),
        Arrival.SCHEDULE,
        "C00070",
    ),
)
"""Chapter 2: no webhook ever comes; the next tick of the schedule finds them."""

BY_HAND = (
    StoryOrder(
        "new customer, named by hand",
        OrderRequest(lines=[LineRequest(sku="1007-BLK")], customer="anna@example.com", paid=True),
        Arrival.BY_HAND,
    ),
    StoryOrder(
        "named in the same command",
        OrderRequest(lines=[LineRequest(sku="1019"), LineRequest(sku="1009")], customer="ada@example.com", paid=True),
        Arrival.BY_HAND,
        "C00010",
    ),
)
"""Chapter 3: an operator names them."""

REFUSED = (
    StoryOrder(
        "product unknown to the ERP",
        OrderRequest(
            lines=[LineRequest(sku="9999"), LineRequest(sku="1003")], customer="carlo.rossi@example.com", paid=True
        ),
        Arrival.WEBHOOK,
        refused_as="product_not_found",
    ),
)
"""Chapter 4: no half document is made of it."""

ADDED_LATER = LineRequest(sku="1003", quantity=2)
"""What the buyer of the unruly order adds before the shop has told of it."""

UNRULY = (
    StoryOrder(
        "webhooks three times, shuffled",
        OrderRequest(lines=[LineRequest(sku="1005", quantity=3)], customer="greta@example.com", paid=False),
        Arrival.WEBHOOK,
        "C00030",
    ),
)
"""Chapter 5: placed, edited and paid, and the shop tells of it in any order, several times."""

ALL = (*BY_WEBHOOK, *BY_SCHEDULE, *BY_HAND, *REFUSED, *UNRULY)
