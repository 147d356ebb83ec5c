"""Waiting for something to become true: tests poll a condition with a deadline and never just sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")

_POLL_SECONDS = 0.02


def until(condition: Callable[[], _Value], deadline_seconds: float, what: str) -> _Value:
    """Return the first truthy value of ``condition``.

    Raises AssertionError naming ``what`` and the last value when ``deadline_seconds`` have passed. An
    exception of ``condition`` is the test's own failure and passes through.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_seconds:g} s: {what}; last seen: {value!r}")
        time.sleep(_POLL_SECONDS)
