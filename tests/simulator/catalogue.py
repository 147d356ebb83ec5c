"""The demo catalogue as plain data, so that shop and ERP can be seeded with the same items.

Prices are in EUR and include tax. In the shop an item without variants has the SKU of its number; a variant has
``<number>-<variant code>``.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CatalogueVariant:
    """A variant of an item: ``code`` as in the ERP, ``option`` as buyers read it, ``price`` None = the item's."""

    code: str
    option: str
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """An item both worlds sell.

    ``price`` includes tax; ``tax_group`` is ``standard`` (22 %), ``reduced`` (10 %) or ``zero``;
    ``option_name`` names what the variants differ in, None = no variants; ``stock`` is per variant and location.
    """

    number: str
    description: str
    price: Decimal
    tax_group: str
    stock: int = 100
    weight_grams: int = 500
    vendor: str = "Backroom Goods"
    option_name: str | None = None
    variants: tuple[CatalogueVariant, ...] = ()

    def sku(self, variant: CatalogueVariant | None = None) -> str:
        """The SKU in the shop of the item or of one of its variants."""
        return self.number if variant is None else f"{self.number}-{variant.code}"


@dataclass(frozen=True, slots=True)
class CatalogueCustomer:
    """A customer known to both worlds; ``phone`` is in E.164 form."""

    number: str
    first_name: str
    last_name: str
    email: str
    phone: str
    address1: str
    zip: str
    city: str
    country: str
    country_code: str
    province_code: str | None = None
    company: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueLocation:
    """A place that holds stock; ``code`` as in the ERP."""

    code: str
    name: str
    address1: str
    zip: str
    city: str
    country_code: str = "IT"


TAX_RATES: dict[str, Decimal] = {
    "standard": Decimal("0.22"),
    "reduced": Decimal("0.10"),
    "zero": Decimal("0"),
}
"""Rate of each tax group; shipping is taxed at ``standard``."""

_SIZES = (CatalogueVariant("S", "Small"), CatalogueVariant("M", "Medium"), CatalogueVariant("L", "Large"))
_COLOURS = (CatalogueVariant("BLK", "Black"), CatalogueVariant("RED", "Red"))

ITEMS: tuple[CatalogueItem, ...] = (
    CatalogueItem(
        "1000", "Touring Bicycle", Decimal("899.00"), "standard", 12, 13500, option_name="Size", variants=_SIZES
    ),
    CatalogueItem(
        "1001", "City Bicycle", Decimal("649.00"), "standard", 20, 14800, option_name="Colour", variants=_COLOURS
    ),
    CatalogueItem("1002", "Children's Bicycle", Decimal("249.90"), "standard", 30, 9200),
    CatalogueItem("1003", "Bicycle Bell", Decimal("9.99"), "standard", 400, 120),
    CatalogueItem("1004", "LED Headlight", Decimal("34.50"), "standard", 150, 180),
    CatalogueItem("1005", "Rear Light", Decimal("19.95"), "standard", 150, 90),
    CatalogueItem("1006", "Frame Lock", Decimal("44.00"), "standard", 80, 900),
    CatalogueItem(
        "1007", "Pannier Bag", Decimal("79.00"), "standard", 60, 1100, option_name="Colour", variants=_COLOURS
    ),
    CatalogueItem("1008", "Helmet", Decimal("59.90"), "standard", 75, 350, option_name="Size", variants=_SIZES),
    CatalogueItem("1009", "Repair Kit", Decimal("12.49"), "standard", 300, 240),
    CatalogueItem("1010", "Floor Pump", Decimal("29.99"), "standard", 90, 1500),
    CatalogueItem("1011", "Chain Oil 100 ml", Decimal("7.90"), "standard", 220, 130),
    CatalogueItem(
        "1012",
        "Cycling Jersey",
        Decimal("69.00"),
        "standard",
        50,
        200,
        option_name="Size",
        variants=(*_SIZES[:2], CatalogueVariant("XL", "Extra large", Decimal("74.00"))),
    ),
    CatalogueItem("1013", "Water Bottle", Decimal("8.50"), "standard", 260, 80),
    CatalogueItem("1014", "Energy Bar", Decimal("2.49"), "reduced", 1000, 45),
    CatalogueItem("1015", "Trail Mix 250 g", Decimal("5.95"), "reduced", 400, 250),
    CatalogueItem("1016", "Mineral Water 6-pack", Decimal("3.30"), "reduced", 500, 9000),
    CatalogueItem("1017", "Alpine Road Atlas", Decimal("24.00"), "zero", 45, 600),
    CatalogueItem("1018", "Café mug «Größe M»", Decimal("14.00"), "standard", 70, 330),
    CatalogueItem("1019", "Workshop Apron", Decimal("39.00"), "standard", 25, 420),
)
"""What both the shop and the ERP sell."""

UNKNOWN_ITEM = CatalogueItem("9999", "Limited Edition Poster", Decimal("18.00"), "standard", 10, 100)
"""Sold by the shop but unknown to the ERP: an order with it cannot be mapped until somebody does."""

CUSTOMERS: tuple[CatalogueCustomer, ...] = (
    CatalogueCustomer(
        "C00010",
        "Ada",
        "Lovelace",
        "ada@example.com",
        "+390236000101",
        "Via Torino 12",
        "20123",
        "Milano",
        "Italy",
        "IT",
        "MI",
    ),
    CatalogueCustomer(
        "C00020",
        "Carlo",
        "Rossi",
        "carlo.rossi@example.com",
        "+390236000102",
        "Corso Como 5",
        "20154",
        "Milano",
        "Italy",
        "IT",
        "MI",
    ),
    CatalogueCustomer(
        "C00030",
        "Greta",
        "Müller",
        "greta@example.com",
        "+4930901820",
        "Torstraße 8",
        "10119",
        "Berlin",
        "Germany",
        "DE",
    ),
    CatalogueCustomer(
        "C00040",
        "Søren",
        "Holm",
        "soeren@example.com",
        "+4545454545",
        "Nørregade 3",
        "1165",
        "København",
        "Denmark",
        "DK",
    ),
    CatalogueCustomer(
        "C00050",
        "Inès",
        "Moreau",
        "ines@example.com",
        "+33140200506",
        "Rue Oberkampf 21",
        "75011",
        "Paris",
        "France",
        "FR",
    ),
    CatalogueCustomer(
        "C00060",
        "Luca",
        "Bianchi",
        "luca@officina.example",
        "+390612345678",
        "Via Appia 90",
        "00183",
        "Roma",
        "Italy",
        "IT",
        "RM",
        "Officina Bianchi",
    ),
    CatalogueCustomer(
        "C00070",
        "Marta",
        "Gruber",
        "marta@example.com",
        "+390471000107",
        "Lauben 14",
        "39100",
        "Bolzano",
        "Italy",
        "IT",
        "BZ",
    ),
    CatalogueCustomer(
        "C00080",
        "Anna",
        "O'Neill",
        "anna@example.com",
        "+35312345678",
        "Camden Street 40",
        "D02",
        "Dublin",
        "Ireland",
        "IE",
        "D",
    ),
)
"""Customers seeded into the shop; the ERP may know them or not."""

LOCATIONS: tuple[CatalogueLocation, ...] = (
    CatalogueLocation("MAIN", "Main warehouse", "Via dell'Industria 1", "20090", "Segrate"),
    CatalogueLocation("STORE", "City store", "Via Dante 7", "20121", "Milano"),
)
"""Where stock lies; online orders leave from the first."""


def ean13(number: str, index: int = 0) -> str:
    """A valid EAN-13 barcode made from an item number and the position of the variant."""
    digits = f"800{int(number):07d}{index:02d}"
    check = -sum(int(digit) * (3 if position % 2 else 1) for position, digit in enumerate(digits)) % 10
    return f"{digits}{check}"
