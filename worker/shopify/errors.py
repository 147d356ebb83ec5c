"""What an answer of the Admin API means: one table (platform spec 2.3) and one pure function over it.

`classify` judges; `client.py` acts. Only codes are matched, never message texts, with one exception that Shopify
leaves us: its code-less "Timeout".
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from worker.errors import Rejected, RetryLater
from worker.model.api_call import ThrottleStatus

Json = Mapping[str, Any]


class Verdict(StrEnum):
    """The classes of answers; each names what the client does next."""

    OK = "ok"
    """Use the data."""
    PARTIAL = "partial"
    """Use the data; some fields were denied and are listed."""
    BUSINESS = "business"
    """The mutation refused its input: the caller reads the user errors. Never repeated blindly."""
    THROTTLED = "throttled"
    """Not executed: wait, then repeat, mutations too."""
    TOO_COSTLY = "too_costly"
    """Never executable at this size: the caller halves its page."""
    SUSPENDED = "suspended"
    """The shop is frozen, unpaid or locked: pause its lanes."""
    TOKEN = "token"  # noqa: S105 - a class of answers
    """The token was refused: read it anew, try once more, then pause the shop's lanes."""
    DENIED = "denied"
    """A scope or the merchant's approval is missing for all that was asked: pause the shop's lanes."""
    SECURITY = "security"
    """Shopify sees an attack: stop at once, pause the shop's lanes."""
    PERMANENT = "permanent"
    """Will be refused for ever: our request is wrong."""
    TRANSIENT = "transient"
    """An answer that is none. Reads are repeated; a mutation's outcome is unknown."""
    AMBIGUOUS = "ambiguous"
    """No answer, or a broken server: it may have been executed. Reads are repeated."""
    UNSENT = "unsent"
    """No connection was made, so nothing was executed: anything may be repeated."""


STATUS_VERDICTS: Final[Mapping[int, Verdict]] = {
    400: Verdict.PERMANENT,
    401: Verdict.TOKEN,
    402: Verdict.SUSPENDED,
    403: Verdict.DENIED,
    404: Verdict.PERMANENT,
    406: Verdict.PERMANENT,
    423: Verdict.SUSPENDED,
    429: Verdict.THROTTLED,
    430: Verdict.SECURITY,
}
"""Statuses other than 200 by number; 5xx is AMBIGUOUS, 408 too, any other is PERMANENT."""

CODE_VERDICTS: Final[Mapping[str, Verdict]] = {
    "THROTTLED": Verdict.THROTTLED,
    "SHOP_INACTIVE": Verdict.SUSPENDED,
    "MAX_COST_EXCEEDED": Verdict.TOO_COSTLY,
    "INTERNAL_SERVER_ERROR": Verdict.TRANSIENT,
    "TIMEOUT": Verdict.TRANSIENT,
    "ACCESS_DENIED": Verdict.DENIED,
}
"""`errors[].extensions.code` of a 200; any other code is PERMANENT."""

_GRAVEST_FIRST: Final = (
    Verdict.THROTTLED,
    Verdict.SUSPENDED,
    Verdict.TOO_COSTLY,
    Verdict.TRANSIENT,
    Verdict.PERMANENT,
    Verdict.DENIED,
)
_NO_RETRY_AFTER_SECONDS: Final = 1.0
"""Wait after a 429 that names no time."""
_LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
"""A larger Retry-After is taken for a mistake."""
_SHOWN_CHARACTERS: Final = 300


class QueryTooLarge(Rejected):
    """The query costs more than Shopify ever grants: ask for smaller pages."""


class ShopTimedOut(RetryLater):
    """The shop took too long over a read; a smaller page may do (platform spec 2.3)."""


class FileGone(RetryLater):
    """A file that the shop made for us is kept no longer: have it made again (platform spec 2.6)."""


@dataclass(frozen=True, slots=True)
class UserError:
    """One entry of a mutation's `userErrors`."""

    field: tuple[str, ...]
    """Path into the input, for example ("input", "quantities", "71"); empty: the whole."""
    message: str
    code: str = ""

    def __str__(self) -> str:
        where = ".".join(self.field)
        return " ".join(part for part in (f"[{self.code}]" if self.code else "", where, self.message) if part)


@dataclass(frozen=True, slots=True)
class Cost:
    """`extensions.cost` of an answer, in points."""

    requested: float | None = None
    actual: float | None = None
    """None: refused, nothing was charged."""
    throttle: ThrottleStatus | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged answer."""

    verdict: Verdict
    data: Json = field(default_factory=dict)
    message: str = ""
    """What Shopify said, for people; no personal data beyond its own words."""
    unavailable: tuple[str, ...] = ()
    """Paths of fields that were denied, for example `order.customer.email`; places in lists are left out."""
    user_errors: tuple[UserError, ...] = ()
    cost: Cost = Cost()
    wait_seconds: float = 0.0
    """For THROTTLED: when to repeat."""
    timed_out: bool = False
    """The shop ran out of time: less at once may succeed."""
    away: bool = False
    """Nobody answers there, or only a gateway does: trouble of the world, not of this call."""


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Judge one HTTP answer. `headers` must look names up without regard to case, as httpx's do."""
    parsed = _parse(body)
    cost = _cost(parsed)
    if status != 200:
        return _by_status(status, headers, parsed, cost)
    if parsed is None or not ("data" in parsed or "errors" in parsed):
        return Answer(Verdict.TRANSIENT, message=f"not a GraphQL answer: {_excerpt(body)}", cost=cost)
    data = parsed.get("data")
    data = data if isinstance(data, Mapping) else {}
    errors = _errors(parsed)
    if errors:
        return _by_errors(errors, data, cost)
    if not data:
        return Answer(Verdict.TRANSIENT, message="an answer without data and without errors", cost=cost)
    user_errors = tuple(_user_errors(data))
    if user_errors:
        told = "; ".join(str(error) for error in user_errors)
        return Answer(Verdict.BUSINESS, data=data, message=told, user_errors=user_errors, cost=cost)
    return Answer(Verdict.OK, data=data, cost=cost)


def _by_status(status: int, headers: Mapping[str, str], parsed: Json | None, cost: Cost) -> Answer:
    message = f"HTTP {status}" + (f": {_told(parsed)}" if parsed and _told(parsed) else "")
    verdict = STATUS_VERDICTS.get(status, Verdict.AMBIGUOUS if status >= 500 or status == 408 else Verdict.PERMANENT)
    if verdict is Verdict.THROTTLED:
        return Answer(verdict, message=message, cost=cost, wait_seconds=_retry_after(headers.get("retry-after")))
    return Answer(verdict, message=message, cost=cost, timed_out=status in (408, 504), away=status in (502, 503))


def _by_errors(errors: Sequence[Json], data: Json, cost: Cost) -> Answer:
    verdicts = [_verdict_of(error) for error in errors]
    verdict = next(grave for grave in _GRAVEST_FIRST if grave in verdicts)
    answer = Answer(
        verdict,
        message="; ".join(_message(error) for error in errors)[:_SHOWN_CHARACTERS],
        cost=cost,
        timed_out=verdict is Verdict.TRANSIENT,
    )
    if verdict is Verdict.THROTTLED:
        return replace(answer, wait_seconds=_refill_seconds(cost))
    if verdict is Verdict.DENIED and _holds_something(data):
        unavailable = tuple(dict.fromkeys(_path(error) for error in errors))
        # A mutation's own refusals may stand beside a denied field.
        return replace(
            answer, verdict=Verdict.PARTIAL, data=data, unavailable=unavailable, user_errors=tuple(_user_errors(data))
        )
    return answer


def _path(error: Json) -> str:
    return ".".join(part for part in error.get("path") or () if isinstance(part, str)) or "?"


def _holds_something(data: Json) -> bool:
    """Whether anything came through: a list of nothing but nulls is nothing."""
    return any(
        any(item is not None for item in value) if isinstance(value, list) else value is not None
        for value in data.values()
    )


def _verdict_of(error: Json) -> Verdict:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    if code is None:
        return Verdict.TRANSIENT if _message(error).strip().lower() == "timeout" else Verdict.PERMANENT
    return CODE_VERDICTS.get(str(code), Verdict.PERMANENT)


def _refill_seconds(cost: Cost) -> float:
    """How long until the bucket holds what the refused query needs; 1 s where the answer does not tell."""
    if cost.throttle is None or cost.requested is None or cost.throttle.restore_rate <= 0:
        return _NO_RETRY_AFTER_SECONDS
    return max(0.0, (cost.requested - cost.throttle.available) / cost.throttle.restore_rate)


def _retry_after(value: str | None) -> float:
    """Shopify sends decimal seconds: "2.0"."""
    try:
        seconds = float(value or "")
    except ValueError:
        return _NO_RETRY_AFTER_SECONDS
    if not math.isfinite(seconds) or seconds < 0:
        return _NO_RETRY_AFTER_SECONDS
    return min(seconds, _LONGEST_RETRY_AFTER_SECONDS)


def _user_errors(data: Json) -> Iterator[UserError]:
    """All entries of `userErrors`, `mediaUserErrors`, `orderCancelUserErrors`, … of all (aliased) payloads."""
    for payload in data.values():
        if not isinstance(payload, Mapping):
            continue
        for key, entries in payload.items():
            if key.lower().endswith("usererrors") and isinstance(entries, Sequence):
                for entry in entries:
                    path = tuple(str(part) for part in entry.get("field") or ())
                    yield UserError(path, str(entry.get("message") or ""), str(entry.get("code") or ""))


def _parse(body: bytes) -> Json | None:
    """The answer as a JSON object with exact numbers; None: it is none."""
    try:
        parsed = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, Mapping) else None


def _errors(parsed: Json) -> Sequence[Json]:
    errors = parsed.get("errors")
    if isinstance(errors, str):
        return ({"message": errors},)
    if not isinstance(errors, Sequence):
        return ()
    return [error if isinstance(error, Mapping) else {"message": str(error)} for error in errors]


def _told(parsed: Json) -> str:
    return "; ".join(_message(error) for error in _errors(parsed))[:_SHOWN_CHARACTERS]


def _message(error: Json) -> str:
    return str(error.get("message") or "")


def _cost(parsed: Json | None) -> Cost:
    extensions = (parsed or {}).get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, Mapping) else None
    if not isinstance(cost, Mapping):
        return Cost()
    status = cost.get("throttleStatus")
    throttle = None
    if isinstance(status, Mapping):
        maximum, available, rate = (
            _number(status.get(name)) for name in ("maximumAvailable", "currentlyAvailable", "restoreRate")
        )
        if maximum and rate and available is not None:
            throttle = ThrottleStatus(maximum, available, rate)
    return Cost(_number(cost.get("requestedQueryCost")), _number(cost.get("actualQueryCost")), throttle)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _excerpt(body: bytes) -> str:
    return body[:80].decode("utf-8", "replace").strip() or "an empty body"
