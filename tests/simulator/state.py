"""The simulated world in memory: shops, and the lock that guards everything in them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from tests.simulator.bulk import BulkDesk
from tests.simulator.entities import FIRST_IDS, Customer, Entity, Location, Product, ProductVariant
from tests.simulator.order import Order
from tests.simulator.throttle import Bucket


@dataclass(kw_only=True, eq=False)
class WebhookSubscription(Entity):
    """Who is told about what; ``topic`` in the form of the enum, ``ORDERS_CREATE``."""

    topic: str
    uri: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    format: str = "JSON"
    include_fields: list[str] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class Domain(Entity):
    """A host name of the shop."""

    host: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://{self.host}"


@dataclass(kw_only=True, eq=False)
class App(Entity):
    """The app the tokens belong to."""

    title: str = "Backroom"
    handle: str = "backroom"


@dataclass(frozen=True, slots=True)
class ShopPlan:
    """What the merchant pays Shopify for."""

    public_display_name: str
    partner_development: bool = False
    shopify_plus: bool = False


@dataclass(kw_only=True, eq=False)
class Shop(Entity):
    """One store. ``handle`` is its name in addresses, its domain is ``<handle>.myshopify.com``."""

    PROTECTED_IDS: ClassVar[int] = 10**15

    handle: str
    tokens: set[str]
    webhook_secret: str
    currency_code: str
    iana_timezone: str
    taxes_included: bool
    bucket: Bucket
    plan: ShopPlan
    shipping_tax_rate: Decimal | None
    scopes: list[str]
    contact_email: str = "owner@example.com"
    products: list[Product] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    webhook_subscriptions: list[WebhookSubscription] = field(default_factory=list)
    bulk: BulkDesk = field(default_factory=BulkDesk)
    entities: dict[str, Entity] = field(default_factory=dict)
    next_order_number: int = 1001

    def __post_init__(self) -> None:
        self._numbers: dict[str, Iterator[int]] = {}

    @property
    def name(self) -> str:
        """The shop's name."""
        return self.handle.replace("-", " ").title()

    @property
    def myshopify_domain(self) -> str:
        """The permanent domain."""
        return f"{self.handle}.myshopify.com"

    @property
    def url(self) -> str:
        """The shop's address."""
        return f"https://{self.myshopify_domain}"

    @property
    def email(self) -> str:
        """The owner's e-mail."""
        return self.contact_email

    @property
    def primary_domain(self) -> Domain:
        """The domain buyers see."""
        return Domain(legacy_resource_id=self.legacy_resource_id, host=self.myshopify_domain)

    @property
    def variants(self) -> list[ProductVariant]:
        """All variants of all products."""
        return [variant for product in self.products for variant in product.variants]

    def new_number(self, kind: str) -> int:
        """The next number of a kind; numbers of one shop never repeat within a kind."""
        first = FIRST_IDS.get(kind, self.PROTECTED_IDS) + self.legacy_resource_id * 1_000_000
        return next(self._numbers.setdefault(kind, itertools.count(first)))

    def register(self, entity: Entity) -> None:
        """Make the entity findable by its global id."""
        self.entities[entity.id] = entity

    def find(self, global_id: str) -> Entity | None:
        """The entity with the id, None if there is none."""
        return self.entities.get(global_id)

    def forget(self, entity: Entity) -> None:
        """Take a deleted entity out of the index."""
        self.entities.pop(entity.id, None)

    def variant_by_sku(self, sku: str) -> ProductVariant:
        """The variant with the SKU; raises KeyError with the known ones otherwise."""
        for variant in self.variants:
            if variant.sku == sku:
                return variant
        known = ", ".join(str(variant.sku) for variant in self.variants) or "none: seed the shop first"
        raise KeyError(f"shop {self.handle} sells no SKU {sku!r}; it sells {known}")

    def customer_by_email(self, email: str) -> Customer:
        """The customer with the e-mail address; raises KeyError if there is none."""
        for customer in self.customers:
            if customer.email == email:
                return customer
        raise KeyError(f"shop {self.handle} has no customer with e-mail {email!r}")

    def find_order(self, reference: str | int) -> Order:
        """An order by global id, number in the id, or name (``#1001``); raises KeyError if there is none."""
        wanted = str(reference)
        for order in self.orders:
            if wanted in (order.id, str(order.legacy_resource_id), order.name):
                return order
        raise KeyError(f"shop {self.handle} has no order {reference!r}")


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


class World:
    """All shops of one simulator. ``clock`` gives aware UTC times."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.lock = threading.RLock()
        self.shops: dict[str, Shop] = {}
        self._clock = clock

    def now(self) -> datetime:
        """The time in whole seconds: Shopify's ``updatedAt`` is no finer."""
        return self._clock().replace(microsecond=0)

    def exact_now(self) -> datetime:
        """The time as fine as the clock gives it."""
        return self._clock()

    def shop(self, name: str) -> Shop:
        """The shop by handle or domain; raises KeyError if there is none."""
        handle = name.removesuffix(".myshopify.com")
        if handle not in self.shops:
            known = ", ".join(self.shops) or "none"
            raise KeyError(f"there is no shop {name!r}; known shops: {known}")
        return self.shops[handle]
