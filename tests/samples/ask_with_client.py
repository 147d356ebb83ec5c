"""Ask Backroom to import an order, with its Python client: validated before it is sent, confirmed by the broker.

AMQP_URL=amqp://… python ask_with_client.py my-shop gid://shopify/Order/1
"""

import os
import sys

from producers.client.client import SyncClient

shop, order_id = sys.argv[1:]
with SyncClient(os.environ["AMQP_URL"], source="/checkout-service") as backroom:
    print("requested", backroom.request(shop, "sync_orders", {"order_ids": [order_id]}))
