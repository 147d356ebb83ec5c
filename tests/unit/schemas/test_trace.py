"""The trace context of W3C: what is read, what is refused, what stays the same along the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import trace
from schemas.trace import Trace

EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_header_is_read_and_written_back_as_it_was() -> None:
    found = trace.parse(EXAMPLE)

    assert found == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")
    assert str(found) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        f"{EXAMPLE}-more",
        f"{EXAMPLE}\n",
    ],
)
def test_what_the_standard_forbids_is_no_trace(text: str | None) -> None:
    assert trace.parse(text) is None
    assert trace.id_of(text) is None


def test_a_later_version_may_carry_more() -> None:
    assert trace.id_of(f"01{EXAMPLE[2:]}-more") == "4bf92f3577b34da6a3ce929d0e0e4736"


@given(st.integers(min_value=0, max_value=2**128 - 1), st.text(max_size=20))
def test_a_step_stays_in_its_trace_and_has_an_id_of_its_own(number: int, step: str) -> None:
    began = trace.begin(lambda size: f"{number % 256**size:0{2 * size}x}")

    child = began.child(step)

    assert trace.parse(str(began)) == began
    assert trace.parse(str(child)) == child
    assert child.trace_id == began.trace_id
    assert child.parent_id != began.parent_id
    assert began.child(step) == child


def test_two_traces_differ() -> None:
    assert trace.begin() != trace.begin()
