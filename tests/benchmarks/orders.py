"""Rows d and e: real processes, a simulated shop without latency of its own, and what orders cost and how long.

d: from an order placed in the shop to its sales order in the ERP, one after the other on an idle system.
e: what a burst of order webhooks costs at the shop's API.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from tests.benchmarks.measured import Findings, Line, percentile, within
from tests.benchmarks.place import Place
from tests.support import wait
from tests.support.installation import SHOP, Installation, installed

P50_MILLISECONDS = 100
P95_MILLISECONDS = 250
MOST_REQUESTS = 100
MOST_POINTS = 30_000
_LOOK_SECONDS = 0.001
_DEADLINE_SECONDS = 20


def measure_latency(place: Place) -> Findings:
    """Row d."""
    orders = place.scaled(60, 10)
    with _house(place) as house, house.webhooks(), house.worker():
        # Orders one after the other drain a small bucket; on an idle system it is full.
        house.simulator.set_bucket(SHOP, maximum=20_000, restore_rate=1_000)
        house.simulator.subscribe(SHOP, _door(house), topics=["ORDERS_CREATE"])
        with psycopg.connect(house.database_url, autocommit=True) as books:
            _one_order(house, books, 0)  # what is loaded at first use is not what an order takes
            took = [_one_order(house, books, seed) for seed in range(1, orders + 1)]
    return Findings(
        (
            within("d", "order placed → sales order, half of them", percentile(took, 0.5), P50_MILLISECONDS, "ms"),
            within("d", "order placed → sales order, 95 of 100", percentile(took, 0.95), P95_MILLISECONDS, "ms"),
        ),
        (
            f"d: {orders} orders one after the other through `backroom webhooks` and `backroom worker` (4 threads), "
            f"shop without latency, its bucket of points never empty; longest {max(took):.0f} ms; from the order "
            "to the commit of its document",
        ),
    )


def measure_burst(place: Place) -> Findings:
    """Row e."""
    orders = place.scaled(1_000, 100)
    with _house(place) as house, house.webhooks(), house.worker():
        house.simulator.subscribe(SHOP, _door(house), topics=["ORDERS_CREATE"])
        house.simulator.set_webhooks({"hold": True})
        house.simulator.place_orders(SHOP, orders)
        house.simulator.set_webhooks({"hold": False})
        house.simulator.clear_records()
        started = time.monotonic()
        house.simulator.release_webhooks()
        wait.until(_quiet(house, orders), 600, f"{orders} orders imported and no job left")
        seconds = time.monotonic() - started
        counted = house.simulator.counters(SHOP)
        jobs = house.rows("SELECT count(*) AS n FROM backroom.job")[0]["n"]
        documents = house.rows(
            "SELECT count(*) AS n, count(DISTINCT shopify_order_no) AS different FROM erp.sales_document"
        )
    made, different = documents[0]["n"], documents[0]["different"]
    return Findings(
        (
            within("e", "API requests of the burst", counted["requests"], MOST_REQUESTS, "requests"),
            within("e", "points they cost", counted["points"], MOST_POINTS, "points"),
            Line(
                "e",
                "sales orders",
                f"{made:,} of {orders:,}, {made - different} twice",
                made == different == orders,
                bar="each once",
            ),
        ),
        (
            f"e: {orders:,} orders/create webhooks, held back and released at once; {jobs:,} jobs, all done after "
            f"{seconds:.0f} s; operations {counted['operations']}",
        ),
    )


@contextmanager
def _house(place: Place) -> Iterator[Installation]:
    with (
        place.fresh(migrated=True) as (database_url, amqp_url),
        installed(database_url, amqp_url, place.services.secret_key, place.folder) as house,
    ):
        yield house


def _door(house: Installation) -> str:
    return f"http://127.0.0.1:{house.webhook_port}/webhooks/shopify"


def _one_order(house: Installation, books: "psycopg.Connection[tuple[int, ...]]", seed: int) -> float:
    """Milliseconds from the moment the shop has the order to the moment its document can be read."""
    before = _documents(books)
    started = time.monotonic()
    house.simulator.place_orders(SHOP, 1, seed)
    while _documents(books) == before:
        assert time.monotonic() - started < _DEADLINE_SECONDS, f"order {seed} has no document"
        time.sleep(_LOOK_SECONDS)
    took = (time.monotonic() - started) * 1000
    wait.until(lambda: not house.rows(_UNFINISHED), _DEADLINE_SECONDS, "the jobs to end")
    return took


_UNFINISHED = "SELECT FROM backroom.job WHERE finished_at IS NULL UNION ALL SELECT FROM backroom.pending_request"


def _documents(books: "psycopg.Connection[tuple[int, ...]]") -> int:
    row = books.execute("SELECT count(*) FROM erp.sales_document").fetchone()
    assert row is not None
    return int(row[0])


def _quiet(house: Installation, orders: int) -> Callable[[], bool]:
    def looked() -> bool:
        received = house.rows("SELECT count(*) AS n FROM backroom.inbox WHERE source LIKE '/shopify/%'")[0]["n"]
        return received >= orders and not house.rows(_UNFINISHED)

    return looked
