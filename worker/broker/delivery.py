"""One message as it came from a queue, before anything was done about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.request import SyncRequest
from schemas.wire import ContractViolation, Pointer


@dataclass(slots=True)
class Delivery:
    """A message with everything that the broker told about it. Settled explicitly, never by returning (design D2).

    Whoever handles it calls `settle` once what it asked for is in the ledger (or is known to be there); a
    delivery that nobody settled goes back to the queue after a pause.
    """

    queue: str
    body: bytes
    content: SyncRequest | Pointer | ContractViolation
    """What the body says; a body that breaks the contract is described, never raised."""
    headers: Mapping[str, object] = field(default_factory=dict)
    """AMQP headers, plain values."""
    properties: Mapping[str, object] = field(default_factory=dict)
    """The other AMQP properties that were set: message_id, content_type, app_id, …"""
    redelivered: bool = False
    received_at: float = 0.0
    """Monotonic seconds of this process."""
    settled: bool = False
    on_settle: Callable[[], None] | None = None
    """Set by the broker: acknowledge now."""

    def settle(self) -> None:
        """The ledger has it: the broker may forget the message. Calling twice is harmless."""
        if self.settled:
            return
        self.settled = True
        if self.on_settle is not None:
            self.on_settle()
