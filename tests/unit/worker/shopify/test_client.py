"""What the client does about each kind of answer: it paces, repeats, gives up, and never leaks the token."""

import json
from typing import Any

import httpx
import pytest

from tests.support.fakes import a_shop
from tests.support.shopify_answers import FakeBudget, FakeTime, ScriptedShop, answer, client_of
from worker.errors import NeedsAttention, OutcomeUnknown, Rejected, RetryLater, Scope, Throttled
from worker.report import Usage
from worker.shopify.client import API_VERSION, LONGEST_SLEEP_SECONDS, http_client
from worker.shopify.documents import Operation, OperationKind
from worker.shopify.errors import FileGone, QueryTooLarge, ShopTimedOut, UserError

READ = Operation("ShopName", OperationKind.QUERY, "query ShopName { shop { name } }")
WRITE = Operation("Close", OperationKind.MUTATION, "mutation Close { orderClose { userErrors { message } } }")
SHOP = a_shop()
THROTTLED = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
COST = {
    "requestedQueryCost": 12,
    "actualQueryCost": 7,
    "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 1993, "restoreRate": 100},
}


def test_one_request_carries_query_variables_name_and_token_to_the_pinned_version() -> None:
    shop, budget = ScriptedShop(answer({"shop": {"name": "A"}}, cost=COST)), FakeBudget("shpat_secret")
    api = client_of(shop, budget, FakeTime()).for_shop(SHOP, job_id=7)

    data = api.execute(READ, {"id": "1"})

    (request,) = shop.requests
    assert str(request.url) == f"https://my-shop.myshopify.com/admin/api/{API_VERSION}/graphql.json"
    assert request.headers["X-Shopify-Access-Token"] == "shpat_secret"
    assert json.loads(request.content) == {
        "query": READ.text, "variables": {"id": "1"}, "operationName": "ShopName"
    }  # fmt: skip
    assert data.values == {"shop": {"name": "A"}}
    assert api.usage == Usage(requests=1, points=7)


def test_every_call_is_logged_with_its_price_and_the_bucket() -> None:
    headers = {"X-Request-Id": "r-1", "X-Shopify-API-Deprecated-Reason": "Shop.products"}
    budget = FakeBudget()
    api = client_of(ScriptedShop(answer({"shop": {}}, cost=COST, headers=headers)), budget, FakeTime())

    api.for_shop(SHOP, job_id=7).execute(READ)

    (call,) = budget.calls
    assert (call.shop, call.operation, call.job_id, call.status, call.outcome) == ("my-shop", "ShopName", 7, 200, "ok")
    assert (call.requested_cost, call.actual_cost, call.request_id) == (12, 7, "r-1")
    assert call.throttle is not None
    assert call.throttle.available == 1993
    assert call.deprecated == "Shop.products"
    assert "shpat_" not in repr(call)


def test_a_fifth_of_the_bucket_is_left_alone_unless_the_job_has_high_priority() -> None:
    budget = FakeBudget()
    client = client_of(ScriptedShop(answer({"shop": {}}), answer({"shop": {}})), budget, FakeTime())

    client.for_shop(SHOP).execute(READ)
    client.for_shop(SHOP, high_priority=True).execute(READ)

    assert [kept_share for *_, kept_share in budget.admissions] == [0.2, 0.0]


def test_a_short_wait_for_points_is_slept_in_small_steps() -> None:
    budget, clock = FakeBudget(), FakeTime()
    budget.waits = [0.32]

    client_of(ScriptedShop(answer({"shop": {}})), budget, clock).for_shop(SHOP).execute(READ)

    assert clock.seconds == pytest.approx(0.32)
    assert max(clock.slept) <= 0.1


def test_a_long_wait_gives_the_worker_back() -> None:
    budget, shop, clock = FakeBudget(), ScriptedShop(), FakeTime()
    budget.waits = [LONGEST_SLEEP_SECONDS + 0.1]

    with pytest.raises(Throttled) as error:
        client_of(shop, budget, clock).for_shop(SHOP).execute(READ)

    assert error.value.after_seconds == pytest.approx(LONGEST_SLEEP_SECONDS + 0.1)
    assert (shop.requests, clock.slept) == ([], [])


def test_a_drain_ends_a_wait_for_points() -> None:
    budget, clock = FakeBudget(), FakeTime()
    budget.waits = [4.0]
    api = client_of(ScriptedShop(), budget, clock).for_shop(SHOP, should_stop=lambda: clock.seconds >= 0.3)

    with pytest.raises(Throttled, match="stopped while waiting") as error:
        api.execute(READ)

    assert error.value.after_seconds == pytest.approx(3.7)


def test_a_cost_above_the_bucket_fails_fast_and_is_forgotten_for_a_smaller_page() -> None:
    budget, shop = FakeBudget(), ScriptedShop()
    budget.cost, budget.maximum = 112, 40

    with pytest.raises(QueryTooLarge, match="costs 112 points, the shop's bucket holds 40") as error:
        client_of(shop, budget, FakeTime()).for_shop(SHOP).execute(READ)

    assert error.value.code == "cost_exceeds_bucket"
    assert budget.forgotten == [("my-shop", "ShopName")]
    assert shop.requests == []


@pytest.mark.parametrize("operation", [READ, WRITE])
def test_a_throttled_call_was_not_executed_and_is_repeated_after_its_wait(operation: Operation) -> None:
    cost = {
        "requestedQueryCost": 70,
        "actualQueryCost": None,
        "throttleStatus": {"maximumAvailable": 1000, "currentlyAvailable": 66, "restoreRate": 50},
    }
    shop, clock = (
        ScriptedShop(answer(errors=THROTTLED, cost=cost), answer({"orderClose": {"userErrors": []}})),
        FakeTime(),
    )

    client_of(shop, FakeBudget(), clock).for_shop(SHOP).execute(operation)

    assert clock.seconds == pytest.approx(0.08)
    assert shop.requests[0].content == shop.requests[1].content


@pytest.mark.parametrize(("header", "seconds"), [("2.0", 2.0), ("4", 4.0), (None, 1.0)])
def test_too_many_requests_waits_as_told(header: str | None, seconds: float) -> None:
    headers, clock = ({"Retry-After": header} if header else {}), FakeTime()
    shop = ScriptedShop(answer(status=429, headers=headers), answer({"shop": {}}))

    client_of(shop, FakeBudget(), clock).for_shop(SHOP).execute(READ)

    assert clock.seconds == pytest.approx(seconds)


def test_a_long_retry_after_becomes_a_snooze() -> None:
    shop = ScriptedShop(answer(status=429, headers={"Retry-After": "7"}))

    with pytest.raises(Throttled) as error:
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert error.value.after_seconds == 7


def test_a_shop_that_throttles_for_ever_is_given_up_after_ten_tries() -> None:
    shop = ScriptedShop(*[answer(errors=THROTTLED) for _ in range(11)])

    with pytest.raises(Throttled):
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert len(shop.requests) == 11


def test_a_read_is_repeated_with_growing_pauses_until_it_succeeds() -> None:
    shop, clock = ScriptedShop(answer(status=503), httpx.ReadTimeout("slow"), answer({"shop": {}})), FakeTime()

    client_of(shop, FakeBudget(), clock).for_shop(SHOP).execute(READ)

    assert clock.seconds == pytest.approx(1 + 2)
    assert len(shop.requests) == 3


def test_a_read_that_would_pause_longer_than_a_worker_may_sleep_is_left_to_the_ledger() -> None:
    shop, clock = ScriptedShop(*[answer(status=500) for _ in range(4)]), FakeTime()

    with pytest.raises(RetryLater) as error:
        client_of(shop, FakeBudget(), clock).for_shop(SHOP).execute(READ)

    assert error.value.code == "shop_broken"
    assert error.value.after_seconds is None
    assert len(shop.requests) == 4
    assert clock.seconds == pytest.approx(1 + 2 + 4)


@pytest.mark.parametrize("reply", [answer(status=502), answer(status=503), httpx.ConnectError("refused")])
def test_a_shop_where_nobody_answers_is_trouble_of_the_world(reply: httpx.Response | Exception) -> None:
    shop = ScriptedShop(*[reply] * 4)

    with pytest.raises(NeedsAttention) as error:
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert (error.value.code, error.value.scope) == ("shop_away", Scope.SHOP)


def test_a_worker_that_stops_leaves_a_failing_read_to_the_ledger_without_an_attempt() -> None:
    api = client_of(ScriptedShop(answer(status=500)), FakeBudget(), FakeTime()).for_shop(SHOP, should_stop=lambda: True)

    with pytest.raises(Throttled) as error:
        api.execute(READ)

    assert error.value.code == "draining"


def test_a_read_that_times_out_is_handed_back_at_once_where_the_caller_can_ask_for_less() -> None:
    shop = ScriptedShop(httpx.ReadTimeout("30 s"))

    with pytest.raises(ShopTimedOut):
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ, repeat_timeouts=False)


@pytest.mark.parametrize(
    "reply",
    [
        answer(status=500),
        answer(status=504),
        httpx.ReadTimeout("30 s"),
        httpx.RemoteProtocolError("closed"),
        httpx.DecodingError("broken gzip"),
        httpx.Response(200, content=b"<html>"),
        answer(errors=[{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]),
    ],
)
def test_a_mutation_without_a_clear_answer_is_never_repeated(reply: httpx.Response | Exception) -> None:
    shop = ScriptedShop(reply)

    with pytest.raises(OutcomeUnknown) as error:
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(WRITE, key="close/1")

    assert error.value.key == "close/1"
    assert len(shop.requests) == 1


def test_a_mutation_that_found_no_connection_was_not_sent_and_is_repeated() -> None:
    shop = ScriptedShop(httpx.ConnectError("refused"), answer({"orderClose": {"userErrors": []}}))

    client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(WRITE)

    assert len(shop.requests) == 2


def test_user_errors_are_given_to_the_caller() -> None:
    shop = ScriptedShop(answer({"orderClose": {"userErrors": [{"field": ["id"], "message": "closed already"}]}}))

    data = client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(WRITE)

    assert data.user_errors == (UserError(("id",), "closed already"),)


def test_a_denied_field_leaves_the_rest_usable() -> None:
    error = {"message": "denied", "path": ["order", "email"], "extensions": {"code": "ACCESS_DENIED"}}
    shop = ScriptedShop(answer({"order": {"id": "1", "email": None}}, errors=[error]))

    data = client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert data.values["order"]["id"] == "1"
    assert data.unavailable == ("order.email",)


@pytest.mark.parametrize(
    ("status", "errors", "code"),
    [
        (402, None, "shop_suspended"),
        (423, None, "shop_suspended"),
        (430, None, "shop_security"),
        (403, None, "access_denied"),
        (200, [{"message": "no", "extensions": {"code": "SHOP_INACTIVE"}}], "shop_suspended"),
        (200, [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}], "access_denied"),
    ],
)
def test_trouble_with_the_shop_pauses_its_lanes(status: int, errors: list[dict[str, object]] | None, code: str) -> None:
    shop = ScriptedShop(answer(errors=errors, status=status))

    with pytest.raises(NeedsAttention) as error:
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert (error.value.code, error.value.scope) == (code, Scope.SHOP)
    assert len(shop.requests) == 1


def test_a_refused_token_is_tried_anew_only_if_it_has_changed_meanwhile() -> None:
    budget = FakeBudget()
    budget.tokens = ["old", "new"]
    shop = ScriptedShop(answer(status=401), answer({"shop": {}}))

    client_of(shop, budget, FakeTime()).for_shop(SHOP).execute(READ)

    assert [request.headers["X-Shopify-Access-Token"] for request in shop.requests] == ["old", "new"]


def test_a_refused_token_pauses_the_shops_lanes() -> None:
    shop = ScriptedShop(answer(status=401))

    with pytest.raises(NeedsAttention, match="set a new token with `backroom shops set`") as error:
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert error.value.code == "token_refused"


def test_a_shop_without_a_token_is_not_called() -> None:
    shop = ScriptedShop()

    with pytest.raises(NeedsAttention) as error:
        client_of(shop, FakeBudget(token=None), FakeTime()).for_shop(SHOP).execute(READ)

    assert error.value.code == "not_connected"
    assert shop.requests == []


@pytest.mark.parametrize("status", [400, 404, 406])
def test_a_wrong_request_is_rejected_for_good(status: int) -> None:
    shop = ScriptedShop(answer(status=status))

    with pytest.raises(Rejected):
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)


def test_a_query_above_the_single_query_maximum_is_told_apart() -> None:
    error = {"message": "too much", "extensions": {"code": "MAX_COST_EXCEEDED", "cost": 1200, "maxCost": 1000}}
    budget = FakeBudget()

    with pytest.raises(QueryTooLarge) as caught:
        client_of(ScriptedShop(answer(errors=[error])), budget, FakeTime()).for_shop(SHOP).execute(READ)

    assert caught.value.code == "max_cost_exceeded"
    assert budget.forgotten == [("my-shop", "ShopName")]


def test_a_redirect_is_not_followed_so_the_token_stays_at_home() -> None:
    shop = ScriptedShop(answer(status=302, headers={"Location": "https://evil.example/"}))

    with pytest.raises(Rejected):
        client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP).execute(READ)

    assert [request.url.host for request in shop.requests] == ["my-shop.myshopify.com"]


def test_the_processes_client_has_time_limits_keeps_connections_and_follows_nothing() -> None:
    with http_client(4) as http:
        assert (http.timeout.connect, http.timeout.read, http.follow_redirects) == (5, 30, False)


def test_another_served_version_lets_reads_go_on_and_stops_writes() -> None:
    shop = ScriptedShop(answer({"shop": {"name": "A"}}, version="2027-01"))
    api = client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP)

    assert api.execute(READ).values == {"shop": {"name": "A"}}
    with pytest.raises(NeedsAttention, match=r"serves API version 2027-01 instead of 2026-10") as error:
        api.execute(WRITE)

    assert error.value.code == "version_fell_forward"
    assert len(shop.requests) == 1


def test_a_write_that_first_meets_the_other_version_keeps_its_answer() -> None:
    done: dict[str, Any] = {"orderClose": {"userErrors": []}}
    api = client_of(ScriptedShop(answer(done, version="2027-01")), FakeBudget(), FakeTime()).for_shop(SHOP)

    assert api.execute(WRITE).values == done
    with pytest.raises(NeedsAttention):
        api.execute(WRITE)


def test_writes_go_on_once_the_right_version_is_served_again() -> None:
    done: dict[str, Any] = {"orderClose": {"userErrors": []}}
    shop = ScriptedShop(answer({"shop": {}}, version="2027-01"), answer({"shop": {}}), answer(done))
    api = client_of(shop, FakeBudget(), FakeTime()).for_shop(SHOP)

    api.execute(READ)
    api.execute(READ)

    assert api.execute(WRITE).values == done


def test_a_result_is_downloaded_line_by_line_without_our_token() -> None:
    shop = ScriptedShop(httpx.Response(200, content='{"a":"x\u2028y"}\n\n{"b":2}\n{"c":3}'.encode()))
    api = client_of(shop, FakeBudget("shpat_secret"), FakeTime()).for_shop(SHOP)

    with api.download("https://storage.example/result?signature=1") as lines:
        found = list(lines)

    (request,) = shop.requests
    assert found == ['{"a":"x\u2028y"}'.encode(), b'{"b":2}', b'{"c":3}']
    assert "X-Shopify-Access-Token" not in request.headers
    assert api.usage == Usage()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_result_that_is_kept_no_longer_is_told_apart(status: int) -> None:
    api = client_of(ScriptedShop(httpx.Response(status)), FakeBudget(), FakeTime()).for_shop(SHOP)

    with pytest.raises(FileGone), api.download("https://storage.example/result"):
        pass


@pytest.mark.parametrize("reply", [httpx.Response(503), httpx.ReadTimeout("slow"), httpx.Response(302)])
def test_a_result_that_cannot_be_had_now_is_tried_later(reply: httpx.Response | Exception) -> None:
    api = client_of(ScriptedShop(reply), FakeBudget(), FakeTime()).for_shop(SHOP)

    with pytest.raises(RetryLater, match="result"), api.download("https://storage.example/result"):
        pass
