"""Free ports on loopback."""

import random
import socket

from producers.operator.services import ports


def test_chosen_ports_are_different_and_below_the_range_of_outgoing_connections() -> None:
    chosen = ports.choose(20, random.Random(1))

    assert len(set(chosen)) == 20
    assert all(20_000 <= port < 32_000 for port in chosen)


def test_a_port_with_a_listener_is_not_free_and_accepts_connections() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]

        assert not ports.is_free(port)
        assert ports.accepts_connections(port)

    assert ports.is_free(port)
    assert not ports.accepts_connections(port)
