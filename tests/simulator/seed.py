"""Fills a shop with the demo catalogue, customers and locations."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from tests.simulator import catalogue
from tests.simulator.catalogue import CatalogueCustomer, CatalogueItem, CatalogueLocation, CatalogueVariant
from tests.simulator.entities import (
    Customer,
    InventoryItem,
    InventoryLevel,
    Location,
    LocationAddress,
    Product,
    ProductVariant,
)
from tests.simulator.orders import make_address
from tests.simulator.state import Shop


def seed_demo(shop: Shop, now: datetime) -> dict[str, int]:
    """Add locations, products (one of them unknown to the ERP) and customers; returns how many of each."""
    add_locations(shop, catalogue.LOCATIONS, now)
    for item in (*catalogue.ITEMS, catalogue.UNKNOWN_ITEM):
        add_product(shop, item, now)
    for customer in catalogue.CUSTOMERS:
        add_customer(shop, customer, now)
    return {
        "locations": len(shop.locations),
        "products": len(shop.products),
        "variants": len(shop.variants),
        "customers": len(shop.customers),
    }


def add_locations(shop: Shop, locations: Iterable[CatalogueLocation], now: datetime) -> None:
    """Add places that hold stock."""
    for place in locations:
        location = Location(
            legacy_resource_id=shop.new_number("Location"),
            name=place.name,
            address=LocationAddress(place.address1, place.zip, place.city, place.country_code),
            created_at=now,
            updated_at=now,
        )
        shop.locations.append(location)
        shop.register(location)


def add_product(shop: Shop, item: CatalogueItem, now: datetime) -> Product:
    """Add a product with its variants, each stocked at every location."""
    product = Product(
        legacy_resource_id=shop.new_number("Product"),
        title=item.description,
        handle=f"item-{item.number}",
        vendor=item.vendor,
        option_name=item.option_name,
        description_html=f"<p>{item.description}</p>",
        created_at=now,
        updated_at=now,
    )
    variants: tuple[CatalogueVariant | None, ...] = item.variants or (None,)
    for position, variant in enumerate(variants, start=1):
        _add_variant(shop, product, item, variant, position, now)
    shop.products.append(product)
    shop.register(product)
    return product


def _add_variant(
    shop: Shop, product: Product, item: CatalogueItem, variant: CatalogueVariant | None, position: int,
    now: datetime,
) -> None:  # fmt: skip
    sku = item.sku(variant)
    stock_item = InventoryItem(
        legacy_resource_id=shop.new_number("InventoryItem"), sku=sku, created_at=now, updated_at=now
    )
    shop.register(stock_item)
    for location in shop.locations:
        level = InventoryLevel(
            legacy_resource_id=location.legacy_resource_id,
            item=stock_item,
            location=location,
            available=item.stock,
            created_at=now,
            updated_at=now,
        )
        stock_item.inventory_levels.append(level)
        shop.register(level)
    price = item.price if variant is None or variant.price is None else variant.price
    made = ProductVariant(
        legacy_resource_id=shop.new_number("ProductVariant"),
        product=product,
        title="Default Title" if variant is None else variant.option,
        sku=sku,
        barcode=catalogue.ean13(item.number, 0 if variant is None else position),
        price=price,
        tax_rate=catalogue.TAX_RATES[item.tax_group],
        inventory_item=stock_item,
        position=position,
        weight_grams=item.weight_grams,
        created_at=now,
        updated_at=now,
    )
    product.variants.append(made)
    shop.register(made)


def add_customer(shop: Shop, known: CatalogueCustomer, now: datetime) -> Customer:
    """Add a customer with one address."""
    address = make_address(
        shop,
        first_name=known.first_name,
        last_name=known.last_name,
        company=known.company,
        address1=known.address1,
        zip=known.zip,
        city=known.city,
        province_code=known.province_code,
        country=known.country,
        country_code_v2=known.country_code,
        phone=known.phone,
    )
    customer = Customer(
        legacy_resource_id=shop.new_number("Customer"),
        first_name=known.first_name,
        last_name=known.last_name,
        email=known.email,
        phone=known.phone,
        addresses_v2=[address],
        created_at=now,
        updated_at=now,
    )
    shop.customers.append(customer)
    shop.register(customer)
    return customer


SHIPPING_TAX_RATE: Decimal = catalogue.TAX_RATES["standard"]
"""Shipping is taxed at the standard rate."""
