"""From a Shopify address to the name lines and the address of an ERP document (orders spec 4.1, 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from schemas.shop_settings import CountySource, NameSource, ShopSettings
from worker.model.address import Address, PartyAddress

_PHONE_CHARACTERS = frozenset("0123456789 +()/.")


@dataclass(frozen=True, slots=True)
class NameRules:
    """Where the three name lines and the county come from."""

    name: NameSource = NameSource.COMPANY_NAME
    name_2: NameSource = NameSource.FIRST_LAST
    contact: NameSource = NameSource.FIRST_LAST
    county: CountySource = CountySource.CODE

    @classmethod
    def of(cls, settings: ShopSettings) -> "NameRules":
        """The rules that a shop's settings state."""
        return cls(settings.name_source, settings.name_2_source, settings.contact_source, settings.county_source)


def party_address(address: Address | None, rules: NameRules) -> PartyAddress:
    """Name and address for a document; all empty where the order has no address (the ERP keeps its own).

    The name falls back to the second source; a second line that repeats the first is left out.
    """
    if address is None:
        return PartyAddress()
    second = _name(address, rules.name_2)
    name = _name(address, rules.name) or second
    return PartyAddress(
        name=name,
        name_2="" if second == name else second,
        contact=_name(address, rules.contact),
        address=address.address_1,
        address_2=address.address_2,
        post_code=address.post_code,
        city=address.city,
        county=address.province_code if rules.county is CountySource.CODE else address.province,
        country=address.country,
    )


def with_person(address: Address | None, first_name: str, last_name: str) -> Address | None:
    """The address with the customer's own name where it names nobody (orders spec 3.2)."""
    if address is None or address.first_name or address.last_name:
        return address
    return replace(address, first_name=first_name, last_name=last_name)


def clean_phone(phone: str) -> str:
    """The phone with the characters that documents accept: digits, blank and `+()/.` (orders spec 5.3).

    >>> clean_phone("+1 (555) 010-0199 x3")
    '+1 (555) 0100199 3'
    """
    return "".join(character for character in phone if character in _PHONE_CHARACTERS).strip()


def shortened(text: str, field: str, lengths: Mapping[str, int]) -> str:
    """The text cut to what the ERP stores in that field; a field without a limit is left alone."""
    limit = lengths.get(field)
    return text if limit is None else text[:limit].rstrip()


def fitted_address(address: PartyAddress, lengths: Mapping[str, int], countries: frozenset[str]) -> PartyAddress:
    """The address as the ERP can keep it: every part cut to its limit, a country it does not know left out."""
    parts = {part.name: shortened(getattr(address, part.name), part.name, lengths) for part in fields(address)}
    parts["country"] = address.country if address.country in countries else ""
    return PartyAddress(**parts)


def unless_too_long(text: str, field: str, lengths: Mapping[str, int]) -> str:
    """The text, or nothing where it does not fit: half an e-mail address reaches the wrong person."""
    limit = lengths.get(field)
    return "" if limit is not None and len(text) > limit else text


def _name(address: Address, source: NameSource) -> str:
    match source:
        case NameSource.COMPANY_NAME:
            return address.company.strip()
        case NameSource.FIRST_LAST:
            return f"{address.first_name} {address.last_name}".strip()
        case NameSource.LAST_FIRST:
            return f"{address.last_name} {address.first_name}".strip()
        case NameSource.NONE:
            return ""
