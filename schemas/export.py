"""The contract as documents for other languages: JSON Schemas and an AsyncAPI 3 description (design section 3).

`backroom contract export` writes them into `schemas/published/`; a test fails when they are stale.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.catalogue import CATALOGUE
from schemas.categories import REQUEST_EXCHANGE, UNROUTED, Category
from schemas.request import REQUEST_TYPE, SyncRequest
from schemas.shop_settings import ShopSettings
from schemas.wire import CONTENT_TYPE, MAX_BODY_BYTES

PUBLISHED = Path(__file__).parent / "published"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0192f0c1-7d3e-7a3b-9d0f-3f6c2f1f8a11",
    "source": "/checkout-service",
    "type": REQUEST_TYPE,
    "subject": "my-shop",
    "time": "2026-11-22T09:00:00Z",
    "data": {"report": "sync_orders", "parameters": {"order_ids": ["gid://shopify/Order/1"]}},
}


def documents() -> dict[str, str]:
    """File name to content, for everything that is published."""
    files = {"sync-request.schema.json": _json(_schema(SyncRequest, "sync-request", "A sync request"))}
    for entry in CATALOGUE:
        name = f"parameters-{entry.name.value.replace('_', '-')}"
        title = f"Parameters of {entry.number} {entry.name.value}"
        files[f"{name}.schema.json"] = _json(_schema(entry.parameters, name, title))
    files["shop-settings.schema.json"] = _json(_schema(ShopSettings, "shop-settings", "Settings of a shop"))
    files["asyncapi.json"] = _json(asyncapi())
    return files


def write(folder: Path = PUBLISHED) -> list[Path]:
    """Write what is missing or differs, remove what is no longer published; returns the paths touched."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = documents()
    touched = []
    for stale in sorted({path.name for path in folder.glob("*.json")} - set(wanted)):
        (folder / stale).unlink()
        touched.append(folder / stale)
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            touched.append(path)
    return touched


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document: where to publish, and what."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Backroom sync requests",
            "version": "1.0.0",
            "description": (
                "Ask Backroom to run a report for a shop: publish a CloudEvents document to the exchange "
                f"{REQUEST_EXCHANGE}, persistent, with the category as routing key and publisher confirms on. "
                f"The same source and id again is the same request. A routing key that names no category ends "
                f"in the queue {UNROUTED}, from where an operator can send it on."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            category.value: {
                "address": category.value,
                "title": f"Requests of category {category.value}",
                "description": "Reports: " + ", ".join(_reports_of(category)),
                "messages": {"syncRequested": {"$ref": "#/components/messages/syncRequested"}},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": REQUEST_EXCHANGE, "type": "topic", "durable": True, "autoDelete": False},
                        "bindingVersion": "0.3.0",
                    }
                },
            }
            for category in Category
        },
        "operations": {
            f"request_{category.value}": {
                "action": "receive",
                "title": f"Run a report of category {category.value}",
                "channel": {"$ref": f"#/channels/{category.value}"},
                "messages": [{"$ref": f"#/channels/{category.value}/messages/syncRequested"}],
                "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, "bindingVersion": "0.3.0"}},
            }
            for category in Category
        },
        "components": {
            "messages": {
                "syncRequested": {
                    "name": REQUEST_TYPE,
                    "title": "Sync requested",
                    "summary": f"At most {MAX_BODY_BYTES} bytes of UTF-8 JSON.",
                    "contentType": CONTENT_TYPE,
                    "payload": {
                        "schemaFormat": f"application/schema+json;version={DIALECT}",
                        "schema": {"$ref": "sync-request.schema.json"},
                    },
                    "examples": [{"name": "importOneOrder", "payload": EXAMPLE}],
                }
            }
        },
    }


def _reports_of(category: str) -> list[str]:
    return [f"{entry.number} {entry.name.value}" for entry in CATALOGUE if entry.category == category]


def _schema(model: type[BaseModel], name: str, title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, "$id": f"urn:backroom:{name}", **schema, "title": title}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
