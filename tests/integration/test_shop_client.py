"""The shop client against the simulated shop, with its budget in a real database."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.orders import LineRequest
from tests.simulator.server import Simulator
from tests.support import wait
from tests.support.fakes import FakeRun
from worker.clock import SystemClock
from worker.database import api_log, shops
from worker.database.api_budget import ApiBudget
from worker.database.pool import Database
from worker.database.secrets import SecretBox
from worker.errors import NeedsAttention, RetryLater
from worker.model.ids import Gid
from worker.model.shop import Shop
from worker.report import Completed, Snoozed
from worker.reports import sync_orders
from worker.shopify import connection as shop_connection
from worker.shopify.bulk import BulkOrders, BulkState, BulkStatus, Refused
from worker.shopify.client import ShopApi, ShopifyClient, http_client
from worker.shopify.documents import operation
from worker.shopify.errors import ShopTimedOut
from worker.shopify.orders import ShopifyOrders
from worker.shopify.throttle import KEPT_SHARE, Bucket, CostExceedsBucket, Reservation, Wait

CODE = "my-shop"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MUG: LineRequest = {"sku": "1012-S", "quantity": 1}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url, application_name="test", max_connections=12) as opened:
        yield opened


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as started:
        started.add_shop(CODE)
        started.seed_demo(CODE)
        yield started


@dataclass
class Bench:
    """One shop connected to the simulator, and what a worker uses to reach it."""

    simulator: Simulator
    database: Database
    secrets: SecretBox
    shop: Shop
    client: ShopifyClient

    def api(self, *, job_id: int | None = None, high_priority: bool = False, trace_id: str | None = None) -> ShopApi:
        return self.client.for_shop(self.shop, job_id=job_id, trace_id=trace_id, high_priority=high_priority)

    def another_client(self) -> ShopifyClient:
        """As another worker process has it: its own connections, the same budget."""
        return ShopifyClient(http_client(8), ApiBudget(self.database, self.secrets), SystemClock())

    def set_token(self, token: str) -> None:
        with self.database.transaction() as connection:
            shops.set_access_token(connection, self.secrets, CODE, token, who="test")


@pytest.fixture
def bench(simulator: Simulator, database: Database) -> Iterator[Bench]:
    secrets = SecretBox([Fernet.generate_key().decode()])
    facts = simulator.world.shop(CODE)
    with database.transaction() as connection:
        shop = shops.add(connection, CODE, facts.myshopify_domain, api_url=simulator.api_url(CODE), who="test")
        shops.set_access_token(connection, secrets, CODE, "shpat_simulated", who="test")
    client = ShopifyClient(http_client(8), ApiBudget(database, secrets), SystemClock())
    with closing(client.http):
        yield Bench(simulator, database, secrets, shop, client)


def test_an_order_is_read_whole_in_one_request_with_exact_amounts(bench: Bench) -> None:
    placed = bench.simulator.place_order(
        CODE,
        {
            "lines": [{"sku": "1012-S", "quantity": 3, "price": "19.99", "discount": {"amount": "6.00"}}],
            "customer": "anna@example.com",
            "tip": "5.00",
            "presentment_currency": "GBP",
            "rate": "0.85",
            "risk": "HIGH",
            "due_in_days": 30,
            "tags": ["vip", "a, b"],
            "attributes": {"channel": "web"},
            "note": "Ring twice",
        },
    )
    api = bench.api(job_id=1)

    order = ShopifyOrders(api).order(Gid(placed["id"]))

    assert order is not None
    assert api.usage.requests == 1
    assert (order.name, order.email, order.note) == (placed["name"], "anna@example.com", "Ring twice")
    goods, tip = order.lines
    assert (goods.sku, goods.quantity, goods.tip) == ("1012-S", 3, False)
    assert (goods.unit_price.shop, goods.discount.shop) == (Decimal("19.99"), Decimal("6.00"))
    assert goods.barcode
    assert (tip.tip, tip.unit_price.shop) == (True, Decimal("5.00"))
    assert order.total.shop == Decimal(placed["total"])
    assert order.total.presentment == Decimal(placed["presentment_total"])
    assert (order.currency_code, order.presentment_currency_code) == ("EUR", "GBP")
    assert order.high_risk
    assert set(order.tags) == {"vip", "a, b"}
    assert order.attributes == {"channel": "web"}
    assert order.due_date == (order.created_at + timedelta(days=30)).date()
    assert order.ship_to is not None
    assert order.ship_to.country
    assert order.fulfillment_orders[0].lines[0].order_line_id == goods.id


def test_changed_orders_come_page_by_page_oldest_change_first(bench: Bench) -> None:
    placed = bench.simulator.place_orders(CODE, 25)

    pages = list(ShopifyOrders(bench.api()).changed_since(LONG_AGO, page_size=10))

    assert [len(page) for page in pages] == [10, 10, 5]
    found = [order for page in pages for order in page]
    assert {order.id for order in found} == set(placed)
    assert [order.updated_at for order in found] == sorted(order.updated_at for order in found)


def test_orders_changed_before_the_moment_are_not_asked_for(bench: Bench) -> None:
    bench.simulator.place_order(CODE, {"lines": [MUG], "created_at": "2026-01-01T00:00:00Z"})
    recent = bench.simulator.place_order(CODE, {"lines": [MUG], "created_at": "2026-03-01T00:00:00Z"})
    since = datetime(2026, 2, 1, tzinfo=UTC)

    pages = list(ShopifyOrders(bench.api()).changed_since(since))

    assert [order.id for page in pages for order in page] == [recent["id"]]


def test_summaries_by_id_leave_out_deleted_orders_and_equal_those_of_discovery(bench: Bench) -> None:
    kept, deleted = bench.simulator.place_orders(CODE, 2)
    bench.simulator.delete_order(CODE, deleted)
    orders = ShopifyOrders(bench.api())

    found = orders.summaries([Gid(kept), Gid(deleted)])

    assert found == next(orders.changed_since(LONG_AGO))
    assert orders.order(Gid(deleted)) is None


def test_an_order_with_more_lines_than_a_page_is_complete(bench: Bench) -> None:
    placed = bench.simulator.place_order(CODE, {"lines": [MUG] * 130})
    api = bench.api()

    order = ShopifyOrders(api).order(Gid(placed["id"]))

    assert order is not None
    assert [line.position for line in order.lines] == list(range(130))
    assert len({line.id for line in order.lines}) == 130
    assert len(order.fulfillment_orders[0].lines) == 130


def test_every_request_is_logged_with_its_points_its_job_and_its_trace(bench: Bench) -> None:
    bench.simulator.place_orders(CODE, 3)
    api = bench.api(job_id=7, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")

    list(ShopifyOrders(api).changed_since(LONG_AGO))

    with bench.database.transaction() as connection:
        (call,) = api_log.calls(connection, job_id=7)
        assert api_log.usage_of_job(connection, 7) == (api.usage.requests, api.usage.points)
    assert (call.operation, call.status, call.outcome) == ("OrdersChanged", 200, "ok")
    assert call.requested_cost == 101
    assert 0 < api.usage.points < 101
    assert call.available == 2000 - api.usage.points
    assert call.request_id
    assert call.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    with bench.database.transaction() as connection:
        assert api_log.forget_calls(connection, older_than_days=30) == 0
        assert api_log.forget_calls(connection, older_than_days=0) == 1


def test_an_answer_is_kept_although_its_record_fails(bench: Bench) -> None:
    with bench.database.transaction() as connection:
        connection.execute("ALTER TABLE backroom.api_request RENAME TO away")

    assert bench.api().execute(operation("ShopInfo")).values["shop"]["currencyCode"] == "EUR"


def test_a_deprecated_member_is_not_among_what_we_use(bench: Bench) -> None:
    bench.simulator.place_orders(CODE, 1)
    orders = ShopifyOrders(bench.api(job_id=8))

    (page,) = orders.changed_since(LONG_AGO)
    orders.order(page[0].id)

    with bench.database.transaction() as connection:
        assert [call.deprecated for call in api_log.calls(connection, job_id=8)] == ["", ""]


def test_two_workers_share_one_budget_without_being_throttled(bench: Bench) -> None:
    bench.simulator.place_orders(CODE, 1)
    bench.simulator.set_bucket(CODE, 400, 400)
    workers = [bench.client, bench.another_client()]
    list(ShopifyOrders(bench.api()).changed_since(LONG_AGO, page_size=10))
    bench.simulator.clear_records()

    def read(worker: ShopifyClient, times: int) -> None:
        orders = ShopifyOrders(worker.for_shop(bench.shop))
        for _ in range(times):
            (_page,) = orders.changed_since(LONG_AGO, page_size=10)

    started = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, workers * 2, [8] * 4))
    seconds = time.monotonic() - started
    workers[1].http.close()

    counters = bench.simulator.counters(CODE)
    assert counters["outcomes"].get("throttled", 0) == 0
    assert counters["requests"] == 32
    assert counters["points"] <= 400 + 400 * seconds


def test_a_throttled_answer_is_waited_out(bench: Bench) -> None:
    bench.simulator.place_orders(CODE, 1)
    bench.simulator.add_fault("throttled", {"count": 2})
    api = bench.api(high_priority=True)

    assert len(list(ShopifyOrders(api).changed_since(LONG_AGO))) == 1
    assert api.usage.requests == 3


@pytest.mark.parametrize("kind", ["internal_error", "not_json", "cut_before"])
def test_a_read_survives_a_short_trouble_of_the_shop(bench: Bench, kind: str) -> None:
    placed = bench.simulator.place_orders(CODE, 1)
    bench.simulator.add_fault(kind, {"count": 1})

    assert ShopifyOrders(bench.api()).order(Gid(placed[0])) is not None


def test_a_shop_that_stalls_is_cut_off_and_named(bench: Bench) -> None:
    bench.simulator.add_fault("stall", {"seconds": 30})
    hurried = bench.another_client()
    hurried.http.timeout = httpx.Timeout(0.2)
    with closing(hurried.http), pytest.raises(RetryLater) as error:
        hurried.for_shop(bench.shop).execute(operation("ShopInfo"), repeat_timeouts=False)

    assert isinstance(error.value, ShopTimedOut)
    bench.simulator.clear_faults()


def test_a_token_that_is_replaced_is_used_by_the_next_call(bench: Bench) -> None:
    bench.simulator.set_tokens(CODE, ["shpat_new"])
    api = bench.api()
    with pytest.raises(NeedsAttention, match="refuses the access token"):
        api.execute(operation("ShopInfo"))

    bench.set_token("shpat_new")

    assert api.execute(operation("ShopInfo")).values["shop"]["currencyCode"] == "EUR"


@pytest.mark.parametrize("status", [402, 423, 430])
def test_a_suspended_shop_pauses_its_lanes(bench: Bench, status: int) -> None:
    bench.simulator.add_fault("status", {"status": status, "count": 1})

    with pytest.raises(NeedsAttention):
        bench.api().execute(operation("ShopInfo"))


def test_the_connection_test_finds_everything_in_order(bench: Bench) -> None:
    report = shop_connection.test_connection(bench.api(), datetime(2026, 11, 24, tzinfo=UTC))

    assert report.works, report.findings
    assert (report.currency, report.time_zone, report.served_version) == ("EUR", "Europe/Rome", "2026-10")


def test_the_connection_test_tells_when_nobody_answers(bench: Bench) -> None:
    nowhere = replace(bench.shop, api_url="http://127.0.0.1:9")
    client = ShopifyClient(bench.client.http, bench.client.budget, SystemClock(), draw=lambda shortest, _: shortest)

    report = shop_connection.test_connection(client.for_shop(nowhere), datetime(2026, 11, 24, tzinfo=UTC))

    assert not report.works
    assert not report.answered
    assert "no connection" in report.findings[0].text


def set_budget(database: Database, bucket: Bucket) -> None:
    with database.transaction() as connection:
        connection.execute(
            """INSERT INTO backroom.api_budget (shop, maximum, restore_rate, available, observed_at)
               VALUES (%(shop)s, %(maximum)s, %(restore_rate)s, %(available)s, backroom.now())
               ON CONFLICT (shop) DO UPDATE SET maximum = excluded.maximum, restore_rate = excluded.restore_rate,
                   available = excluded.available, observed_at = excluded.observed_at""",
            {
                "shop": CODE,
                "maximum": bucket.maximum,
                "restore_rate": bucket.restore_rate,
                "available": bucket.available,
            },
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    maximum=st.integers(1, 2000),
    available=st.integers(0, 2000),
    cost=st.integers(0, 2500),
    high_priority=st.booleans(),
)
def test_the_database_reserves_by_the_same_arithmetic(
    bench: Bench, maximum: int, available: int, cost: int, high_priority: bool
) -> None:
    # A slow refill keeps the moments between two statements out of the comparison.
    bucket = Bucket(maximum, 0.001, min(available, maximum), LONG_AGO)
    set_budget(bench.database, bucket)

    admission = ApiBudget(bench.database, bench.secrets).admit(
        CODE, "Never", initial_cost=cost, kept_share=0.0 if high_priority else KEPT_SHARE
    )

    asked = min(cost, maximum)  # a guess never exceeds the bucket
    assert (admission.cost, admission.maximum) == (asked, maximum)
    match bucket.reserve(asked, LONG_AGO, high_priority=high_priority):
        case Reservation():
            assert admission.wait_seconds == 0
        case Wait(seconds):
            assert admission.wait_seconds == pytest.approx(seconds, abs=5)
        case CostExceedsBucket():
            pytest.fail("a guess never exceeds the bucket")


def test_many_at_once_never_reserve_more_than_the_bucket_holds(bench: Bench) -> None:
    set_budget(bench.database, Bucket(100, 0.001, 100, LONG_AGO))
    budget = ApiBudget(bench.database, bench.secrets)
    start = threading.Barrier(8)

    def reserve(_: int) -> int:
        start.wait(10)
        return sum(budget.admit(CODE, "Never", initial_cost=10, kept_share=0).wait_seconds == 0 for _ in range(3))

    with ThreadPoolExecutor(8) as threads:
        granted = sum(threads.map(reserve, range(8)))

    assert granted == 10


def test_a_known_price_above_the_bucket_can_never_be_granted(bench: Bench) -> None:
    budget = ApiBudget(bench.database, bench.secrets)
    set_budget(bench.database, Bucket(40, 2, 40, LONG_AGO))
    with bench.database.transaction() as connection:
        connection.execute(
            "INSERT INTO backroom.api_operation_cost (shop, operation, cost) VALUES (%s, 'Dear', 112)", (CODE,)
        )

    admission = budget.admit(CODE, "Dear", initial_cost=10, kept_share=0)
    budget.forget_price(CODE, "Dear")

    assert admission.wait_seconds == float("inf")
    assert budget.admit(CODE, "Dear", initial_cost=10, kept_share=0).wait_seconds == 0


def test_the_largest_cost_seen_is_what_the_next_call_reserves(bench: Bench) -> None:
    bench.simulator.place_orders(CODE, 1)
    orders = ShopifyOrders(bench.api())
    list(orders.changed_since(LONG_AGO, page_size=100))
    list(orders.changed_since(LONG_AGO, page_size=10))

    admission = bench.client.budget.admit(CODE, "OrdersChanged", initial_cost=1, kept_share=0)

    assert admission.cost == 101


def test_orders_of_a_batch_and_of_a_bulk_operation_are_those_that_are_read_one_by_one(bench: Bench) -> None:
    ids = [Gid(gid) for gid in bench.simulator.place_orders(CODE, 12, seed=3)]
    long = bench.simulator.place_order(
        CODE, {"lines": [{"sku": "1012-S", "quantity": 1}] * 15, "customer": "anna@example.com"}
    )
    terms = bench.simulator.place_order(
        CODE, {"lines": [MUG], "customer": "anna@example.com", "due_in_days": 30, "note": "line\u2028end"}
    )
    ids += [Gid(long["id"]), Gid(terms["id"])]
    orders = ShopifyOrders(bench.api(high_priority=True))
    one_by_one = {gid: orders.order(gid) for gid in ids}

    together = dict(orders.orders(ids))
    started = orders.in_bulk.start(ids)
    status = when_done(orders.in_bulk, started)
    with orders.in_bulk.lines(status.url or "") as lines:
        in_bulk = orders.in_bulk.orders(list(lines))

    assert together == one_by_one
    assert in_bulk == {gid: order for gid, order in one_by_one.items() if gid != terms["id"]}
    assert orders.in_bulk.recent(ids, LONG_AGO) == status


def when_done(in_bulk: BulkOrders, started: BulkStatus | Refused) -> BulkStatus:
    """What the shop says of an operation that is over."""
    assert isinstance(started, BulkStatus)

    def seen() -> BulkStatus | None:
        status = in_bulk.look(started.id)
        return status if status is not None and status.state is BulkState.COMPLETED else None

    status = wait.until(seen, 10, "the bulk operation")
    assert status is not None
    return status


def test_a_download_that_breaks_off_is_noticed(bench: Bench) -> None:
    ids = [Gid(gid) for gid in bench.simulator.place_orders(CODE, 3)]
    in_bulk = ShopifyOrders(bench.api()).in_bulk
    started = in_bulk.start(ids)
    status = when_done(in_bulk, started)
    bench.simulator.set_bulk(CODE, {"cut_after_bytes": 5000})

    with pytest.raises(RetryLater, match="broke off"), in_bulk.lines(status.url or "") as lines:
        list(lines)


@pytest.mark.parametrize(
    ("trouble", "batches"),
    [
        pytest.param({}, 0, id="none"),
        pytest.param({"refuse": "OPERATION_IN_PROGRESS"}, 5, id="refused"),
        pytest.param({"outcome": "FAILED"}, 5, id="failed"),
        pytest.param({"cut_after_bytes": 50_000}, 0, id="broken off"),
    ],
)
def test_a_report_imports_sixty_orders_whatever_happens_to_the_bulk_operation(
    bench: Bench, trouble: dict[str, object], batches: int
) -> None:
    bench.simulator.set_bucket(CODE, 20_000, 1000)
    ids = bench.simulator.place_orders(CODE, 60)
    orders = ShopifyOrders(bench.api())
    list(orders.orders([Gid(gid) for gid in ids[:2]]))  # the first answer tells how large the bucket is
    bench.simulator.clear_records()
    bench.simulator.set_bulk(CODE, {"seconds": 0.0, **trouble})
    run = FakeRun(bench.database, shop=bench.shop, entities=ids)

    def a_slice() -> bool:
        with suppress(RetryLater):
            return sync_orders.run(run, orders, None) == Completed()
        return False

    wait.until(a_slice, 20, "the job's end")

    asked = bench.simulator.counters()["operations"]
    assert run.counters.created == 60
    assert (asked["BulkStart"], asked.get("OrdersImport", 0)) == (1, batches)


def test_a_result_that_the_shop_lost_is_collected_again(bench: Bench) -> None:
    ids = bench.simulator.place_orders(CODE, 50)
    bench.simulator.set_bulk(CODE, {"seconds": 0.0})
    orders = ShopifyOrders(bench.api())
    run = FakeRun(bench.database, shop=bench.shop, entities=ids)
    first = sync_orders.run(run, orders, None)
    assert isinstance(orders.in_bulk.start([Gid(ids[0])]), BulkStatus)  # has the first one end
    bench.simulator.expire_bulk_results(CODE)

    second = sync_orders.run(run, orders, None)
    third = sync_orders.run(run, orders, None)

    assert isinstance(first, Snoozed)
    assert isinstance(second, Snoozed)
    assert third == Completed()
    assert run.counters.created == 50
