"""The demo's chapters, one after the other; each claim is looked up in ledger and ERP before it is made."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.categories import Category
from tests.demo import checks, facts, story
from tests.demo.checks import Found, Placed
from tests.demo.stage import Stage
from tests.demo.story import SCHEDULE, SCHEDULE_EVERY, SHOP, StoryOrder
from tests.support import queues

PATIENCE_SECONDS = 30.0
"""How long a chapter waits for what it expects; then it goes on, and the checks say what is missing."""
_LOOK_SECONDS = 0.1


@dataclass
class Tour:
    """What was placed and found so far."""

    stage: Stage
    customers: frozenset[str]
    """In the ERP before the first order."""
    placed: list[Placed] = field(default_factory=list)
    found: dict[str, Found] = field(default_factory=dict)
    books: dict[str, tuple[int, str]] = field(default_factory=dict)
    """As they were before everything was told once more; they must stay like that."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    """By order; under the empty name those of the whole."""

    @property
    def all_problems(self) -> list[str]:
        """Everything that is not as promised."""
        return [problem for problems in self.problems.values() for problem in problems]

    def rows(self) -> list[checks.Row]:
        """The summary."""
        return [checks.row(each, self.found[each.name], self.problems.get(each.name, [])) for each in self.placed]


def play(stage: Stage) -> Tour:
    """All chapters, and the comparison at the end."""
    tour = Tour(stage, facts.customers(stage.database_url))
    _by_webhook(tour)
    _by_schedule(tour)
    _by_hand(tour)
    _refused(tour)
    _unruly(tour)
    _judge_the_whole(tour)
    return tour


def _by_webhook(tour: Tour) -> None:
    stage = tour.stage
    stage.screen.chapter("Orders are placed in the shop; its webhooks bring them in")
    stage.shop.subscribe(SHOP, f"{stage.webhooks_url}/webhooks/shopify")
    _expect(tour, [_place(tour, each) for each in story.BY_WEBHOOK])


def _by_schedule(tour: Tour) -> None:
    stage = tour.stage
    stage.screen.chapter("Webhooks get lost; the schedule finds what they did not tell")
    stage.shop.set_webhooks({"drop": True})
    placed = [_place(tour, each) for each in story.BY_SCHEDULE]
    stage.run("schedules", "add", SCHEDULE, "--shop", SHOP, "--report", "sync_orders", "--every", SCHEDULE_EVERY)
    _wait(tour, lambda: _all_there(tour, placed))
    stage.run("schedules", "pause", SCHEDULE, "--reason", "the demo goes on by hand")
    _expect(tour, placed)


def _by_hand(tour: Tour) -> None:
    stage = tour.stage
    stage.screen.chapter("No webhook, no schedule: an operator names two orders")
    placed = [_place(tour, each) for each in story.BY_HAND]
    ids = ",".join(str(stage.shop.order(SHOP, each.name)["legacy_id"]) for each in placed)
    stage.run("sync", "sync_orders", "--shop", SHOP, "--set", f"order_ids={ids}", "--wait")
    _expect(tour, placed)
    stage.shop.set_webhooks({"drop": False})


def _refused(tour: Tour) -> None:
    stage = tour.stage
    stage.screen.chapter("An order with a product the ERP does not know is refused, with the reason")
    placed = [_place(tour, each) for each in story.REFUSED]
    _expect(tour, placed)
    for each in placed:
        told = stage.run("orders", "explain", each.name, "--shop", SHOP, columns=stage.screen.width - 6)
        stage.screen.quote(told)


def _unruly(tour: Tour) -> None:
    stage = tour.stage
    stage.screen.chapter("Webhooks come twice and in the wrong order; nothing is booked twice")
    stage.shop.set_webhooks({"hold": True, "copies": 2})
    (order,) = [_place(tour, each) for each in story.UNRULY]
    stage.shop.edit_order(SHOP, order.name, {"add": [story.ADDED_LATER]})
    stage.shop.mark_paid(SHOP, order.name)
    stage.screen.say(f"{order.name} is edited and paid before the shop tells of any of it")
    stage.shop.set_webhooks({"hold": False, "copies": 0})
    stage.screen.say(f"{stage.shop.release_webhooks(shuffle=True)} deliveries are sent, each three times, shuffled")
    tour.placed[-1] = order = _as_the_shop_says(tour, order.story, order.name)
    _expect(tour, [order])

    tour.books = facts.books(stage.database_url)
    again = [each["webhook_id"] for each in stage.shop.webhook_log(SHOP) if each["state"] == "delivered"]
    for webhook_id in reversed(again):
        stage.shop.redeliver_webhook(webhook_id)
    _wait(tour, lambda: _quiet(tour))
    changed = checks.differences(tour.books, facts.books(stage.database_url))
    _report(
        tour, changed, f"all {len(again)} webhooks so far came once more, newest first: no book, no request changed"
    )


def _judge_the_whole(tour: Tour) -> None:
    """Once more about everything: a later chapter may have spoilt what an earlier one had right."""
    now = facts.findings(tour.stage.database_url, [each.name for each in tour.placed])
    for each in tour.placed:
        seen = tour.found[each.name]
        if now[each.name].documents != seen.documents:
            tour.problems.setdefault(each.name, []).append(f"the document of {each.name} changed after it was made")
    if tour.books:
        changed = checks.differences(tour.books, facts.books(tour.stage.database_url))
        tour.problems.setdefault("", []).extend(changed)
    expected = sum(not each.story.refused_as for each in tour.placed)
    problems = checks.problems_of_house(facts.house(tour.stage.database_url), expected)
    tour.problems.setdefault("", []).extend(problems)


def _place(tour: Tour, wanted: StoryOrder) -> Placed:
    made = tour.stage.shop.place_order(SHOP, wanted.request)
    placed = _as_the_shop_says(tour, wanted, made["name"])
    tour.placed.append(placed)
    tour.stage.screen.say(f"{placed.name} is placed: {placed.total} {placed.currency}, {wanted.what}")
    return placed


def _as_the_shop_says(tour: Tour, wanted: StoryOrder, name: str) -> Placed:
    order: Mapping[str, Any] = tour.stage.shop.order(SHOP, name)
    return Placed(wanted, name, Decimal(order["current_total"]), order["currency"])


def _expect(tour: Tour, placed: Sequence[Placed]) -> None:
    """Wait until these orders came to their end, then say what ledger and ERP know about each."""
    _wait(tour, lambda: _all_there(tour, placed) and _quiet(tour))
    found = facts.findings(tour.stage.database_url, [each.name for each in placed])
    for each in placed:
        tour.found[each.name] = seen = found[each.name]
        problems = checks.problems_of(each, seen, tour.customers)
        tour.problems[each.name] = problems
        for problem in problems:
            tour.stage.screen.bad(problem)
        if not problems:
            tour.stage.screen.good(_good_news(each, seen))


def _good_news(placed: Placed, found: Found) -> str:
    source = ", ".join(found.sources)
    if placed.story.refused_as:
        return f"{placed.name} came through {source} and is refused: {', '.join(found.issues)}"
    document = found.documents[0]
    customer = document.customer if placed.story.customer else f"new customer {document.customer}"
    return f"{placed.name} came through {source}: {document.type} {document.number}, {document.total}, {customer}"


def _report(tour: Tour, problems: list[str], good: str) -> None:
    tour.problems.setdefault("", []).extend(problems)
    for problem in problems:
        tour.stage.screen.bad(problem)
    if not problems:
        tour.stage.screen.good(good)


def _all_there(tour: Tour, placed: Sequence[Placed]) -> bool:
    found = facts.findings(tour.stage.database_url, [each.name for each in placed])
    return all(found[each.name].documents or found[each.name].issues for each in placed)


def _quiet(tour: Tour) -> bool:
    """Everything the shop has told is in the ledger, and no work is left."""
    log = tour.stage.shop.webhook_log(SHOP)
    if any(each["state"] == "pending" for each in log) or not tour.stage.shop.wait_for_webhooks():
        return False
    told = [each["webhook_id"] for each in log if each["state"] == "delivered"]
    return facts.settled(tour.stage.database_url, told) and _queue_is_empty(tour)


def _queue_is_empty(tour: Tour) -> bool:
    if tour.stage.amqp_url is None:
        return True  # nothing travels: what the ledger holds is all there is
    with queues.queues_of(tour.stage.amqp_url) as broker:
        return broker.ready(Category.ORDERS.value) == 0


def _wait(tour: Tour, condition: Callable[[], bool]) -> None:
    """Until it holds, or patience is at its end: then the checks tell what is missing."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < end:
        tour.stage.check_children()
        time.sleep(_LOOK_SECONDS)
