"""RabbitMQ's management API: the only door to policies, users and effective settings.

Optional: without it the topology still works, but what policies hold is then the operator's to watch.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from worker.errors import InvalidInput, Unreachable

_TIMEOUT_SECONDS = 10.0
_UNAUTHORIZED, _NOT_FOUND = 401, 404


class Management:
    """One virtual host of one broker, seen through its management API."""

    def __init__(self, url: str, amqp_url: str) -> None:
        """`url`: http://[user:password@]host:15672; without credentials those of `amqp_url` are used."""
        parts, broker = urlsplit(url), urlsplit(amqp_url.split(",")[0])
        login = parts if parts.username else broker
        host = parts.netloc.rpartition("@")[2]
        self._virtual_host = quote(virtual_host(amqp_url), safe="")
        self._client = httpx.Client(
            base_url=urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/api/", "", "")),
            auth=(unquote(login.username or "guest"), unquote(login.password or "guest")),
            timeout=_TIMEOUT_SECONDS,
        )
        self.address = host

    def version(self) -> str:
        """Of the broker: "3.13.7"."""
        return str(self._ask("GET", "overview")["rabbitmq_version"])

    def policies(self) -> dict[str, dict[str, Any]]:
        """All policies of the virtual host by name: pattern, apply-to, priority, definition."""
        return {policy["name"]: policy for policy in self._ask("GET", f"policies/{self._virtual_host}")}

    def set_policy(
        self, name: str, *, pattern: str, apply_to: str, priority: int, definition: Mapping[str, object]
    ) -> None:
        """Create the policy or replace it."""
        body = {"pattern": pattern, "apply-to": apply_to, "priority": priority, "definition": dict(definition)}
        self._ask("PUT", f"policies/{self._virtual_host}/{quote(name, safe='')}", body)

    def bindings(self, exchange: str, queue: str) -> set[str]:
        """Routing keys under which an exchange feeds a queue."""
        path = f"bindings/{self._virtual_host}/e/{quote(exchange, safe='')}/q/{quote(queue, safe='')}"
        return {binding["routing_key"] for binding in self._ask("GET", path)}

    def put_user(self, name: str, password: str, tags: str = "") -> None:
        """Create the user, or give it another password and tags."""
        self._ask("PUT", f"users/{quote(name, safe='')}", {"password": password, "tags": tags})

    def delete_user(self, name: str) -> None:
        """Remove the user and its rights."""
        self._ask("DELETE", f"users/{quote(name, safe='')}")

    def set_permissions(self, user: str, *, configure: str, write: str, read: str) -> None:
        """Patterns of the names that a user may declare, publish to, and consume from."""
        body = {"configure": configure, "write": write, "read": read}
        self._ask("PUT", f"permissions/{self._virtual_host}/{quote(user, safe='')}", body)

    def close(self) -> None:
        """Drop the connections kept open."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise Unreachable(
                "management_unreachable",
                f"RabbitMQ's management API at {self.address}: {error}. Is plugin rabbitmq_management enabled, "
                "and BACKROOM_MANAGEMENT_URL right?",
            ) from error
        if answer.status_code == _UNAUTHORIZED:
            raise InvalidInput("management_refused", f"the management API at {self.address} refuses this user")
        if answer.status_code == _NOT_FOUND:
            raise InvalidInput("management_not_found", f"the management API at {self.address} knows no {path}")
        if answer.is_error:
            raise InvalidInput("management_refused", f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None


def virtual_host(amqp_url: str) -> str:
    """The virtual host an AMQP URL names: "/" where it names none."""
    path = urlsplit(amqp_url.split(",")[0]).path
    return unquote(path[1:]) or "/"
