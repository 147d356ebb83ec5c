"""Every member the simulator's schema offers can be read, and lists page, search and sort as at Shopify."""

from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    execute_sync,
    get_named_type,
    is_interface_type,
    is_leaf_type,
    is_required_argument,
    is_union_type,
    parse,
)

from tests.simulator import bulk
from tests.simulator.resolvers import RequestContext, load_schema, resolve_member, resolve_type
from tests.simulator.server import Simulator
from tests.unit.simulator.conftest import HandClock

Json = dict[str, Any]


def ask(simulator: Simulator, query: str, **variables: object) -> Json:
    """Post an operation and return its data; errors fail the test."""
    answer = httpx.post(
        f"{simulator.api_url('demo-shop')}/admin/api/2026-10/graphql.json",
        json={"query": query, "variables": variables},
        headers={"X-Shopify-Access-Token": "shpat_simulated"},
    ).json()
    assert "errors" not in answer, answer["errors"]
    data: Json = answer["data"]
    return data


def test_every_member_of_every_type_can_be_read_of_a_rich_order_and_of_the_catalogue(simulator: Simulator) -> None:
    order = _rich_order(simulator)
    simulator.subscribe("demo-shop", "https://backroom.example/webhooks")
    shop = simulator.world.shop("demo-shop")
    ids = {
        "order": order,
        "product": shop.products[0].id,
        "productVariant": shop.variants[0].id,
        "customer": shop.customers[0].id,
        "location": shop.locations[0].id,
        "inventoryItem": shop.variants[0].inventory_item.id,
        "fulfillmentOrder": shop.orders[0].fulfillment_orders[0].id,
        "webhookSubscription": shop.webhook_subscriptions[0].id,
        "bulkOperation": bulk.started(shop.bulk, 1, "{ products { edges { node { id } } } }", simulator.world.now()).id,
    }
    shop.register(shop.bulk.operations[0])
    schema = load_schema()
    assert schema.query_type is not None
    reads = {name: field for name, field in schema.query_type.fields.items() if name not in ("node", "nodes")}

    result = execute_sync(
        schema,
        parse("{" + " ".join(_select(name, field, ids.get(name), ()) for name, field in reads.items()) + "}"),
        context_value=RequestContext(shop, simulator.world, simulator.announcer),
        field_resolver=resolve_member,
        type_resolver=resolve_type,
    )

    assert result.errors is None
    assert result.data is not None
    assert [name for name, value in result.data.items() if value is None] == []


def test_orders_changed_since_a_moment_are_found_oldest_change_first(simulator: Simulator, clock: HandClock) -> None:
    for _ in range(3):
        simulator.place_random_order("demo-shop", 1)
        clock.move(60)
    simulator.edit_order("demo-shop", "#1001", {"note": "late"})

    search = "updated_at:>='2026-03-01T10:01:00Z'"
    found = ask(simulator, QUERY_ORDERS, q=search, first=10)

    assert [node["name"] for node in found["orders"]["nodes"]] == ["#1002", "#1003", "#1001"]


def test_an_order_that_changes_while_somebody_pages_is_neither_lost_nor_does_it_hide_another(
    simulator: Simulator, clock: HandClock
) -> None:
    for _ in range(4):
        simulator.place_random_order("demo-shop", 1)
        clock.move(1)
    first_page = ask(simulator, QUERY_ORDERS, q="", first=2)["orders"]
    simulator.edit_order("demo-shop", "#1002", {"note": "moved to the end"})

    second_page = ask(simulator, QUERY_ORDERS, q="", first=10, after=first_page["pageInfo"]["endCursor"])["orders"]

    assert [node["name"] for node in first_page["nodes"]] == ["#1001", "#1002"]
    assert [node["name"] for node in second_page["nodes"]] == ["#1003", "#1004", "#1002"]
    assert first_page["pageInfo"]["hasNextPage"] is True
    assert second_page["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("status:open", ["#1001"]),
        ("status:closed", ["#1002"]),
        ("status:cancelled", ["#1003"]),
        ("", ["#1001", "#1002", "#1003"]),
        ("sku:1014", ["#1002"]),
        ('email:"ada@example.com"', ["#1001"]),
        ("financial_status:pending", ["#1002"]),
    ],
)
def test_orders_are_found_by_status_sku_and_email(simulator: Simulator, search: str, names: list[str]) -> None:
    simulator.place_order("demo-shop", {"lines": [{"sku": "1003"}], "customer": "ada@example.com"})
    simulator.place_order("demo-shop", {"lines": [{"sku": "1014"}], "paid": False})
    simulator.close_order("demo-shop", "#1002")
    simulator.place_order("demo-shop", {"lines": [{"sku": "1005"}]})
    simulator.cancel_order("demo-shop", "#1003")

    found = ask(simulator, QUERY_ORDERS, q=search, first=10)

    assert [node["name"] for node in found["orders"]["nodes"]] == names


def test_an_unquoted_email_is_cut_into_words_and_finds_strangers(simulator: Simulator) -> None:
    query = (
        "query Find($q: String) { customers(first: 50, query: $q) { nodes { defaultEmailAddress { emailAddress } } } }"
    )

    quoted = ask(simulator, query, q='email:"ada@example.com"')["customers"]["nodes"]
    loose = ask(simulator, query, q="email:ada@example.net")["customers"]["nodes"]

    assert [node["defaultEmailAddress"]["emailAddress"] for node in quoted] == ["ada@example.com"]
    assert len(loose) > 1


def test_nodes_answer_in_the_order_asked_with_null_for_the_unknown(simulator: Simulator) -> None:
    placed = [simulator.place_random_order("demo-shop", seed)["id"] for seed in (1, 2)]
    ids = [placed[1], "gid://shopify/Order/1", placed[0]]

    found = ask(simulator, "query N($ids: [ID!]!) { nodes(ids: $ids) { id ... on Order { name } } }", ids=ids)

    assert [node and node["name"] for node in found["nodes"]] == ["#1002", None, "#1001"]


def test_an_attribute_update_replaces_the_list_and_moves_updated_at(simulator: Simulator, clock: HandClock) -> None:
    placed = simulator.place_order("demo-shop", {"lines": [{"sku": "1003"}], "attributes": {"gift": "yes"}})
    clock.move(30)
    update = """mutation Note($input: OrderInput!) {
      orderUpdate(input: $input) { order { updatedAt customAttributes { key value } }
        userErrors { field message } } }"""

    answer = ask(simulator, update, input={"id": placed["id"], "customAttributes": [{"key": "doc", "value": "S1"}]})

    assert answer["orderUpdate"] == {
        "order": {"updatedAt": "2026-03-01T10:00:30Z", "customAttributes": [{"key": "doc", "value": "S1"}]},
        "userErrors": [],
    }


def test_a_mutation_on_an_unknown_order_is_a_user_error(simulator: Simulator) -> None:
    close = "mutation C($id: ID!) { orderClose(input: {id: $id}) { order { id } userErrors { field message } } }"

    answer = ask(simulator, close, id="gid://shopify/Order/1")

    assert answer["orderClose"] == {
        "order": None,
        "userErrors": [{"field": ["id"], "message": "Order does not exist"}],
    }


def test_marking_a_paid_order_as_paid_is_a_user_error(simulator: Simulator) -> None:
    placed = simulator.place_order("demo-shop", {"lines": [{"sku": "1003"}]})
    pay = "mutation P($id: ID!) { orderMarkAsPaid(input: {id: $id}) { userErrors { field message } } }"

    answer = ask(simulator, pay, id=placed["id"])

    message = "order #1001 cannot be marked as paid: nothing is outstanding"
    assert answer["orderMarkAsPaid"]["userErrors"] == [{"field": ["id"], "message": message}]


def test_a_subscription_is_created_listed_changed_and_deleted(simulator: Simulator) -> None:
    create = """mutation S($topic: WebhookSubscriptionTopic!, $uri: String!) {
      webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri}) {
        webhookSubscription { id } userErrors { field message } } }"""
    listing = "{ webhookSubscriptions(first: 5) { nodes { topic uri } } }"

    made = ask(simulator, create, topic="ORDERS_CREATE", uri="https://a.example")["webhookSubscriptionCreate"]
    twice = ask(simulator, create, topic="ORDERS_CREATE", uri="https://a.example")["webhookSubscriptionCreate"]
    subscription = made["webhookSubscription"]["id"]
    ask(
        simulator,
        """mutation U($id: ID!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: "https://b.example"}) {
           userErrors { message } } }""",
        id=subscription,
    )
    listed = ask(simulator, listing)["webhookSubscriptions"]["nodes"]
    ask(
        simulator,
        "mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { message } } }",
        id=subscription,
    )

    assert twice["webhookSubscription"] is None
    assert twice["userErrors"][0]["message"] == "Address for this topic has already been taken"
    assert listed == [{"topic": "ORDERS_CREATE", "uri": "https://b.example"}]
    assert ask(simulator, listing)["webhookSubscriptions"]["nodes"] == []


QUERY_ORDERS = """
query Changed($q: String!, $first: Int!, $after: String) {
  orders(first: $first, after: $after, query: $q, sortKey: UPDATED_AT) {
    nodes { name } pageInfo { hasNextPage endCursor } } }
"""


def _rich_order(simulator: Simulator) -> str:
    """An order that has something of everything the simulator keeps."""
    placed = simulator.place_order(
        "demo-shop",
        {
            "lines": [{"sku": "1000-M", "quantity": 2, "discount": {"amount": "10"}, "attributes": {"a": "b"}}],
            "customer": "luca@officina.example",
            "discount": {"code": "TEN", "percent": "10"},
            "tip": "5.00",
            "due_in_days": 30,
            "risk": "HIGH",
            "attributes": {"gift": "yes"},
        },
    )
    simulator.refund_order("demo-shop", placed["id"], {"lines": {"1000-M": 1}, "shipping": "1.00", "amount": "1.00"})
    simulator.fulfill_order("demo-shop", placed["id"], "DHL", "123")
    return str(placed["id"])


def _select(name: str, field: GraphQLField, wanted: str | None, path: tuple[str, ...]) -> str:
    given = []
    if wanted is not None:
        given.append(f'id: "{wanted}"')
    if "first" in field.args:
        given.append("first: 2")
    for argument, definition in field.args.items():
        if is_required_argument(definition) and argument == "names":
            given.append('names: ["available", "on_hand"]')
        elif is_required_argument(definition) and argument == "locationId":
            given.append('locationId: "gid://shopify/Location/1"')
    arguments = f"({', '.join(given)})" if given else ""
    named = get_named_type(field.type)
    if is_leaf_type(named):
        return name + arguments
    if is_union_type(named) or is_interface_type(named):
        parts = [
            f"... on {member.name} {{ {selection} }}"
            for member in load_schema().get_possible_types(named)
            if (selection := _aliased(member, (*path, named.name)))
        ]
        return f"{name}{arguments} {{ __typename {' '.join(parts)} }}"
    assert isinstance(named, GraphQLObjectType)
    inner = _members(named, path)
    return f"{name}{arguments} {{ {inner} }}" if inner else ""


def _members(of_type: GraphQLObjectType, path: tuple[str, ...]) -> str:
    if of_type.name in path or len(path) > 9:
        return ""
    return " ".join(_select(name, field, None, (*path, of_type.name)) for name, field in of_type.fields.items())


def _aliased(of_type: GraphQLObjectType, path: tuple[str, ...]) -> str:
    """Members under names of their own, so that members of one union with other nullability do not clash."""
    if of_type.name in path:
        return ""
    selected = ((name, _select(name, field, None, (*path, of_type.name))) for name, field in of_type.fields.items())
    return " ".join(f"{of_type.name}_{name}: {text}" for name, text in selected if text)
