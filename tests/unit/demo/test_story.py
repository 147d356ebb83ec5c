"""The demo's story fits the shop's catalogue and the ERP's seed."""

from tests.demo import story
from tests.demo.story import Arrival
from tests.simulator import catalogue
from tests.support import erp_seed

SKUS = {item.sku(variant) for item in catalogue.ITEMS for variant in (item.variants or (None,))}
EMAILS = {customer.email: customer.number for customer in catalogue.CUSTOMERS}


def test_every_way_of_arrival_is_shown() -> None:
    assert {each.arrival for each in story.ALL} == set(Arrival)


def test_only_a_refused_order_sells_what_the_erp_does_not_know() -> None:
    for each in story.ALL:
        unknown = {line["sku"] for line in each.request["lines"]} - SKUS
        assert bool(unknown) == bool(each.refused_as), each.what


def test_buyers_are_booked_on_their_own_customer_or_are_new_to_the_erp() -> None:
    for each in story.ALL:
        number = EMAILS[str(each.request["customer"])]
        if each.customer is not None:
            assert each.customer == number, each.what
        elif not each.refused_as:
            assert number in story.UNKNOWN_CUSTOMERS, each.what


def test_customers_left_out_of_the_erp_are_customers_of_the_shop() -> None:
    seeded = {row["number"] for kind, rows in erp_seed.rows() if kind == "customers" for row in rows}

    assert seeded >= story.UNKNOWN_CUSTOMERS
