"""What the broker says about a message that it gave up on, in whatever form it says it."""

import pytest

from worker.jobs.leftovers import why_given_up


def death(reason: object, count: object = 1) -> dict[str, object]:
    return {"reason": reason, "queue": "orders", "count": count}


@pytest.mark.parametrize(
    ("headers", "reason", "detail"),
    [
        (
            {"x-death": [death("delivery_limit")]},
            "delivery_limit",
            "the broker gave it up in queue orders: no worker could handle it, however often it was delivered",
        ),
        (
            {"x-death": [death("rejected", 3), death("expired")]},
            "rejected",
            "the broker gave it up in queue orders: a consumer refused it, 3 times",
        ),
        (
            {"x-first-death-reason": "maxlen", "x-first-death-queue": "orders"},
            "maxlen",
            "the broker gave it up in queue orders: the queue was full",
        ),
        (
            {"x-death": [death("some_new_reason")]},
            "some_new_reason",
            "the broker gave it up in queue orders: some_new_reason",
        ),
    ],
)
def test_the_latest_death_is_the_reason(headers: dict[str, object], reason: str, detail: str) -> None:
    assert why_given_up(headers) == (reason, detail)


@pytest.mark.parametrize(
    "headers", [{}, {"x-death": []}, {"x-death": "?"}, {"x-death": [7]}, {"x-death": [death(None)]}]
)
def test_a_message_that_somebody_put_there_by_hand_has_a_reason_too(headers: dict[str, object]) -> None:
    assert why_given_up(headers) == ("given_up", "the broker did not say why it gave it up")
