"""Customers: the shop's and the ERP's."""

from dataclasses import dataclass, field

from worker.model.address import Address, PartyAddress
from worker.model.ids import ErpId, Gid


@dataclass(frozen=True, slots=True)
class ShopifyCustomer:
    """The customer as an order names it. Empty text means absent or not released."""

    id: Gid
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    default_address: Address | None = None


@dataclass(frozen=True, slots=True)
class CustomerQuery:
    """Exactly one of the fields is set (ERP spec 1.2 row 3)."""

    number: str | None = None
    email: str | None = None
    phone: str | None = None
    """E.164, for example +390612345678."""


@dataclass(frozen=True, slots=True)
class CustomerDraft:
    """A customer to create. Fields left empty take the template's defaults."""

    address: PartyAddress
    email: str = ""
    phone: str = ""
    currency: str = ""
    """ISO code; empty: the company's own."""
    template: str = ""
    """Code of a customer template; empty: none."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the ERP."""

    erp_id: ErpId
    number: str
    version: str
    address: PartyAddress
    email: str
    phone: str
    currency: str
    """ISO code; never empty."""
    bill_to: ErpId | None
    """Who pays for this customer; None: itself."""
    prices_include_vat: bool
    blocked: bool
    tax_business_group: str = ""
    extras: dict[str, str] = field(default_factory=dict)
