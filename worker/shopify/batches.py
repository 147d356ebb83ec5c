"""Pure arithmetic of how many orders one request asks for (platform spec 2.2).

A request is charged in full before it runs and refunded what it did not use. So its price must stay below what
Shopify ever grants, and should leave the bucket room for others while the answer is on its way.
"""

from dataclasses import dataclass, replace
from typing import Final

from worker.shopify.errors import Cost

SINGLE_QUERY_POINTS: Final = 1000.0
"""The most that Shopify grants to one query, on every plan; to reach it is to be refused."""
BUCKET_SHARE: Final = 0.25
"""Part of the shop's bucket that one request may be charged: the more it is, the longer is the wait for it when
the bucket is nearly empty, though most of it is given back."""
ORDER_POINTS: Final = 71.0
"""What `OrdersImport` is charged for each order until an answer tells; a test compares it with the document."""
STANDARD_BUCKET: Final = 2000.0
"""The bucket of most shops, taken for granted until an answer tells."""


@dataclass(frozen=True, slots=True)
class BatchPrice:
    """What is known of the price of a batch of orders at one shop."""

    order_points: float = ORDER_POINTS
    bucket: float = STANDARD_BUCKET
    most: int = 50
    """Orders at once; halved when a batch was too much for the shop."""

    def orders_at_once(self) -> int:
        """How many orders the next request asks for; at least one."""
        budget = min(SINGLE_QUERY_POINTS - 1, self.bucket * BUCKET_SHARE)
        return max(1, min(self.most, int(budget // self.order_points)))

    def after(self, cost: Cost, orders: int) -> "BatchPrice":
        """The same after an answer about so many orders."""
        return replace(
            self,
            order_points=self.order_points if not cost.requested else cost.requested / orders,
            bucket=self.bucket if cost.throttle is None else cost.throttle.maximum,
        )
