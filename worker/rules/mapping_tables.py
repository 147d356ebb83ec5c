"""The tables that judgement is based on: a shop's mappings, and what the ERP company offers.

Plain values: `worker.database.mappings` reads the first, the reports ask the ERP for the second, once a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.model.ids import ErpId, Gid


@dataclass(frozen=True, slots=True)
class VariantLink:
    """A variant that an operator or the product sync tied to an item."""

    item_no: str
    variant_code: str = ""
    unit_of_measure: str = ""
    """Empty: the item's own sales unit."""


@dataclass(frozen=True, slots=True)
class ShipmentMapping:
    """What a shipping charge of one title means. Empty text: not mapped."""

    shipment_method: str = ""
    agent: str = ""
    agent_service: str = ""
    account: str = ""
    """G/L account of the charge; empty: the shop's shipping account."""


@dataclass(frozen=True, slots=True)
class CountryRow:
    """What a shop does with buyers of one ship-to country. Empty text: nothing special."""

    default_customer_no: str = ""
    customer_template: str = ""


@dataclass(frozen=True, slots=True)
class ShopMappings:
    """The mapping tables of one shop, as far as a batch of orders needs them."""

    customers: Mapping[Gid, ErpId] = field(default_factory=dict)
    variants: Mapping[Gid, VariantLink] = field(default_factory=dict)
    shipments: Mapping[str, ShipmentMapping] = field(default_factory=dict)
    payments: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Payment method by (gateway, card company); empty text: not mapped."""
    countries: Mapping[str, CountryRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """A G/L account of the ERP."""

    blocked: bool
    tax_product_group: str


@dataclass(frozen=True, slots=True)
class ErpSetup:
    """What an ERP company offers: read once a run, never per order."""

    time_zone: str
    currencies: frozenset[str]
    """ISO codes, the company's own among them."""
    countries: frozenset[str]
    payment_methods: frozenset[str]
    shipment_methods: frozenset[str]
    shipping_agents: frozenset[str]
    customer_templates: frozenset[str]
    accounts: Mapping[str, Account]
    lengths: Mapping[str, int]
    """Longest text per field, in characters; a field that is not named has no limit."""
