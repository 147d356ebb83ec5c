"""What a connection is told and how long it waits, without a broker."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.exceptions import AMQPConnectionError

from producers.client.connection import connection_parameters, describe, pause_before, version_number


def test_every_node_of_a_cluster_gets_our_time_limits() -> None:
    first, second = connection_parameters("amqp://a:b@one:5672/v, amqps://a:b@two/v", "worker")

    assert [(node.host, node.port) for node in (first, second)] == [("one", 5672), ("two", 5671)]
    assert first.heartbeat == 30
    assert first.blocked_connection_timeout == 60
    assert first.client_properties == {"connection_name": "worker"}


def test_a_url_of_another_kind_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="amqp://user:password@host") as caught:
        connection_parameters("http://user:secret@host/", "worker")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "number"),
    [("3.10.8", (3, 10)), ("4.1.0-rc.1", (4, 1)), ("4.3", (4, 3)), ("", (0, 0)), ("unknown", (0, 0))],
)
def test_a_version_is_read_as_major_and_minor(version: str, number: tuple[int, int]) -> None:
    assert version_number(version) == number


@given(st.integers(0, 10_000), st.integers())
def test_the_pause_before_a_connection_attempt_stays_between_half_a_second_and_five(attempt: int, seed: int) -> None:
    assert 0.5 <= pause_before(attempt, random.Random(seed)) <= 5


def test_the_first_pause_is_short() -> None:
    assert max(pause_before(0, random.Random(seed)) for seed in range(100)) <= 1


def test_an_error_is_told_by_its_innermost_cause() -> None:
    wrapped = AMQPConnectionError(TimeoutError("no answer within 10 s"))

    assert describe(wrapped) == "no answer within 10 s"
    assert describe(OSError()) == "OSError"
