"""Job categories: the closed set of queues that a report may run in (design section 3).

The name of a category is the name of its queue. Jobs of one category and one shop never run side by side.
"""

from enum import StrEnum

REQUEST_EXCHANGE = "sync.requests"
"""Topic exchange that every sync request is published to, with the category as routing key."""

UNROUTED = "sync.unrouted"
"""Alternate exchange, and the queue behind it, for requests whose routing key names no category."""


class Category(StrEnum):
    """A queue of jobs that must not step on each other."""

    ORDERS = "orders"
    """Order imports and the documents made of them; also writes the customers it meets."""


def dead_letter_queue(category: Category) -> str:
    """Name of the queue that receives what the broker itself gave up on."""
    return f"{category.value}.XQ"
