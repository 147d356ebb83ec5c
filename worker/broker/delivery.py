"""One message as it came from a queue, before anything was done about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.request import SyncRequest
from schemas.wire import ContractViolation, Pointer


@dataclass(slots=True)
class Delivery:
    """A message with everything that the broker told about it. Settled explicitly, never by returning (design D2).

    Whoever handles it calls `settle` once what it asked for is in the ledger (or is known to be there), or
    `give_back` when another process should have it. A delivery with which nobody did either when its handler
    returned or raised is tried again after a pause, during which the process takes nothing new: its ledger
    is taken to be out of reach.
    """

    queue: str
    body: bytes
    content: SyncRequest | Pointer | ContractViolation
    """What the body says; a body that breaks the contract is described, never raised."""
    headers: Mapping[str, object] = field(default_factory=dict)
    """AMQP headers, plain values."""
    properties: Mapping[str, object] = field(default_factory=dict)
    """The other AMQP properties that were set: message_id, content_type, app_id, …"""
    exchange: str = ""
    """Where it was published; empty: straight to a queue, or moved by the broker."""
    routing_key: str = ""
    redelivered: bool = False
    received_at: float = 0.0
    """Monotonic seconds of this process."""
    settled: bool = False
    given_back: bool = False
    on_settle: Callable[[], None] | None = None
    """Set by the broker: acknowledge now."""
    on_give_back: Callable[[], None] | None = None
    """Set by the broker: return to the queue now."""

    def told(self) -> dict[str, object]:
        """What the broker told about it, for whoever looks into a dead letter."""
        return {
            "headers": dict(self.headers),
            "properties": dict(self.properties),
            "exchange": self.exchange,
            "routing_key": self.routing_key,
        }

    def settle(self) -> None:
        """The ledger has it: the broker may forget the message, at once. Calling twice is harmless."""
        if self.settled or self.given_back:
            return
        self.settled = True
        if self.on_settle is not None:
            self.on_settle()

    def give_back(self) -> None:
        """Not now, perhaps elsewhere: the message returns to its queue without a pause.

        For the rare case only: up to RabbitMQ 4.2 each return counts towards the delivery limit of 20.
        """
        if self.settled or self.given_back:
            return
        self.given_back = True
        if self.on_give_back is not None:
            self.on_give_back()
