"""The simulator's controls from another process: the methods of ``Control``, over HTTP."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, cast

import httpx

from tests.simulator.changes import OrderEdit, RefundRequest
from tests.simulator.control import (
    DEFAULT_SECRET,
    DEFAULT_TOKEN,
    CancelReason,
    Json,
    OrderReference,
    ShopFacts,
)
from tests.simulator.orders import OrderRequest
from tests.simulator.throttle import STANDARD_MAXIMUM, STANDARD_RESTORE_RATE


class CommandRefused(RuntimeError):
    """The simulator could not carry out a command; the message is its own."""


class RemoteSimulator:
    """Steers a simulator running elsewhere; each method is the one of ``Control`` with the same name.

    Raises CommandRefused where ``Control`` raises, httpx.HTTPError if the simulator cannot be reached.
    """

    def __init__(self, base_url: str, timeout_seconds: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = httpx.Client(base_url=self.base_url, timeout=timeout_seconds, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def add_shop(
        self, shop: str, token: str = DEFAULT_TOKEN, webhook_secret: str = DEFAULT_SECRET, currency: str = "EUR",
        taxes_included: bool = True, time_zone: str = "Europe/Rome", maximum: float = STANDARD_MAXIMUM,
        restore_rate: float = STANDARD_RESTORE_RATE,
    ) -> ShopFacts:  # fmt: skip
        """``Control.add_shop``."""
        answer = self._call(
            "add_shop", shop=shop, token=token, webhook_secret=webhook_secret, currency=currency,
            taxes_included=taxes_included, time_zone=time_zone, maximum=maximum, restore_rate=restore_rate,
        )  # fmt: skip
        return cast(ShopFacts, answer)

    def seed_demo(self, shop: str) -> dict[str, int]:
        """``Control.seed_demo``."""
        return cast(dict[str, int], self._call("seed_demo", shop=shop))

    def add_product(self, shop: str, number: str, description: str, price: str, tax_group: str = "standard") -> Json:
        """``Control.add_product``."""
        return self._json(
            "add_product", shop=shop, number=number, description=description, price=price, tax_group=tax_group
        )

    def set_tokens(self, shop: str, tokens: Sequence[str]) -> None:
        """``Control.set_tokens``."""
        self._call("set_tokens", shop=shop, tokens=list(tokens))

    def set_webhook_secret(self, shop: str, secret: str) -> None:
        """``Control.set_webhook_secret``."""
        self._call("set_webhook_secret", shop=shop, secret=secret)

    def set_bucket(self, shop: str, maximum: float, restore_rate: float, available: float | None = None) -> None:
        """``Control.set_bucket``."""
        self._call("set_bucket", shop=shop, maximum=maximum, restore_rate=restore_rate, available=available)

    def set_bulk(self, shop: str, options: Mapping[str, object]) -> Json:
        """``Control.set_bulk``."""
        return self._json("set_bulk", shop=shop, options=dict(options))

    def bulk_operations(self, shop: str) -> list[Json]:
        """``Control.bulk_operations``."""
        return cast(list[Json], self._call("bulk_operations", shop=shop))

    def expire_bulk_results(self, shop: str) -> None:
        """``Control.expire_bulk_results``."""
        self._call("expire_bulk_results", shop=shop)

    def place_order(self, shop: str, order: OrderRequest) -> Json:
        """``Control.place_order``; amounts must be texts or whole numbers."""
        return self._json("place_order", shop=shop, order=order)

    def place_random_order(self, shop: str, seed: int) -> Json:
        """``Control.place_random_order``."""
        return self._json("place_random_order", shop=shop, seed=seed)

    def place_orders(self, shop: str, count: int, seed: int = 0) -> list[str]:
        """``Control.place_orders``."""
        return cast(list[str], self._call("place_orders", shop=shop, count=count, seed=seed))

    def edit_order(self, shop: str, order_id: OrderReference, edit: OrderEdit) -> Json:
        """``Control.edit_order``."""
        return self._json("edit_order", shop=shop, order_id=order_id, edit=edit)

    def mark_paid(self, shop: str, order_id: OrderReference) -> Json:
        """``Control.mark_paid``."""
        return self._json("mark_paid", shop=shop, order_id=order_id)

    def cancel_order(
        self, shop: str, order_id: OrderReference, reason: CancelReason = "CUSTOMER", restock: bool = True,
        refund: bool = True,
    ) -> Json:  # fmt: skip
        """``Control.cancel_order``."""
        return self._json("cancel_order", shop=shop, order_id=order_id, reason=reason, restock=restock, refund=refund)

    def refund_order(self, shop: str, order_id: OrderReference, refund: RefundRequest) -> Json:
        """``Control.refund_order``."""
        return self._json("refund_order", shop=shop, order_id=order_id, refund=refund)

    def fulfill_order(
        self, shop: str, order_id: OrderReference, company: str | None = None, number: str | None = None
    ) -> Json:
        """``Control.fulfill_order``."""
        return self._json("fulfill_order", shop=shop, order_id=order_id, company=company, number=number)

    def close_order(self, shop: str, order_id: OrderReference) -> Json:
        """``Control.close_order``."""
        return self._json("close_order", shop=shop, order_id=order_id)

    def delete_order(self, shop: str, order_id: OrderReference) -> None:
        """``Control.delete_order``."""
        self._call("delete_order", shop=shop, order_id=order_id)

    def orders(self, shop: str) -> list[Json]:
        """``Control.orders``."""
        return cast(list[Json], self._call("orders", shop=shop))

    def order(self, shop: str, order_id: OrderReference) -> Json:
        """``Control.order``."""
        return self._json("order", shop=shop, order_id=order_id)

    def subscribe(
        self, shop: str, uri: str, topics: Sequence[str] | None = None, name: str | None = None,
        include_fields: Sequence[str] | None = None,
    ) -> list[str]:  # fmt: skip
        """``Control.subscribe``."""
        answer = self._call("subscribe", shop=shop, uri=uri, topics=topics, name=name, include_fields=include_fields)
        return cast(list[str], answer)

    def subscriptions(self, shop: str) -> list[Json]:
        """``Control.subscriptions``."""
        return cast(list[Json], self._call("subscriptions", shop=shop))

    def remove_subscriptions(self, shop: str) -> None:
        """``Control.remove_subscriptions``."""
        self._call("remove_subscriptions", shop=shop)

    def set_webhooks(self, options: Mapping[str, object]) -> Json:
        """``Control.set_webhooks``."""
        return self._json("set_webhooks", options=dict(options))

    def release_webhooks(self, shuffle: bool = False) -> int:
        """``Control.release_webhooks``."""
        return cast(int, self._call("release_webhooks", shuffle=shuffle))

    def redeliver_webhook(self, webhook_id: str) -> None:
        """``Control.redeliver_webhook``."""
        self._call("redeliver_webhook", webhook_id=webhook_id)

    def webhook_log(self, shop: str | None = None) -> list[Json]:
        """``Control.webhook_log``."""
        return cast(list[Json], self._call("webhook_log", shop=shop))

    def wait_for_webhooks(self, timeout_seconds: float = 10.0) -> bool:
        """``Control.wait_for_webhooks``."""
        return cast(bool, self._call("wait_for_webhooks", timeout_seconds=timeout_seconds))

    def add_fault(self, kind: str, options: Mapping[str, object] | None = None) -> int:
        """``Control.add_fault``."""
        return cast(int, self._call("add_fault", kind=kind, options=dict(options or {})))

    def clear_faults(self, fault_id: int | None = None) -> None:
        """``Control.clear_faults``."""
        self._call("clear_faults", fault_id=fault_id)

    def faults(self) -> list[Json]:
        """``Control.faults``."""
        return cast(list[Json], self._call("faults"))

    def request_log(self, shop: str | None = None, operation: str | None = None) -> list[Json]:
        """``Control.request_log``."""
        return cast(list[Json], self._call("request_log", shop=shop, operation=operation))

    def counters(self, shop: str | None = None) -> Json:
        """``Control.counters``."""
        return self._json("counters", shop=shop)

    def clear_records(self) -> None:
        """``Control.clear_records``."""
        self._call("clear_records")

    def _json(self, command: str, **arguments: object) -> Json:
        return cast(Json, self._call(command, **arguments))

    def _call(self, command: str, **arguments: object) -> Any:
        answer = self._client.post(f"/_simulator/{command}", json=arguments)
        if answer.status_code != 200:
            raise CommandRefused(f"{command}: {answer.json()['error']}")
        return answer.json()["result"]
