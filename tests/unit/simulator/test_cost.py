"""Query cost: numbers of the model, asserted exactly (orders spec 11)."""

from collections.abc import Mapping

import pytest
from graphql import DocumentNode, OperationDefinitionNode, get_operation_ast, parse

from tests.simulator.cost import actual_cost, page_factor, requested_cost
from tests.simulator.resolvers import load_schema
from tests.unit.simulator.conftest import document


@pytest.mark.parametrize(
    ("name", "variables", "points"),
    [
        ("orders_changed", {"first": 100}, 110),
        ("orders_changed", {"first": 25}, 74),
        ("order_import", {"lines": 100, "withStaff": False}, 283),
        ("order_import", {"lines": 100, "withStaff": True}, 284),
        ("order_returns", {}, 535),
    ],
)
def test_the_operations_of_the_orders_spec_cost_what_it_says(
    name: str, variables: dict[str, object], points: int
) -> None:
    assert _requested(document(name), variables) == points


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("{ shop { name currencyCode } }", 1),
        ("{ shop { name plan { publicDisplayName } } }", 2),
        ("{ orders(first: 100) { nodes { id totalPriceSet { shopMoney { amount } } } } }", 2 + 9 * 1),
        ("{ orders(first: 100) { edges { node { id } } pageInfo { hasNextPage } } }", 2 + 9 * 1),
        ("{ orders(first: 1) { nodes { id } } }", 2 + 1),
        ("{ orders(first: 10) { nodes { lineItems(first: 5) { nodes { id } } } } }", 2 + 4 * (1 + 2 + 3 * 1)),
        ('{ nodes(ids: ["a", "b", "c"]) { id ... on Order { customer { id } } } }', 3 * 2),
        ('mutation { orderClose(input: {id: "a"}) { order { customer { id } } } }', 10),
        (
            'mutation { a: orderClose(input: {id: "a"}) { order { id } }'
            ' b: orderOpen(input: {id: "a"}) { order { id } } }',
            20,
        ),
        (
            "{ order(id: 1) { purchasingEntity { ... on Customer { id } "
            "... on PurchasingCompany { company { id } } } } }",
            3,
        ),
    ],
)  # fmt: skip
def test_small_operations_cost_by_the_table(query: str, points: int) -> None:
    assert _requested(query, {}) == points


@pytest.mark.parametrize(("size", "factor"), [(0, 0), (1, 1), (2, 1), (5, 3), (10, 4), (50, 7), (100, 9), (250, 11)])
def test_a_page_is_charged_by_the_logarithm_of_its_size(size: int, factor: int) -> None:
    assert page_factor(size) == factor


def test_what_was_not_returned_is_not_charged() -> None:
    query = "{ orders(first: 100) { nodes { id customer { id } lineItems(first: 50) { nodes { id } } } } }"
    data: dict[str, object] = {
        "orders": {
            "nodes": [
                {"id": "1", "customer": None, "lineItems": {"nodes": [{"id": "1"}, {"id": "2"}]}},
                {"id": "2", "customer": {"id": "9"}, "lineItems": {"nodes": []}},
            ]
        }
    }
    text, operation = parsed(query)

    assert _requested(query, {}) == 2 + 9 * (1 + 1 + 2 + 7)
    assert actual_cost(load_schema(), text, operation, {}, data) == 2 + 1 * (1 + 2 + 1)
    assert actual_cost(load_schema(), text, operation, {}, {"orders": None}) == 0


def test_a_field_left_out_by_a_directive_costs_nothing() -> None:
    query = "query Q($with: Boolean!) { shop { name plan @include(if: $with) { shopifyPlus } } }"

    assert _requested(query, {"with": True}) == 2
    assert _requested(query, {"with": False}) == 1


def parsed(query: str) -> tuple[DocumentNode, OperationDefinitionNode]:
    text = parse(query)
    operation = get_operation_ast(text)
    assert operation is not None
    return text, operation


def _requested(query: str, variables: Mapping[str, object]) -> int:
    return requested_cost(load_schema(), *parsed(query), variables)
