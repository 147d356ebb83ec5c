"""Ask Backroom to import an order. Needs only pika; any AMQP client in any language does the same.

AMQP_URL=amqp://… python publish_with_pika.py my-shop gid://shopify/Order/1
"""

import json
import os
import sys
import uuid
from datetime import UTC, datetime

import pika

shop, order_id = sys.argv[1:]
request = {
    "specversion": "1.0",
    "id": str(uuid.uuid4()),  # the same id and source again is the same request: safe to repeat
    "source": "/checkout-service",
    "type": "sync.requested.v1",
    "subject": shop,
    "time": datetime.now(UTC).isoformat(),
    "data": {"report": "sync_orders", "parameters": {"order_ids": [order_id]}},
}
with pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish(
        exchange="sync.requests",
        routing_key="orders",
        body=json.dumps(request).encode(),
        properties=pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2),
    )
print(f"requested {request['id']}")
