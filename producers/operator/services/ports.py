"""Free ports on the loopback interface."""

import random
import socket
from collections.abc import Callable
from typing import TypeVar

from producers.operator.services.errors import PortTaken

LOOPBACK = "127.0.0.1"

# Below the range from which systems lend ports to outgoing connections (Linux: 32768 on), so that no
# passing connection of any program sits on our port when a service comes back after a restart.
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 1_000
_PORT_ATTEMPTS = 5

State = TypeVar("State")


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def accepts_connections(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether something answers on that loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True


def choose(count: int, chance: random.Random) -> list[int]:
    """``count`` different free ports, picked at random so that two checkouts starting at once seldom meet.

    Raises OSError when a thousand picks found too few.
    """
    chosen: list[int] = []
    for _ in range(_TRIES):
        port = chance.randrange(_LOWEST, _HIGHEST)
        if port not in chosen and is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise OSError(f"no {count} free ports between {_LOWEST} and {_HIGHEST} on {LOOPBACK}")


def on_free_ports(
    planned: State,
    wanted: tuple[int, ...],
    begin: Callable[[State], None],
    elsewhere: Callable[[State], State],
) -> None:
    """Start on the ports of last time if they are free, else on others; again if somebody was faster."""
    attempt = planned if all(map(is_free, wanted)) else elsewhere(planned)
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return begin(attempt)
        except PortTaken:
            attempt = elsewhere(attempt)
    return begin(attempt)
