"""What ties a shop's records to the ERP's: mapping tables, and the documents made of orders.

Functions take an open connection and leave committing to its owner.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.model.ids import ErpId, Gid, numeric_id
from worker.model.sales_document import Document, DocumentType
from worker.model.shopify_order import ShopifyOrder
from worker.rules.mapping_tables import CountryRow, ShipmentMapping, ShopMappings, VariantLink
from worker.rules.order_mapping import payment_keys

SQL = load("mappings")


class Intent(StrEnum):
    """Whether a document may be made now."""

    FIRST = "first"
    REPEATED = "repeated"
    """Somebody was about to make it before: look for it first."""
    PROCESSED = "processed"
    ORDER_CHANGED = "order_changed"
    """The mirror holds another version than the plan was made of, or none."""


@dataclass(frozen=True, slots=True)
class OrderDocument:
    """The document of an order, or the intent to make one."""

    key: str
    document_type: DocumentType | None
    """None, like the two below: the ERP was about to be asked; whether the document exists is open."""
    erp_id: ErpId | None
    number: str | None


def load_mappings(connection: Connection[DictRow], shop_code: str, orders: Sequence[ShopifyOrder]) -> ShopMappings:
    """The rows of the mapping tables that these orders touch, in five statements however many orders there are."""
    customers = {numeric_id(order.customer.id) for order in orders if order.customer is not None}
    variants = {numeric_id(line.variant_id) for order in orders for line in order.lines if line.variant_id is not None}
    gateways = {gateway for order in orders for gateway, _ in payment_keys(order)}
    return ShopMappings(
        customers={
            _gid("Customer", row["id"]): ErpId(row["erp_customer"])
            for row in connection.execute(SQL["customer_links"], {"shop": shop_code, "ids": sorted(customers)})
        },
        variants={
            _gid("ProductVariant", row["variant_id"]): VariantLink(
                row["item_no"], row["variant_code"], row["unit_of_measure"]
            )
            for row in connection.execute(SQL["variant_links"], {"shop": shop_code, "ids": sorted(variants)})
        },
        shipments={
            row["title"]: ShipmentMapping(row["shipment_method"], row["agent"], row["agent_service"], row["account"])
            for row in connection.execute(
                SQL["shipment_methods"], {"shop": shop_code, "titles": sorted(_titles(orders))}
            )
        },
        payments={
            (row["gateway"], row["card_company"]): row["payment_method"]
            for row in connection.execute(SQL["payment_methods"], {"shop": shop_code, "gateways": sorted(gateways)})
        },
        countries={
            row["country"]: CountryRow(row["default_customer_no"], row["customer_template"])
            for row in connection.execute(SQL["countries"], {"shop": shop_code})
        },
    )


def remember(
    connection: Connection[DictRow],
    shop_code: str,
    orders: Sequence[ShopifyOrder],
    known: ShopMappings,
    countries: Collection[str],
) -> None:
    """Keep the orders' buyers, and an empty row for every shipping title, gateway and country not `known` yet."""
    buyers = {numeric_id(order.customer.id): order.customer for order in orders if order.customer is not None}
    if buyers:
        connection.execute(
            SQL["remember_customers"],
            {
                "shop": shop_code,
                "ids": list(buyers),
                "first_names": [buyer.first_name for buyer in buyers.values()],
                "last_names": [buyer.last_name for buyer in buyers.values()],
                "emails": [buyer.email for buyer in buyers.values()],
                "phones": [buyer.phone for buyer in buyers.values()],
            },
        )
    titles = sorted(_titles(orders) - known.shipments.keys())
    if titles:
        connection.execute(SQL["remember_titles"], {"shop": shop_code, "titles": titles})
    gateways = sorted({key for order in orders for key in payment_keys(order)} - known.payments.keys())
    if gateways:
        connection.execute(
            SQL["remember_gateways"],
            {
                "shop": shop_code,
                "gateways": [gateway for gateway, _ in gateways],
                "card_companies": [company for _, company in gateways],
            },
        )
    unknown = sorted(set(countries) - known.countries.keys())
    if unknown:
        connection.execute(SQL["remember_countries"], {"shop": shop_code, "countries": unknown})


def link_customer(
    connection: Connection[DictRow],
    shop_code: str,
    shopify_customer: Gid,
    erp_customer: ErpId,
    *,
    instead_of: ErpId | None,
) -> None:
    """Tie a buyer to an ERP customer. `instead_of` is the link that was seen before (None: none): one that
    somebody made meanwhile stays."""
    connection.execute(
        SQL["link_customer"],
        {
            "shop": shop_code,
            "id": numeric_id(shopify_customer),
            "erp_customer": erp_customer,
            "instead_of": instead_of,
        },
    )


def documents(
    connection: Connection[DictRow], shop_code: str, order_ids: Sequence[Gid], purpose: str
) -> Mapping[Gid, OrderDocument]:
    """Documents and open intents, by order."""
    rows = connection.execute(
        SQL["documents"],
        {"shop": shop_code, "purpose": purpose, "ids": [numeric_id(order_id) for order_id in order_ids]},
    )
    return {
        _gid("Order", row["order_id"]): OrderDocument(
            key=row["key"],
            document_type=DocumentType(row["document_type"]) if row["document_type"] is not None else None,
            erp_id=row["erp_id"],
            number=row["number"],
        )
        for row in rows
    }


def intend(connection: Connection[DictRow], shop_code: str, order: ShopifyOrder, purpose: str, key: str) -> Intent:
    """Say that the ERP is about to be asked for the document of an order, as `order` shows it."""
    parameters = _of(shop_code, order.id, purpose) | {"key": key, "updated_at": order.updated_at}
    row = connection.execute(SQL["intend"], parameters).fetchone()
    if row is None or not row["unchanged"]:
        return Intent.ORDER_CHANGED
    if row["processed"]:
        return Intent.PROCESSED
    return Intent.FIRST if row["first"] else Intent.REPEATED


def complete(connection: Connection[DictRow], shop_code: str, order_id: Gid, purpose: str, document: Document) -> None:
    """The document exists: the intent becomes its link. Done twice it changes nothing."""
    connection.execute(
        SQL["complete"],
        _of(shop_code, order_id, purpose)
        | {"document_type": document.type.value, "erp_id": document.erp_id, "number": document.number},
    )


def withdraw(connection: Connection[DictRow], shop_code: str, order_id: Gid, purpose: str) -> None:
    """The ERP refused for good: there is no document, and nothing to look for."""
    connection.execute(SQL["withdraw"], _of(shop_code, order_id, purpose))


def _titles(orders: Sequence[ShopifyOrder]) -> set[str]:
    return {charge.title for order in orders for charge in order.shipping_charges}


def _of(shop_code: str, order_id: Gid, purpose: str) -> dict[str, object]:
    return {"shop": shop_code, "order_id": numeric_id(order_id), "purpose": purpose}


def _gid(kind: str, number: int) -> Gid:
    return Gid(f"gid://shopify/{kind}/{number}")
