"""The demo: ``make demo``. A shop, its webhooks, a schedule, an operator, and the sales orders they lead to.

With ``--embedded`` it is played without RabbitMQ.

Exit code 0 when everything it claims was found in ledger and ERP, 1 otherwise. On a terminal it stays until Ctrl-C.
"""

import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from producers.operator.services.errors import ServicesError
from tests.demo import stage as stage_kit
from tests.demo import tour as guide
from tests.demo.screen import Screen
from tests.demo.stage import DemoFailed, Stage
from tests.demo.story import SCHEDULE, SHOP
from tests.demo.tour import Tour

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Play it; returns the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    screen = Screen()
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    folder = Path(tempfile.mkdtemp(prefix="backroom-demo-"))
    good = True
    screen.title("Backroom: orders of a Shopify store become sales orders of an ERP")
    try:
        with stage_kit.opened(screen, folder, keep_services=on_terminal, embedded="--embedded" in arguments) as stage:
            good = _play(stage, on_terminal)
    except KeyboardInterrupt:
        screen.say("stopped")
        return INTERRUPTED
    except (DemoFailed, ServicesError, AssertionError) as error:
        screen.bad(str(error))
        good = False
    except Exception:  # whatever it was, the logs belong to it
        screen.bad(traceback.format_exc())
        good = False
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
    if good:
        return 0
    screen.logs(folder)
    screen.say(f"all logs are in {folder}")
    return 1


def _play(stage: Stage, on_terminal: bool) -> bool:
    began = time.monotonic()
    stage.screen.heading("Set up: an empty database, a company that knows the items, a shop")
    stage_kit.set_up(stage)
    with stage_kit.running(stage):
        tour = guide.play(stage)
        _sum_up(stage, tour, time.monotonic() - began)
        good = not tour.all_problems
        if on_terminal and good:
            _stay(stage)
    return good


def _sum_up(stage: Stage, tour: Tour, seconds: float) -> None:
    screen = stage.screen
    screen.heading("Summary")
    screen.summary(tour.rows())
    counters = stage.shop.counters(SHOP)
    booked = sum(len(found.documents) for found in tour.found.values())
    refused = sum(bool(each.story.refused_as) for each in tour.placed)
    screen.say("")
    screen.say(
        f"{len(tour.placed)} orders: {booked} booked once each, {refused} refused; "
        f"{counters['webhook_attempts']} webhooks received, {counters['requests']} API calls "
        f"({counters['points']} points), {seconds:.0f} s"
    )
    for problem in tour.all_problems:
        screen.bad(problem)
    if not tour.all_problems:
        screen.good("every total, customer and way of arrival was compared in ledger and ERP: all as they must be")


def _stay(stage: Stage) -> None:
    """Until Ctrl-C, with everything running and the schedule resumed."""
    stage.run("schedules", "resume", SCHEDULE)
    screen = stage.screen
    screen.heading("It goes on running. Try, in another terminal:")
    refused = next(each for each in stage.shop.orders(SHOP) if any(line["sku"] == "9999" for line in each["lines"]))
    for line in (
        f". {stage.folder / 'environment'}",
        "backroom status",
        f"backroom orders list --shop {SHOP}",
        f"backroom orders explain '{refused['name']}' --shop {SHOP}",
        "backroom jobs list",
        f'curl -d \'{{"shop": "{SHOP}", "seed": 7}}\' {stage.shop.base_url}/_simulator/place_random_order',
        "backroom erp export sales-orders",
    ):
        screen.say(f"  {line}")
    screen.say("Ctrl-C ends it and removes its database.")
    try:
        while True:
            stage.check_children()
            time.sleep(1)
    except KeyboardInterrupt:
        screen.say("ending …")


def _leave(number: int, _frame: FrameType | None) -> None:
    """Ended from outside: unwind, so that database and virtual host go too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
