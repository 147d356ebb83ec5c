"""Which ERP customer an order of a consumer belongs to (orders spec 4.2).

In this order: the default customer of the ship-to country; the shop's default customer where customers are not
mapped or not imported; the customer that is linked already; one customer with the same e-mail; one with the same
phone; a new customer, where the shop allows it; the shop's default customer. Two customers with the same e-mail
or phone are an error: choosing one would be a guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers

from schemas.shop_settings import CustomerImport, CustomerMapping, ShopSettings
from worker.model.customer import Customer, CustomerDraft, CustomerQuery
from worker.model.ids import Gid, numeric_id
from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue
from worker.rules.mapping_tables import CountryRow, ErpSetup
from worker.rules.names import NameRules, clean_phone, fitted_address, party_address, unless_too_long, with_person

_BUYER_FIELDS = frozenset({"customer", "displayAddress", "shippingAddress", "billingAddress"})
"""Shopify's fields that tell who bought; without approval they come empty."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the match reads of an order."""

    shopify_customer: Gid | None
    """None: a guest."""
    email: str
    phone: str
    """E.164; empty: none, or none that is a valid number."""
    released: bool
    """False: Shopify keeps customer or addresses from us, or shows nothing of them (protected customer data)."""
    ship_to_country: str
    new_customer: CustomerDraft | None
    """The customer as it would be created, template aside; None: the order has no address to create one from."""


class FoundBy(StrEnum):
    """What decided about a customer."""

    COUNTRY = "country"
    DEFAULT = "default"
    LINK = "link"
    EMAIL = "email"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class FoundCustomer:
    """A customer that exists."""

    customer: Customer
    by: FoundBy

    @property
    def worth_linking(self) -> bool:
        """Whether the shop's customer should be tied to this one for the next orders."""
        return self.by in (FoundBy.EMAIL, FoundBy.PHONE)


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer to create first."""

    draft: CustomerDraft
    key: str
    """Idempotency key of the creation (ERP spec 1.4)."""
    queries: tuple[CustomerQuery, ...]
    """What would find it once it exists: two orders of one batch create it only once."""


CustomerDecision = FoundCustomer | NewCustomer | Issue


def buyer_of(order: ShopifyOrder, rules: NameRules) -> Buyer:
    """The buyer as the order shows them. The customer's own contact data go before the order's."""
    customer = order.customer
    address = (customer.default_address if customer is not None else None) or order.sell_to or order.bill_to
    ship_to = order.ship_to or order.sell_to
    email = (customer.email if customer is not None else "") or order.email
    phone = next(
        (
            candidate
            for candidate in (
                customer.phone if customer is not None else "",
                order.phone,
                address.phone if address is not None else "",
            )
            if candidate
        ),
        "",
    )
    first, last = (customer.first_name, customer.last_name) if customer is not None else ("", "")
    named = with_person(address, first, last)
    draft = None
    if named is not None and party_address(named, rules).name:
        draft = CustomerDraft(party_address(named, rules), email=email, phone=clean_phone(phone))
    return Buyer(
        shopify_customer=customer.id if customer is not None else None,
        email=email,
        phone=e164(phone, named.country if named is not None else ""),
        released=not _withheld(order) and bool(email or phone or first or last or draft),
        ship_to_country=ship_to.country if ship_to is not None else "",
        new_customer=draft,
    )


def _withheld(order: ShopifyOrder) -> bool:
    """Whether what is empty about the buyer may only be hidden."""
    return any(path.split(".", 1)[0] in _BUYER_FIELDS for path in order.unavailable)


def e164(phone: str, country: str) -> str:
    """The number in E.164, read as a national one of that country where it has no country code.

    Empty text: it is no valid number.

    >>> e164("06 1234 5678", "IT")
    '+390612345678'
    """
    try:
        number = phonenumbers.parse(phone, country or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def customer_queries(
    buyer: Buyer, settings: ShopSettings, countries: Mapping[str, CountryRow]
) -> tuple[CustomerQuery, ...]:
    """Every look-up that `match_customer` may need for this buyer."""
    numbers = {countries.get(buyer.ship_to_country, CountryRow()).default_customer_no, settings.default_customer_no}
    by_number = [CustomerQuery(number=number) for number in sorted(numbers) if number]
    return (*by_number, *_contact_queries(buyer.email, buyer.phone))


def match_customer(
    buyer: Buyer,
    linked: Customer | None,
    answers: Mapping[CustomerQuery, tuple[Customer, ...]],
    *,
    shop_code: str,
    settings: ShopSettings,
    countries: Mapping[str, CountryRow],
    erp: ErpSetup,
) -> CustomerDecision:
    """Decide. `linked` is the ERP customer tied to the shop's customer, None where there is none (any more);
    `answers` are those to `customer_queries`.
    """
    country = countries.get(buyer.ship_to_country, CountryRow())
    if country.default_customer_no:
        return _by_number(country.default_customer_no, FoundBy.COUNTRY, answers)
    default = settings.default_customer_no
    unmapped = settings.customer_mapping_type is CustomerMapping.DEFAULT_CUSTOMER
    if default and (unmapped or settings.customer_import_from_shopify is CustomerImport.NONE):
        return _by_number(default, FoundBy.DEFAULT, answers)
    if buyer.shopify_customer is not None and linked is not None:
        return _usable(linked, FoundBy.LINK)
    if buyer.shopify_customer is None or not buyer.released:
        return _by_number(default, FoundBy.DEFAULT, answers) if default else _nobody(buyer, shop_code)
    for query in _contact_queries(buyer.email, buyer.phone):
        found = answers.get(query, ())
        if len(found) > 1:
            return _ambiguous(query, found)
        if found:
            return _usable(found[0], FoundBy.EMAIL if query.email is not None else FoundBy.PHONE)
    if _may_create(settings) and buyer.new_customer is not None:
        return _new(buyer, buyer.shopify_customer, buyer.new_customer, shop_code, settings, countries, erp)
    if default:
        return _by_number(default, FoundBy.DEFAULT, answers)
    return _not_found(buyer, shop_code)


def _may_create(settings: ShopSettings) -> bool:
    return settings.auto_create_unknown_customers and settings.customer_import_from_shopify is not CustomerImport.NONE


def _contact_queries(email: str, phone: str) -> tuple[CustomerQuery, ...]:
    by_email = (CustomerQuery(email=email),) if email else ()
    by_phone = (CustomerQuery(phone=phone),) if phone else ()
    return by_email + by_phone


def _by_number(
    number: str, by: FoundBy, answers: Mapping[CustomerQuery, tuple[Customer, ...]]
) -> FoundCustomer | Issue:
    found = answers.get(CustomerQuery(number=number), ())
    if not found:
        return Issue(
            "customer_not_found",
            f"the {by} customer {number} does not exist in the ERP: create it, or set another one",
            entity="customer",
            value=number,
        )
    return _usable(found[0], by)


def _usable(customer: Customer, by: FoundBy) -> FoundCustomer | Issue:
    if customer.blocked:
        return Issue(
            "customer_blocked",
            f"customer {customer.number} is blocked in the ERP: unblock it, then process the order again",
            entity="customer",
            value=customer.number,
        )
    return FoundCustomer(customer, by)


def _new(
    buyer: Buyer,
    shopify_customer: Gid,
    draft: CustomerDraft,
    shop_code: str,
    settings: ShopSettings,
    countries: Mapping[str, CountryRow],
    erp: ErpSetup,
) -> NewCustomer | Issue:
    country = draft.address.country
    template = countries.get(country, CountryRow()).customer_template or settings.customer_template_code
    if not template:
        return Issue(
            "customer_template_missing",
            f"a new customer needs a template: `backroom shops set {shop_code} customer_template_code=CODE`, "
            f"or give country {country or '(none)'} one",
            entity="customer",
            value=country,
        )
    if template not in erp.customer_templates:
        return Issue(
            "customer_template_not_found",
            f"the ERP has no customer template {template}: create it, or set another one",
            entity="customer",
            value=template,
        )
    return NewCustomer(
        draft=CustomerDraft(
            address=fitted_address(draft.address, erp.lengths, erp.countries),
            email=unless_too_long(draft.email, "email", erp.lengths),
            phone=unless_too_long(draft.phone, "phone", erp.lengths),
            template=template,
        ),
        key=f"C:{shop_code}:{numeric_id(shopify_customer)}",
        queries=_contact_queries(buyer.email, buyer.phone),
    )


def _ambiguous(query: CustomerQuery, found: tuple[Customer, ...]) -> Issue:
    numbers = ", ".join(customer.number for customer in found)
    kind, value = ("e-mail", query.email) if query.email is not None else ("phone", query.phone)
    return Issue(
        "customer_ambiguous",
        f"{kind} {value} belongs to several customers ({numbers}): link the buyer to one of them",
        entity="customer",
        value=value or "",
    )


def _nobody(buyer: Buyer, shop_code: str) -> Issue:
    way_out = f"`backroom shops set {shop_code} default_customer_no=NUMBER`"
    if not buyer.released:
        return Issue(
            "customer_data_not_released",
            "Shopify shows no customer data for this order: request access to protected customer data for the app, "
            f"or collect such orders under one customer: {way_out}",
            entity="customer",
        )
    return Issue(
        "customer_not_found",
        f"the order names no customer: collect such orders under one customer: {way_out}",
        entity="customer",
        value=buyer.email,
    )


def _not_found(buyer: Buyer, shop_code: str) -> Issue:
    known = buyer.email or buyer.phone or "(no e-mail, no phone)"
    return Issue(
        "customer_not_found",
        f"no customer has {known}: create one in the ERP, or `backroom shops set {shop_code} "
        "auto_create_unknown_customers=true`, or set default_customer_no",
        entity="customer",
        value=known,
    )
