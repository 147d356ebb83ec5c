"""Which customer an order belongs to (orders spec 4.2)."""

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.shop_settings import CustomerImport, CustomerMapping, ShopSettings
from tests.support.builders import a_customer, an_address, an_order
from tests.support.fake_erp import an_erp_customer, an_erp_setup
from worker.model.customer import Customer, CustomerQuery
from worker.model.shopify_order import ShopifyOrder
from worker.report import Issue
from worker.rules.customer_match import (
    CustomerDecision,
    FoundBy,
    FoundCustomer,
    NewCustomer,
    buyer_of,
    customer_queries,
    e164,
    match_customer,
)
from worker.rules.mapping_tables import CountryRow
from worker.rules.names import NameRules

EMAIL = CustomerQuery(email="ada@example.com")
PHONE = CustomerQuery(phone="+390612345678")
ADA = an_erp_customer("10000")
WALK_IN = an_erp_customer("99999", email="", phone="")
GUEST = an_order(customer=None)
UNRELEASED = an_order(
    customer=a_customer(first_name="", last_name="", email="", phone="", default_address=None),
    email="",
    phone="",
    sell_to=None,
    ship_to=None,
    bill_to=None,
)


def decide(
    order: ShopifyOrder | None = None,
    answers: Mapping[CustomerQuery, tuple[Customer, ...]] | None = None,
    *,
    linked: Customer | None = None,
    countries: Mapping[str, CountryRow] | None = None,
    **settings: Any,
) -> CustomerDecision:
    known = {CustomerQuery(number="99999"): (WALK_IN,), CustomerQuery(number="20000"): (an_erp_customer("20000"),)}
    return match_customer(
        buyer_of(order or an_order(), NameRules()),
        linked,
        known | dict(answers or {}),
        shop_code="my-shop",
        settings=ShopSettings(**settings),
        countries=countries or {},
        erp=an_erp_setup(),
    )


def code_of(decision: CustomerDecision) -> str:
    assert isinstance(decision, Issue)
    return decision.code


def test_the_email_finds_the_customer() -> None:
    assert decide(answers={EMAIL: (ADA,), PHONE: (WALK_IN,)}) == FoundCustomer(ADA, FoundBy.EMAIL)


def test_the_phone_finds_whom_the_email_does_not() -> None:
    assert decide(answers={PHONE: (ADA,)}) == FoundCustomer(ADA, FoundBy.PHONE)


@pytest.mark.parametrize("query", [EMAIL, PHONE])
def test_two_customers_with_the_same_contact_are_an_error_never_the_first(query: CustomerQuery) -> None:
    decision = decide(answers={query: (ADA, WALK_IN)}, default_customer_no="99999")

    assert code_of(decision) == "customer_ambiguous"
    assert isinstance(decision, Issue)
    assert "10000, 99999" in decision.message


def test_the_link_goes_before_email_and_phone() -> None:
    decision = decide(linked=WALK_IN, answers={EMAIL: (ADA,)})

    assert decision == FoundCustomer(WALK_IN, FoundBy.LINK)


def test_only_what_email_or_phone_found_is_worth_linking() -> None:
    worth = {by for by in FoundBy if FoundCustomer(ADA, by).worth_linking}

    assert worth == {FoundBy.EMAIL, FoundBy.PHONE}


def test_the_customer_of_the_ship_to_country_goes_before_everything() -> None:
    decision = decide(linked=ADA, countries={"IT": CountryRow("20000")}, default_customer_no="99999")

    assert isinstance(decision, FoundCustomer)
    assert (decision.customer.number, decision.by) == ("20000", FoundBy.COUNTRY)


def test_a_row_of_another_country_or_without_customer_changes_nothing() -> None:
    countries = {"DE": CountryRow("20000"), "IT": CountryRow(customer_template="CONSUMER")}

    assert decide(answers={EMAIL: (ADA,)}, countries=countries) == FoundCustomer(ADA, FoundBy.EMAIL)


@pytest.mark.parametrize(
    "settings",
    [
        {"customer_mapping_type": CustomerMapping.DEFAULT_CUSTOMER},
        {"customer_import_from_shopify": CustomerImport.NONE},
    ],
)
def test_a_shop_that_does_not_map_customers_uses_its_default(settings: dict[str, Any]) -> None:
    decision = decide(linked=ADA, answers={EMAIL: (ADA,)}, default_customer_no="99999", **settings)

    assert decision == FoundCustomer(WALK_IN, FoundBy.DEFAULT)


def test_without_import_and_default_customers_are_still_mapped() -> None:
    decision = decide(answers={EMAIL: (ADA,)}, customer_import_from_shopify=CustomerImport.NONE)

    assert decision == FoundCustomer(ADA, FoundBy.EMAIL)


@pytest.mark.parametrize("order", [GUEST, UNRELEASED])
def test_an_order_without_a_known_buyer_goes_straight_to_the_default(order: ShopifyOrder) -> None:
    decision = decide(order, {EMAIL: (ADA,)}, default_customer_no="99999", auto_create_unknown_customers=True)

    assert decision == FoundCustomer(WALK_IN, FoundBy.DEFAULT)


def test_without_a_default_the_reason_tells_guests_from_data_that_shopify_keeps() -> None:
    assert code_of(decide(GUEST)) == "customer_not_found"
    assert code_of(decide(UNRELEASED)) == "customer_data_not_released"


def test_what_shopify_withholds_is_not_taken_for_a_guest() -> None:
    withheld = an_order(customer=None, unavailable=("customer",))

    assert code_of(decide(withheld)) == "customer_data_not_released"
    assert code_of(decide(an_order(unavailable=("shippingAddress.address1",)))) == "customer_data_not_released"
    assert decide(withheld, default_customer_no="99999") == FoundCustomer(WALK_IN, FoundBy.DEFAULT)
    assert decide(an_order(unavailable=("staffMember",)), {EMAIL: (ADA,)}) == FoundCustomer(ADA, FoundBy.EMAIL)


def test_an_unreleased_buyer_that_is_linked_is_known_all_the_same() -> None:
    assert decide(UNRELEASED, linked=ADA) == FoundCustomer(ADA, FoundBy.LINK)


def test_an_unknown_buyer_is_created_where_the_shop_allows_it() -> None:
    decision = decide(auto_create_unknown_customers=True, customer_template_code="CONSUMER")

    assert isinstance(decision, NewCustomer)
    assert decision.key == "C:my-shop:7001"
    assert decision.queries == (EMAIL, PHONE)
    assert (decision.draft.address.name, decision.draft.address.city) == ("Ada Lovelace", "Roma")
    assert (decision.draft.email, decision.draft.phone) == ("ada@example.com", "+390612345678")
    assert decision.draft.template == "CONSUMER"


def test_a_countrys_template_goes_before_the_shops() -> None:
    assert (
        code_of(
            decide(
                auto_create_unknown_customers=True,
                customer_template_code="CONSUMER",
                countries={"IT": CountryRow(customer_template="ITALIAN")},
            )
        )
        == "customer_template_not_found"
    )


def test_a_new_customer_needs_a_template() -> None:
    decision = decide(auto_create_unknown_customers=True)

    assert code_of(decision) == "customer_template_missing"
    assert isinstance(decision, Issue)
    assert "backroom shops set my-shop customer_template_code=" in decision.message


def test_no_customer_is_created_without_an_address_or_without_import() -> None:
    nowhere = an_order(customer=a_customer(default_address=None), sell_to=None, ship_to=None, bill_to=None)
    allowed: dict[str, Any] = {"auto_create_unknown_customers": True, "customer_template_code": "CONSUMER"}

    assert code_of(decide(nowhere, **allowed)) == "customer_not_found"
    assert code_of(decide(customer_import_from_shopify=CustomerImport.NONE, **allowed)) == "customer_not_found"


def test_an_unknown_buyer_who_may_not_be_created_is_the_default_customer_or_nobody() -> None:
    assert decide(default_customer_no="99999") == FoundCustomer(WALK_IN, FoundBy.DEFAULT)
    assert code_of(decide()) == "customer_not_found"


def test_a_default_customer_that_does_not_exist_is_named() -> None:
    decision = decide(GUEST, default_customer_no="12345")

    assert code_of(decision) == "customer_not_found"
    assert isinstance(decision, Issue)
    assert "12345" in decision.message


def test_a_blocked_customer_gets_no_document() -> None:
    assert code_of(decide(answers={EMAIL: (an_erp_customer(blocked=True),)})) == "customer_blocked"


def test_every_look_up_is_asked_for_at_once() -> None:
    settings = ShopSettings(default_customer_no="99999")
    buyer = buyer_of(an_order(), NameRules())

    queries = customer_queries(buyer, settings, {"IT": CountryRow("20000")})

    assert queries == (CustomerQuery(number="20000"), CustomerQuery(number="99999"), EMAIL, PHONE)


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("06 1234 5678", "IT", "+390612345678"),
        ("+1 (212) 555-0199", "IT", "+12125550199"),
        ("0039 06 1234 5678", "IT", "+390612345678"),
        ("06 1234 5678", "", ""),
        ("12", "IT", ""),
        ("call me", "IT", ""),
        ("", "IT", ""),
    ],
)
def test_phones_compare_as_e164(phone: str, country: str, expected: str) -> None:
    assert e164(phone, country) == expected


def test_the_customers_own_contact_goes_before_the_orders() -> None:
    order = an_order(email="gift@example.com", phone="+390699999999", sell_to=an_address(city="Milano"))

    buyer = buyer_of(order, NameRules())

    assert (buyer.email, buyer.phone) == ("ada@example.com", "+390612345678")
    assert buyer.new_customer is not None
    assert buyer.new_customer.address.city == "Roma"
