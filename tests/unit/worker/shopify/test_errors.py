"""The outcome table of the platform spec (2.3), row by row, with worked examples 14 to 16."""

import json
from typing import Any

import httpx
import pytest

from worker.shopify.errors import CODE_VERDICTS, STATUS_VERDICTS, Answer, UserError, Verdict, classify


def judged(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(status, httpx.Headers(headers or {}), raw)


def with_code(code: str | None, message: str = "no", data: Any = None, **extensions: Any) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message}
    if code is not None:
        error["extensions"] = {"code": code, **extensions}
    return {"data": data, "errors": [error]}


ROWS: list[tuple[str, int, Any, Verdict]] = [
    ("data and no errors", 200, {"data": {"shop": {"name": "A"}}}, Verdict.OK),
    ("empty user errors", 200, {"data": {"orderClose": {"userErrors": []}}}, Verdict.OK),
    ("user errors", 200, {"data": {"orderClose": {"userErrors": [{"message": "no"}]}}}, Verdict.BUSINESS),
    ("THROTTLED", 200, with_code("THROTTLED", "Throttled"), Verdict.THROTTLED),
    ("MAX_COST_EXCEEDED", 200, with_code("MAX_COST_EXCEEDED", cost=1200, maxCost=1000), Verdict.TOO_COSTLY),
    ("ACCESS_DENIED, some data", 200, with_code("ACCESS_DENIED", data={"order": {"id": 1}}), Verdict.PARTIAL),
    ("ACCESS_DENIED, no data", 200, with_code("ACCESS_DENIED", data={"order": None}), Verdict.DENIED),
    ("ACCESS_DENIED, only nulls", 200, with_code("ACCESS_DENIED", data={"nodes": [None, None]}), Verdict.DENIED),
    ("SHOP_INACTIVE", 200, with_code("SHOP_INACTIVE"), Verdict.SUSPENDED),
    ("402", 402, {"errors": "Payment Required"}, Verdict.SUSPENDED),
    ("423", 423, {"errors": "Locked"}, Verdict.SUSPENDED),
    ("INTERNAL_SERVER_ERROR", 200, with_code("INTERNAL_SERVER_ERROR", requestId="r"), Verdict.TRANSIENT),
    ("Timeout without a code", 200, with_code(None, "Timeout"), Verdict.TRANSIENT),
    ("TIMEOUT", 200, with_code("TIMEOUT"), Verdict.TRANSIENT),
    ("a page of HTML", 200, b"<html>Just a moment</html>", Verdict.TRANSIENT),
    ("a list", 200, [1, 2], Verdict.TRANSIENT),
    ("a number too deep", 200, b"[" * 100_000, Verdict.TRANSIENT),
    ("nothing", 200, b"", Verdict.TRANSIENT),
    ("an object that is no answer", 200, {"ok": True}, Verdict.TRANSIENT),
    ("data null, no errors", 200, {"data": None}, Verdict.TRANSIENT),
    ("400", 400, {"errors": "Bad"}, Verdict.PERMANENT),
    ("401", 401, {"errors": "[API] Invalid API key or access token"}, Verdict.TOKEN),
    ("403", 403, {"errors": "Forbidden"}, Verdict.DENIED),
    ("404", 404, {"errors": "Not Found"}, Verdict.PERMANENT),
    ("406", 406, b"", Verdict.PERMANENT),
    ("429", 429, b"", Verdict.THROTTLED),
    ("430", 430, b"", Verdict.SECURITY),
    ("a redirect", 301, b"", Verdict.PERMANENT),
    ("500", 500, b"", Verdict.AMBIGUOUS),
    ("502", 502, b"<html>", Verdict.AMBIGUOUS),
    ("503", 503, b"", Verdict.AMBIGUOUS),
    ("504", 504, b"", Verdict.AMBIGUOUS),
    ("an unknown code", 200, with_code("undefinedField"), Verdict.PERMANENT),
    ("an error without a code", 200, with_code(None, "syntax error"), Verdict.PERMANENT),
]


@pytest.mark.parametrize(("status", "body", "verdict"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_row_of_the_outcome_table(status: int, body: Any, verdict: Verdict) -> None:
    assert judged(body, status).verdict is verdict


def test_the_rows_above_leave_nothing_of_the_tables_out() -> None:
    statuses = {status for _, status, _, _ in ROWS}
    codes = {
        error.get("extensions", {}).get("code")
        for _, _, body, _ in ROWS
        if isinstance(body, dict) and isinstance(body.get("errors"), list)
        for error in body["errors"]
    }

    assert set(STATUS_VERDICTS) <= statuses
    assert set(CODE_VERDICTS) <= codes
    # No connection is not an answer: the client tells it apart.
    assert {verdict for *_, verdict in ROWS} == set(Verdict) - {Verdict.UNSENT}


def test_a_throttled_query_waits_until_its_own_cost_is_there() -> None:
    answer = judged(
        {
            "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
            "extensions": {
                "cost": {
                    "requestedQueryCost": 70,
                    "actualQueryCost": None,
                    "throttleStatus": {"maximumAvailable": 1000, "currentlyAvailable": 66, "restoreRate": 50},
                }
            },
        }
    )

    assert answer.verdict is Verdict.THROTTLED
    assert answer.wait_seconds == pytest.approx(0.08)
    assert answer.cost.actual is None


def test_the_word_throttled_in_a_text_means_nothing() -> None:
    answer = judged(
        {
            "data": {"order": {"id": "gid://shopify/Order/1", "customer": None}},
            "errors": [
                {
                    "message": "Query was Throttled by Bob",
                    "path": ["order", "customer"],
                    "extensions": {"code": "ACCESS_DENIED"},
                }
            ],
        }
    )

    assert answer.verdict is Verdict.PARTIAL
    assert answer.data["order"]["id"] == "gid://shopify/Order/1"
    assert answer.unavailable == ("order.customer",)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2.0", 2.0), ("7", 7.0), (None, 1.0), ("soon", 1.0), ("-3", 1.0), ("nan", 1.0), ("inf", 1.0), ("1e9", 3600.0)],
)
def test_retry_after_is_decimal_seconds_and_one_where_it_says_nothing(header: str | None, seconds: float) -> None:
    answer = judged(b"", 429, {} if header is None else {"Retry-After": header})

    assert answer.wait_seconds == seconds


def test_denied_fields_are_named_once_however_many_records_miss_them() -> None:
    denied = [
        {"message": "no", "path": ["orders", "nodes", number, "email"], "extensions": {"code": "ACCESS_DENIED"}}
        for number in range(100)
    ]

    answer = judged({"data": {"orders": {"nodes": [{"email": None}] * 100}}, "errors": denied})

    assert answer.unavailable == ("orders.nodes.email",)


def test_the_gravest_error_decides() -> None:
    body = with_code("ACCESS_DENIED", data={"order": {"id": 1}})
    body["errors"].append({"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}})

    assert judged(body).verdict is Verdict.TRANSIENT


def test_user_errors_of_all_payloads_and_kinds_are_collected() -> None:
    answer = judged(
        {
            "data": {
                "first": {"userErrors": [{"field": ["input", "quantities", "71"], "message": "no", "code": "X"}]},
                "second": {"orderCancelUserErrors": [{"field": None, "message": "done already"}]},
                "third": None,
            }
        }
    )

    assert answer.user_errors == (
        UserError(("input", "quantities", "71"), "no", "X"),
        UserError((), "done already"),
    )
    assert str(answer.user_errors[0]) == "[X] input.quantities.71 no"


def test_numbers_with_a_point_stay_exact() -> None:
    answer = judged(b'{"data": {"order": {"rate": 0.1, "id": 820982911946154508}}}')

    assert str(answer.data["order"]["rate"]) == "0.1"
    assert answer.data["order"]["id"] == 820982911946154508
