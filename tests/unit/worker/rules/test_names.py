"""Names, addresses and phones of documents (orders spec 4.1, examples 4 and 5)."""

import pytest

from schemas.shop_settings import CountySource, NameSource, ShopSettings
from tests.support.builders import an_address
from worker.model.address import Address, PartyAddress
from worker.rules.names import (
    NameRules,
    clean_phone,
    fitted_address,
    party_address,
    shortened,
    unless_too_long,
    with_person,
)

DEFAULTS = NameRules()


def names(address: Address, rules: NameRules = DEFAULTS) -> tuple[str, str, str]:
    party = party_address(address, rules)
    return party.name, party.name_2, party.contact


def test_a_person_without_company_is_the_name_and_no_second_line_repeats_it() -> None:
    assert names(an_address()) == ("Ada Lovelace", "", "Ada Lovelace")


def test_a_company_goes_first_and_its_person_second() -> None:
    assert names(an_address(company="ACME")) == ("ACME", "Ada Lovelace", "Ada Lovelace")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (NameRules(name=NameSource.LAST_FIRST), ("Lovelace Ada", "Ada Lovelace", "Ada Lovelace")),
        (NameRules(name_2=NameSource.NONE), ("ACME", "", "Ada Lovelace")),
        (NameRules(name=NameSource.NONE, name_2=NameSource.COMPANY_NAME), ("ACME", "", "Ada Lovelace")),
        (NameRules(contact=NameSource.NONE), ("ACME", "Ada Lovelace", "")),
    ],
)
def test_each_line_comes_from_its_source(rules: NameRules, expected: tuple[str, str, str]) -> None:
    assert names(an_address(company="ACME"), rules) == expected


def test_a_first_or_last_name_alone_has_no_blank_around_it() -> None:
    assert names(Address(first_name="Ada"))[0] == "Ada"
    assert names(Address(last_name="Lovelace"))[0] == "Lovelace"


def test_the_county_is_the_code_or_the_name_of_the_province() -> None:
    address = an_address(province_code="RM", province="Roma")

    assert party_address(address, DEFAULTS).county == "RM"
    assert party_address(address, NameRules(county=CountySource.NAME)).county == "Roma"


def test_no_address_is_an_empty_one() -> None:
    assert party_address(None, DEFAULTS) == PartyAddress()


def test_rules_come_from_the_shops_settings() -> None:
    settings = ShopSettings(name_source=NameSource.FIRST_LAST, county_source=CountySource.NAME)

    assert NameRules.of(settings) == NameRules(name=NameSource.FIRST_LAST, county=CountySource.NAME)


def test_an_address_without_a_person_takes_the_customers_name() -> None:
    assert with_person(an_address(first_name="", last_name=""), "Grace", "Hopper") == an_address(
        first_name="Grace", last_name="Hopper"
    )
    assert with_person(an_address(), "Grace", "Hopper") == an_address()
    assert with_person(None, "Grace", "Hopper") is None


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("+1 (555) 010-0199 x3", "+1 (555) 0100199 3"),
        ("06/123.45", "06/123.45"),
        ("ext", ""),
        ("", ""),
    ],
)
def test_phones_keep_only_what_documents_accept(given: str, cleaned: str) -> None:
    assert clean_phone(given) == cleaned


def test_texts_are_cut_to_what_the_erp_keeps() -> None:
    assert shortened("Rome the eternal", "city", {"city": 5}) == "Rome"
    assert shortened("Rome", "city", {}) == "Rome"


def test_half_an_email_is_none() -> None:
    assert unless_too_long("ada@example.com", "email", {"email": 15}) == "ada@example.com"
    assert unless_too_long("ada@example.com", "email", {"email": 14}) == ""


def test_an_address_is_fitted_part_by_part_and_an_unknown_country_left_out() -> None:
    party = party_address(an_address(company="A" * 200), DEFAULTS)

    fitted = fitted_address(party, {"name": 100}, frozenset({"DE"}))

    assert (len(fitted.name), fitted.country, fitted.city) == (100, "", "Roma")
