"""Every operation we send is valid against Shopify's official schema, uses nothing deprecated, and is affordable."""

from collections.abc import Mapping
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse
from graphql.utilities import value_from_ast_untyped

from tests.simulator.cost import requested_cost
from tests.support import official_schema
from worker.errors import Bug
from worker.shopify import documents
from worker.shopify.documents import OperationKind

EVERY_OPERATION = pytest.mark.parametrize("name", documents.operation_names())

LARGEST_VARIABLES: dict[str, dict[str, Any]] = {
    "OrdersChanged": {"first": 250},
    "OrderSummaries": {"ids": [f"gid://shopify/Order/{number}" for number in range(50)]},
}
"""The most that our code ever asks for, where that is more than the operation's own defaults."""


def cost_of(name: str, largest: Mapping[str, dict[str, Any]] = LARGEST_VARIABLES) -> int:
    document = parse(documents.operation(name).text)
    (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    variables = {
        variable.variable.name.value: value_from_ast_untyped(variable.default_value)
        for variable in operation.variable_definitions or ()
        if variable.default_value is not None
    }
    return requested_cost(
        official_schema.load(), document, operation, variables | largest.get(name, LARGEST_VARIABLES.get(name, {}))
    )


@EVERY_OPERATION
def test_an_operation_is_valid_against_the_official_schema(name: str) -> None:
    assert official_schema.validate_document(documents.operation(name).text) == []


@EVERY_OPERATION
def test_an_operation_uses_no_deprecated_member(name: str) -> None:
    assert official_schema.deprecated_uses(documents.operation(name).text) == []


@EVERY_OPERATION
def test_an_operation_fits_into_a_single_query(name: str) -> None:
    assert cost_of(name) < 1000


def test_the_costs_of_the_order_operations_are_known() -> None:
    defaults = {"OrdersChanged": {"first": 100}}

    assert {name: cost_of(name, defaults) for name in ("OrdersChanged", "OrderSummaries", "OrderImport")} == {
        "OrdersChanged": 101,
        "OrderSummaries": 550,
        "OrderImport": 179,
    }


@EVERY_OPERATION
def test_every_mutation_selects_its_user_errors(name: str) -> None:
    operation = documents.operation(name)

    assert operation.kind is OperationKind.QUERY or "serErrors" in operation.text


@EVERY_OPERATION
def test_a_file_holds_one_operation_and_each_fragment_once(name: str) -> None:
    text = documents.operation(name).text
    definitions = parse(text).definitions
    fragments = [line for line in text.splitlines() if line.startswith("fragment ")]

    assert sum(isinstance(node, OperationDefinitionNode) for node in definitions) == 1
    assert len(fragments) == len(set(fragments)) == len(definitions) - 1


def test_every_fragment_is_used() -> None:
    texts = "\n".join(documents.operation(name).text for name in documents.operation_names())
    unused = [
        path.stem
        for path in (documents.FOLDER / "fragments").glob("*.graphql")
        if f"fragment {path.stem} on" not in texts
    ]

    assert unused == []


def test_an_operation_without_a_file_is_a_mistake_of_ours() -> None:
    with pytest.raises(Bug, match=r"no file documents/Orders\.graphql"):
        documents.operation("Orders")
