"""What is in a shop besides orders: addresses, customers, products and stock.

Classes carry the names of Shopify's GraphQL types and attributes the snake_case names of its fields, so that
resolvers read them without translation. Whatever follows from other facts is a property, never stored.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

FIRST_IDS = {
    "Order": 820982911946154508,
    "LineItem": 866550311766439020,
    "Product": 788032119674292922,
    "ProductVariant": 808950810123456789,
    "Customer": 706405506930370084,
    "Refund": 890088186047892319,
    "OrderTransaction": 389404469123456701,
}
"""First number of a kind: 64-bit numbers that a float cannot hold, as in Shopify's samples. Others: 10^15."""


@dataclass(kw_only=True, eq=False)
class Entity:
    """Something with an id; ``legacy_resource_id`` is the number in it."""

    legacy_resource_id: int

    @property
    def id(self) -> str:
        """The global id, e.g. ``gid://shopify/Order/820982911946154508``."""
        return gid(type(self).__name__, self.legacy_resource_id)


def gid(kind: str, number: int) -> str:
    """A global id."""
    return f"gid://shopify/{kind}/{number}"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A key and value on an order or a line."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An e-mail address of a customer."""

    email_address: str
    marketing_state: str = "NOT_SUBSCRIBED"


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A phone number of a customer."""

    phone_number: str


@dataclass(kw_only=True, eq=False)
class MailingAddress(Entity):
    """A postal address."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    zip: str | None = None
    city: str | None = None
    province_code: str | None = None
    province: str | None = None
    country_code_v2: str | None = None
    country: str | None = None
    phone: str | None = None

    @property
    def name(self) -> str | None:
        """First and last name."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None

    @property
    def formatted(self) -> list[str]:
        """The lines of a label."""
        town = " ".join(part for part in (self.zip, self.city, self.province_code) if part)
        return [line for line in (self.company, self.address1, self.address2, town, self.country) if line]


@dataclass(kw_only=True, eq=False)
class Customer(Entity):
    """A buyer with an account or a remembered address."""

    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    created_at: datetime
    updated_at: datetime
    addresses_v2: list[MailingAddress] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    locale: str = "en"
    state: str = "DISABLED"
    tax_exempt: bool = False
    verified_email: bool = True
    number_of_orders: int = 0

    @property
    def display_name(self) -> str:
        """Name, else e-mail, else phone."""
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return name or self.email or self.phone or ""

    @property
    def default_email_address(self) -> EmailAddress | None:
        """The e-mail address, None without one."""
        return EmailAddress(self.email) if self.email else None

    @property
    def default_phone_number(self) -> PhoneNumber | None:
        """The phone number, None without one."""
        return PhoneNumber(self.phone) if self.phone else None

    @property
    def default_address(self) -> MailingAddress | None:
        """The first address, None without one."""
        return self.addresses_v2[0] if self.addresses_v2 else None


@dataclass(frozen=True, slots=True)
class LocationAddress:
    """Where a location is."""

    address1: str | None
    zip: str | None
    city: str | None
    country_code: str | None
    country: str | None = None
    address2: str | None = None
    province: str | None = None
    province_code: str | None = None
    phone: str | None = None

    @property
    def formatted(self) -> list[str]:
        """The lines of a label."""
        return [line for line in (self.address1, f"{self.zip} {self.city}", self.country_code) if line]


@dataclass(kw_only=True, eq=False)
class Location(Entity):
    """A place that holds stock."""

    name: str
    address: LocationAddress
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    fulfills_online_orders: bool = True


@dataclass(kw_only=True, eq=False)
class Product(Entity):
    """A product with its variants."""

    title: str
    handle: str
    vendor: str
    created_at: datetime
    updated_at: datetime
    option_name: str | None = None
    description_html: str = ""
    product_type: str = ""
    status: str = "ACTIVE"
    tags: list[str] = field(default_factory=list)
    variants: list["ProductVariant"] = field(default_factory=list)

    @property
    def published_at(self) -> datetime | None:
        """When it went on sale; None for drafts."""
        return self.created_at if self.status == "ACTIVE" else None

    @property
    def has_only_default_variant(self) -> bool:
        """No options to choose from."""
        return self.option_name is None

    @property
    def total_inventory(self) -> int:
        """Available units of all variants everywhere."""
        return sum(variant.inventory_quantity for variant in self.variants)

    @property
    def tracks_inventory(self) -> bool:
        """Any variant counts its stock."""
        return any(variant.inventory_item.tracked for variant in self.variants)

    @property
    def options(self) -> list["ProductOption"]:
        """What buyers choose; Shopify gives a plain product the option ``Title``."""
        name = self.option_name or "Title"
        values = [variant.title for variant in self.variants]
        return [ProductOption(legacy_resource_id=self.legacy_resource_id, name=name, values=values)]


@dataclass(kw_only=True, eq=False)
class ProductOption(Entity):
    """A choice, e.g. Size."""

    name: str
    values: list[str]
    position: int = 1


@dataclass(frozen=True, slots=True)
class SelectedOption:
    """What a variant is in one option."""

    name: str
    value: str


@dataclass(kw_only=True, eq=False)
class ProductVariant(Entity):
    """What is sold; ``price`` in shop currency, with tax if the shop's prices include it; ``tax_rate`` as 0.22."""

    product: Product
    title: str
    sku: str | None
    barcode: str | None
    price: Decimal
    tax_rate: Decimal
    inventory_item: "InventoryItem"
    created_at: datetime
    updated_at: datetime
    position: int = 1
    compare_at_price: Decimal | None = None
    taxable: bool = True
    gift_card: bool = False
    weight_grams: int = 0
    inventory_policy: str = "DENY"

    @property
    def inventory_quantity(self) -> int:
        """Available units everywhere."""
        return sum(level.available for level in self.inventory_item.inventory_levels)

    @property
    def available_for_sale(self) -> bool:
        """In stock, not tracked, or sold beyond the stock."""
        tracked = self.inventory_item.tracked and self.inventory_policy == "DENY"
        return not tracked or self.inventory_quantity > 0

    @property
    def display_name(self) -> str:
        """Product and variant."""
        return f"{self.product.title} - {self.title}"

    @property
    def selected_options(self) -> list[SelectedOption]:
        """The variant's value of each option."""
        return [SelectedOption(self.product.option_name or "Title", self.title)]


@dataclass(kw_only=True, eq=False)
class InventoryItem(Entity):
    """The stock-keeping side of a variant."""

    sku: str | None
    created_at: datetime
    updated_at: datetime
    tracked: bool = True
    requires_shipping: bool = True
    inventory_levels: list["InventoryLevel"] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class InventoryLevel(Entity):
    """Units of one item at one location; ``committed`` units are sold and not yet shipped."""

    item: InventoryItem
    location: Location
    available: int
    created_at: datetime
    updated_at: datetime
    committed: int = 0
    is_active: bool = True

    @property
    def id(self) -> str:
        """Shopify's form names the item as well."""
        number = self.location.legacy_resource_id
        return f"{gid('InventoryLevel', number)}?inventory_item_id={self.item.legacy_resource_id}"

    def quantity_named(self, name: str) -> int | None:
        """Units in one of Shopify's states; None for a state the simulator does not keep."""
        known = {
            "available": self.available,
            "committed": self.committed,
            "on_hand": self.available + self.committed,
            "incoming": 0,
            "reserved": 0,
            "damaged": 0,
            "safety_stock": 0,
            "quality_control": 0,
        }
        return known.get(name)
