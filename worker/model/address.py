"""A postal address with its person, as both worlds know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A Shopify address. Empty text means absent; protected fields may be empty (platform spec 3.4)."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address_1: str = ""
    address_2: str = ""
    post_code: str = ""
    city: str = ""
    province_code: str = ""
    province: str = ""
    country: str = ""
    """ISO 3166 alpha-2 code."""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class PartyAddress:
    """Name and address as a document of the ERP carries them."""

    name: str = ""
    name_2: str = ""
    contact: str = ""
    address: str = ""
    address_2: str = ""
    post_code: str = ""
    city: str = ""
    county: str = ""
    country: str = ""
    """ISO 3166 alpha-2 code."""
