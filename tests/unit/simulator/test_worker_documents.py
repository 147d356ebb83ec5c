"""What Backroom asks, the simulated shop can answer."""

import pytest
from graphql import IntValueNode, parse, validate

from tests.simulator.cost import SINGLE_QUERY_MAXIMUM, requested_cost
from tests.simulator.resolvers import load_schema
from tests.unit.simulator.test_cost import parsed
from worker.shopify.documents import operation, operation_names


@pytest.mark.parametrize("name", operation_names())
def test_every_operation_of_the_worker_is_served_by_the_simulator(name: str) -> None:
    errors = validate(load_schema(), parse(operation(name).text))

    assert [error.message for error in errors] == []


@pytest.mark.parametrize("name", operation_names())
def test_every_operation_of_the_worker_fits_into_one_request(name: str) -> None:
    text, node = parsed(operation(name).text)
    defaults = {
        each.variable.name.value: int(each.default_value.value)
        for each in node.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }

    assert requested_cost(load_schema(), text, node, defaults) <= SINGLE_QUERY_MAXIMUM
