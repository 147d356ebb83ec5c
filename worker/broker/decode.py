"""From what the broker hands over to a Delivery. A body is judged here, before the engine sees a message (D2)."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pika import BasicProperties
from pika.spec import Basic

from schemas.request import SyncRequest
from schemas.wire import VERSIONS, ContractViolation, Pointer, Versions, ViolationReason, decode
from worker.broker.delivery import Delivery

_PROPERTIES = (
    "content_type",
    "content_encoding",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
)

_log = logging.getLogger("backroom.broker")


def to_delivery(
    queue: str,
    method: Basic.Deliver,
    properties: BasicProperties,
    body: bytes,
    received_at: float,
    versions: Versions = VERSIONS,
) -> Delivery:
    """Everything the broker told, as plain values. Never raises because of what a body or a header holds."""
    return Delivery(
        queue=queue,
        body=body,
        content=read(body, versions),
        headers=_plain_mapping(properties.headers or {}),
        properties={name: value for name in _PROPERTIES if (value := _plain(getattr(properties, name))) is not None},
        exchange=method.exchange or "",
        routing_key=method.routing_key or "",
        redelivered=bool(method.redelivered),
        received_at=received_at,
    )


def read(body: bytes, versions: Versions = VERSIONS) -> SyncRequest | Pointer | ContractViolation:
    """What a body says; a breach of the contract is returned, not raised."""
    try:
        return decode(body, versions)
    except ContractViolation as violation:
        return violation
    except Exception as error:
        # A stranger's bytes must never stop a queue: whatever the reader did not foresee is a breach too.
        _log.exception("a body of %d bytes broke the reader", len(body))
        return ContractViolation(ViolationReason.CONTRACT, (f"body: cannot be read ({type(error).__name__})",))


def _plain_mapping(table: Mapping[Any, Any]) -> dict[str, object]:
    return {str(key): _plain(value) for key, value in table.items()}


def _plain(value: object) -> object:
    """AMQP's types to those of JSON: what the dead-letter table can keep."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return int(value)  # pika has an integer type of its own
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
