"""What is published is what the code says, and accepts what the code accepts."""

import json
from typing import Any

import jsonschema
import pytest

from schemas import export
from schemas.catalogue import CATALOGUE
from schemas.categories import Category
from schemas.wire import parse_request


def published(name: str) -> Any:
    return json.loads((export.PUBLISHED / name).read_text())


def test_the_published_documents_are_fresh() -> None:
    on_disk = {path.name: path.read_text() for path in export.PUBLISHED.glob("*.json")}

    assert on_disk == export.documents(), "stale: run `backroom contract export`"


def test_the_example_is_valid_for_the_schema_and_for_the_code() -> None:
    jsonschema.Draft202012Validator(published("sync-request.schema.json")).validate(export.EXAMPLE)

    assert parse_request(export.EXAMPLE).data.report == "sync_orders"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_report_publishes_a_valid_schema_of_its_parameters(entry: Any) -> None:
    schema = published(f"parameters-{entry.name.value.replace('_', '-')}.schema.json")

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate({"order_ids": ["gid://shopify/Order/1"]})


def test_the_schema_of_a_request_page_accepts_conditions() -> None:
    schema = published("parameters-sync-orders.schema.json")

    jsonschema.Draft202012Validator(schema).validate({"fully_paid": {"eq": True}, "order_no": {"like": "#10*"}})


def test_every_category_is_a_channel() -> None:
    document = published("asyncapi.json")

    assert set(document["channels"]) == {category.value for category in Category}
    assert document["asyncapi"] == "3.0.0"
