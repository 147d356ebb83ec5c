"""The simulated shop's catalogue as rows for the embedded ERP, so that both worlds sell the same items."""

from collections.abc import Iterator, Mapping

from tests.simulator import catalogue

TAX_GROUPS = {"standard": "STANDARD", "reduced": "REDUCED", "zero": "ZERO"}


def rows() -> Iterator[tuple[str, list[Mapping[str, object]]]]:
    """(kind of `erp import`, rows) in the order they must be imported."""
    yield "customers", [_customer(customer) for customer in catalogue.CUSTOMERS]
    yield "items", [_item(item) for item in catalogue.ITEMS]
    yield (
        "item-variants",
        [
            {"item": item.number, "code": variant.code, "description": f"{item.description} {variant.option}"}
            for item in catalogue.ITEMS
            for variant in item.variants
        ],
    )
    yield "item-references", list(_references())


def _customer(customer: catalogue.CatalogueCustomer) -> Mapping[str, object]:
    return {
        "number": customer.number,
        "name": customer.company or f"{customer.first_name} {customer.last_name}",
        "address": customer.address1,
        "post_code": customer.zip,
        "city": customer.city,
        "country": customer.country_code,
        "phone": customer.phone,
        "email": customer.email,
        "tax_business_group": "DOMESTIC",
        "prices_include_vat": True,
    }


def _item(item: catalogue.CatalogueItem) -> Mapping[str, object]:
    return {
        "number": item.number,
        "description": item.description,
        "base_unit": "PCS",
        "unit_price": str(item.price),
        "price_includes_vat": True,
        "tax_product_group": TAX_GROUPS[item.tax_group],
    }


def _references() -> Iterator[Mapping[str, object]]:
    for item in catalogue.ITEMS:
        if not item.variants:
            yield {"item": item.number, "type": "barcode", "value": catalogue.ean13(item.number)}
        for index, variant in enumerate(item.variants, start=1):
            yield {
                "item": item.number,
                "variant": variant.code,
                "type": "barcode",
                "value": catalogue.ean13(item.number, index),
            }
