"""`make demo` as a stranger runs it: it ends by itself, proves what it claims, and leaves nothing behind."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support import wait
from tests.support.processes import Process, started
from tests.support.services import ROOT, Services

# Two cores may be shared with other tests; alone it takes about twenty seconds.
DEMO_SECONDS = 110
ROW = re.compile(r"^#(\d+) +(?:\S.*?) +(webhook|schedule|by hand) +(\S+ EUR) +(order \S+|\w+) +(\S+ EUR|–) +(\w+) *$")


@contextmanager
def demo(services: Services, folder: Path, *arguments: str) -> Iterator[Process]:
    """A demo without a terminal, on the services of the tests; logs and files go to `folder`."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {
        "TMPDIR": str(folder),
        "BACKROOM_DATABASE_URL": services.database_url,
        "BACKROOM_AMQP_URL": services.amqp_url,
        "BACKROOM_SECRET_KEY": services.secret_key,
        "BACKROOM_TEST_MANAGEMENT_URL": services.management_url,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    with started([sys.executable, "-m", "tests.demo", *arguments], environment, folder / "demo.txt") as process:
        yield process


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 30)
def test_the_demo_shows_every_order_booked_once_or_refused_and_leaves_nothing(
    services: Services, tmp_path: Path
) -> None:
    with demo(services, tmp_path) as process:
        code = process.wait(DEMO_SECONDS)
        shown = process.output()

    assert code == 0, shown
    found = [match.groups() for line in shown.splitlines() if (match := ROW.match(line))]
    arrived = [arrival for _, arrival, *_ in found]
    assert {way: arrived.count(way) for way in set(arrived)} == {"webhook": 7, "schedule": 2, "by hand": 2}
    assert [verdict for *_, verdict in found].count("equal") == 10
    assert all(shop == erp for *_, shop, _, erp, verdict in found if verdict == "equal")
    assert ("product_not_found", "–", "refused") in [row[3:] for row in found]
    assert [line for line in shown_in_readme() if line not in without_chance(shown)] == []
    assert list(tmp_path.glob("backroom-demo-*")) == []
    assert databases_of(process.pid, services) == []


@pytest.mark.slow
@pytest.mark.timeout(DEMO_SECONDS + 30)
def test_the_demo_passes_without_rabbitmq(services: Services, tmp_path: Path) -> None:
    with demo(services, tmp_path, "--embedded") as process:
        code = process.wait(DEMO_SECONDS)
        shown = process.output()

    assert code == 0, shown
    verdicts = [match[6] for line in shown.splitlines() if (match := ROW.match(line))]
    assert (verdicts.count("equal"), verdicts.count("refused")) == (10, 1)
    assert "topology apply" not in shown
    assert databases_of(process.pid, services) == []


@pytest.mark.slow
def test_no_process_outlives_a_demo_that_is_killed(services: Services, tmp_path: Path) -> None:
    with demo(services, tmp_path) as process:
        process.wait_for_output("#1001 is placed", 60)
        family = descendants(process.pid)
        assert len(family) >= 5, "shop, supervisor, worker, scheduler, webhooks"

        process.kill()

    wait.until(lambda: not any(is_running(pid) for pid in family), 10, "every process of the demo to be gone")


@pytest.mark.slow
def test_a_demo_that_is_ended_early_cleans_up(services: Services, tmp_path: Path) -> None:
    with demo(services, tmp_path) as process:
        process.wait_for_output("#1001 is placed", 60)
        family = descendants(process.pid)

        process.signal(signal.SIGTERM)

        assert process.wait(60) == 128 + signal.SIGTERM
    assert not any(is_running(pid) for pid in family)
    assert list(tmp_path.glob("backroom-demo-*")) == []
    assert databases_of(process.pid, services) == []


@pytest.mark.slow
def test_a_demo_whose_shop_dies_ends_with_the_logs_and_exit_code_one(services: Services, tmp_path: Path) -> None:
    with demo(services, tmp_path) as process:
        process.wait_for_output("#1001 is placed", 60)
        (shop,) = [pid for pid in descendants(process.pid) if b"tests.simulator" in command_of(pid)]

        os.kill(shop, signal.SIGKILL)

        assert process.wait(60) == 1
        shown = process.output()
    assert "✗" in shown
    assert "shop.log" in shown
    assert "worker_started" in shown, "the end of the processes' log"
    assert "all logs are in" in shown
    assert databases_of(process.pid, services) == []


def shown_in_readme() -> list[str]:
    """The demo's output as the README shows it."""
    (block,) = re.findall(r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return without_chance(block)


def without_chance(text: str) -> list[str]:
    """Its lines without times, and without numbers that depend on which of two webhooks was faster."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME", text)
    text = re.sub(r"SO-\d+|C0000\d\d\b", "NUMBER", text)
    text = re.sub(r"\d+ API calls \(\d+ points\), \d+ s", "COST", text)
    return [line.rstrip() for line in text.splitlines()]


def databases_of(pid: int, services: Services) -> list[str]:
    """Databases that a session of that process left."""
    with psycopg.connect(services.database_url) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"test_{pid}_%",))
        return [str(name) for (name,) in found.fetchall()]


def descendants(pid: int) -> list[int]:
    """Children, grandchildren and so on, as Linux lists them."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def command_of(pid: int) -> bytes:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
