"""What a webhook asks for: a table from topic to report, and where its body names the order (platform spec 1.5).

The body is a hint, read for one id; nothing else of it leaves this module.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from schemas.catalogue import ReportName
from worker.errors import Rejected

_ORDER_GID: Final = re.compile(r"gid://shopify/Order/[1-9][0-9]{0,18}")
_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Work:
    """What a delivery asks for."""

    report: ReportName
    parameters: Mapping[str, Any]


def _order_itself(document: Mapping[str, Any]) -> str:
    gid = document.get("admin_graphql_api_id")
    if isinstance(gid, str) and _ORDER_GID.fullmatch(gid):
        return gid
    return _gid("id", document.get("id"))


def _order_of_edit(document: Mapping[str, Any]) -> str:
    edit = document.get("order_edit")
    return _gid("order_edit.order_id", edit.get("order_id") if isinstance(edit, dict) else None)


def _order_of_refund(document: Mapping[str, Any]) -> str:
    return _gid("order_id", document.get("order_id"))


_ORDER_OF: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "orders/create": _order_itself,
    "orders/updated": _order_itself,
    "orders/paid": _order_itself,
    "orders/cancelled": _order_itself,
    "orders/edited": _order_of_edit,
    "refunds/create": _order_of_refund,
}

TOPICS: Final = frozenset(_ORDER_OF)
"""Topics that lead to work; all others are answered and counted."""


def work_for(topic: str, body: bytes) -> Work:
    """What a delivery of one of `TOPICS` asks for.

    Raises:
        Rejected: the body is no JSON object (`not_json`) or names no order (`contract`); the message quotes nothing
            of the body.
    """
    return Work(ReportName.SYNC_ORDERS, {"order_ids": [_ORDER_OF[topic](_read(body))]})


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        document = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise Rejected("not_json", f"the body is not JSON ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise Rejected("not_json", f"the body is not a JSON object but {type(document).__name__}")
    return document


def _gid(field: str, value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_ID:
        raise Rejected("contract", f"{field}: a 64-bit order id is expected, received {type(value).__name__}", field)
    return f"gid://shopify/Order/{value}"
