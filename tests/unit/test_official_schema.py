"""The committed copy of Shopify's schema is the one its source note names."""

import gzip
import hashlib
import json

from tests.support import official_schema
from tests.support.refresh_schema import SCHEMA_FILE, SOURCE_FILE


def test_the_committed_schema_is_the_file_its_source_note_describes() -> None:
    source = json.loads(SOURCE_FILE.read_text())
    content = SCHEMA_FILE.read_bytes()

    assert source["api_version"] == "2026-10"
    assert hashlib.sha256(content).hexdigest() == source["file_sha256"]
    assert hashlib.sha256(gzip.decompress(content)).hexdigest() == source["schema_sha256"]


def test_deprecated_fields_and_input_fields_are_reported() -> None:
    document = """
        mutation { webhookSubscriptionCreate(topic: ORDERS_CREATE,
          webhookSubscription: {callbackUrl: "https://a.example"}) { userErrors { message } } }
        query { order(id: "gid://shopify/Order/1") { channel { id } } }
    """

    uses = official_schema.deprecated_uses(document)

    assert [use.split(" is deprecated")[0] for use in uses] == [
        "The input field WebhookSubscriptionInput.callbackUrl",
        "The field Order.channel",
    ]


def test_a_document_with_a_misspelt_field_is_not_valid() -> None:
    assert official_schema.validate_document("{ shop { nam } }") == [
        "Cannot query field 'nam' on type 'Shop'. Did you mean 'name'?"
    ]
    assert official_schema.validate_document("{ shop { name } }") == []
