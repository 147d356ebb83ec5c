"""Many threads at the same few lanes with real commits: what the walk of `lane_walk` cannot see, locks and races.

Each thread is a process that claims, writes, settles, stalls and is reborn under a new id, and now and then
somebody pauses, cancels, sweeps, reaps or repairs. Triggers write down every claim and every fenced write, so
that order and fences can be judged afterwards from what was committed.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests.support import ledger_kit as kit
from worker.database import ledger
from worker.database.ledger import Change, Claim, Wakeup
from worker.database.pool import Database
from worker.errors import LeaseLost
from worker.report import Counters

LEASE_SECONDS = 1.0
LIMITED = {"orders": 3, "stock": 2}
"""Categories of the races, and how many of their lanes may run at once."""

DIARY = """
CREATE SCHEMA races;
CREATE TABLE races.claim (n bigint GENERATED ALWAYS AS IDENTITY, lane_id bigint, job_id bigint, best bigint);
CREATE TABLE races.written (n bigint GENERATED ALWAYS AS IDENTITY, lane_id bigint, job_id bigint, token bigint);
CREATE FUNCTION races.note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO races.claim (lane_id, job_id, best) VALUES (new.id, new.job_id, (SELECT id FROM backroom.head(new.id)));
    RETURN NULL;
END $$;
CREATE TRIGGER note_claim AFTER UPDATE ON backroom.lane FOR EACH ROW
    WHEN (old.holder IS NULL AND new.holder IS NOT NULL) EXECUTE FUNCTION races.note_claim();
"""
OUT_OF_RANK = "SELECT n, lane_id, job_id, best FROM races.claim WHERE job_id IS DISTINCT FROM best"
WRITTEN_BY_AN_OLD_TOKEN = """
    SELECT n FROM (SELECT n, token, max(token) OVER (PARTITION BY lane_id ORDER BY n) AS newest FROM races.written) w
     WHERE token < newest"""


@dataclass
class Races:
    """What the threads share."""

    database: Database
    shops: tuple[str, ...]
    seed: int
    pointers: list[Wakeup] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: int = 0

    def run(self, *, threads: int, seconds: float, meanwhile: Callable[[], None]) -> None:
        """Let the threads race for so long; `meanwhile` is called again and again by the caller's own thread."""
        runners = [Runner(self, random.Random(self.seed * 1000 + n)) for n in range(threads)]
        started = [threading.Thread(target=runner.run, name=f"race {n}") for n, runner in enumerate(runners)]
        for thread in started:
            thread.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.errors:
                meanwhile()
        finally:
            self.over.set()
            for thread in started:
                thread.join(30)

    def add(self, wakeups: tuple[Wakeup, ...]) -> None:
        with self.lock:
            self.pointers += wakeups

    def next_request(self) -> int:
        with self.lock:
            self.asked += 1
            return self.asked

    def count(self, what: str) -> None:
        with self.lock:
            self.done[what] += 1


class Runner:
    """One thread: a process that lives badly."""

    def __init__(self, races: Races, chance: random.Random) -> None:
        self._races = races
        self._database = races.database
        self._chance = chance
        self._slices: list[Claim] = []
        self._worker = UUID(int=0)
        self._renewed = 0.0

    def run(self) -> None:
        acts = [
            (8, self._ask), (8, self._wake), (6, self._write), (8, self._settle), (2, self._upkeep), (2, self._reap),
            (1, self._repair), (1, self._pause_or_resume), (2, self._cancel), (0.3, self._stand_still),
            (0.5, self._be_born_again),
        ]  # fmt: skip
        weights = [weight for weight, _ in acts]
        try:
            self._be_born_again()
            while not self._races.over.is_set():
                ((_, act),) = self._chance.choices(acts, weights)
                act()
                self._races.count(act.__name__.strip("_"))
                self._renew()
        except BaseException as error:
            self._races.errors.append(error)

    def _ask(self) -> None:
        shop = self._chance.choice(self._races.shops)
        key = str(self._races.next_request()) if self._chance.random() < 0.9 else str(self._chance.randint(1, 50))
        if self._chance.random() < 0.5:
            request = kit.a_request(key, shop=shop, parameters={"order_ids": [str(self._chance.randint(1, 9))]})
            admission = kit.admit(self._database, request, self._worker, may_claim=self._chance.random() < 0.6)
            self._goes_on(admission.claim, admission.wakeups)
            return
        # Two limits at once are the harder case for the order of locks.
        key_of_merge = self._chance.choice((None, f"{shop} all"))
        level = self._chance.randint(0, 2)
        self._goes_on(None, ask_for(self._database, "stock", shop, key, level=level, merge_key=key_of_merge))

    def _wake(self) -> None:
        with self._races.lock:
            if not self._races.pointers:
                return
            pointer = self._chance.choice(self._races.pointers)
            if self._chance.random() < 0.9:
                self._races.pointers.remove(pointer)
        admission = ledger.wake(
            self._database, pointer.pointer, worker=self._worker, may_claim=self._chance.random() < 0.8
        )
        self._goes_on(admission.claim, admission.wakeups)

    def _write(self) -> None:
        """T3 that stays open for a moment."""
        if not self._slices:
            return
        claim = self._chance.choice(self._slices)
        with suppress(LeaseLost), self._database.transaction() as connection:
            ledger.fence(connection, claim)
            connection.execute(
                "INSERT INTO races.written (lane_id, job_id, token) VALUES (%s, %s, %s)",
                (claim.lane_id, claim.job.id, claim.token),
            )
            connection.execute("SELECT pg_sleep(%s)", (self._chance.choice((0, 0, 0.005, 0.05)),))
            ledger.checkpoint(connection, claim, {"at": time.time()}, Counters())

    def _settle(self) -> None:
        if not self._slices:
            return
        claim = self._slices.pop(self._chance.randrange(len(self._slices)))
        outcome = self._chance.choice(("yield", "requeue", "snooze", "retry", "succeeded", "succeeded", "failed"))
        settlement = ledger.settle(
            self._database,
            claim,
            Change(outcome, "raced", delay_seconds=0.1),
            worker=self._worker,
            counters=Counters(),
            api_requests=0,
            api_points=0,
            go_on=self._chance.random() < 0.5,
        )
        self._goes_on(settlement.claim, settlement.wakeups)

    def _goes_on(self, claim: Claim | None, wakeups: tuple[Wakeup, ...]) -> None:
        if self._chance.random() < 0.95:  # else it died before it published
            self._races.add(wakeups)
        if claim is not None and self._chance.random() < 0.97:  # else the answer of the commit got lost
            self._slices.append(claim)

    def _upkeep(self) -> None:
        self._races.add(ledger.sweep(self._database, LEASE_SECONDS / 2))
        held = {(claim.lane_id, claim.token) for claim in self._slices}
        rows = kit.rows(self._database.url, "SELECT id, token FROM backroom.lane WHERE holder = %s", self._worker)
        for row in rows:
            if (row["id"], row["token"]) not in held:
                self._races.add(ledger.reap_own(self._database, row["id"], row["token"], self._worker)[1])

    def _reap(self) -> None:
        for lane in ledger.lanes_to_reap(self._database):
            self._races.add(ledger.reap(self._database, lane)[1])

    def _repair(self) -> None:
        self._races.add(ledger.repair(self._database, 0.2)[0])

    def _pause_or_resume(self) -> None:
        kind, name = self._chance.choice(
            (
                ("shop", self._chance.choice(self._races.shops)),
                ("category", "orders"),
                ("category", "stock"),
                ("erp", ""),
            )
        )
        cause = self._chance.choice(("a", "b"))
        if self._chance.random() < 0.4:
            found = ledger.pause(self._database, kind=kind, name=name, cause=cause, who="race", probe_seconds=0.1)
            self._races.add(found)
        else:
            probe = self._chance.random() < 0.3
            self._races.add(ledger.resume(self._database, kind=kind, name=name, cause=cause, probe=probe))
            self._resume_one()

    def _resume_one(self) -> None:
        """Resumes win in the long run, so that there is something to race for."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT kind, name, cause FROM backroom.standing_pause WHERE probed_at IS NULL LIMIT 1"
            ).fetchone()
        if row is not None:
            found = ledger.resume(self._database, kind=row["kind"], name=row["name"], cause=row["cause"])
            self._races.add(found)

    def _cancel(self) -> None:
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT id FROM backroom.job WHERE finished_at IS NULL ORDER BY random() LIMIT 1"
            ).fetchone()
        if row is not None:
            self._races.add(ledger.cancel(self._database, row["id"], "race")[1])

    def _stand_still(self) -> None:
        """Longer than the lease; then it comes back with what it believes to hold."""
        self._races.over.wait(LEASE_SECONDS * 1.5)

    def _be_born_again(self) -> None:
        if self._chance.random() < 0.5:
            self._slices.clear()  # killed; else a process that others believe dead still writes
        self._worker = kit.register(self._database, lease_seconds=LEASE_SECONDS)
        self._renewed = time.monotonic()

    def _renew(self) -> None:
        if time.monotonic() - self._renewed > LEASE_SECONDS / 4:
            with self._database.transaction() as connection:
                ledger.renew_worker(connection, self._worker, LEASE_SECONDS)
            self._renewed = time.monotonic()


def ask_for(
    database: Database, category: str, shop: str, id: str, *, level: int = 1, merge_key: str | None = None
) -> tuple[Wakeup, ...]:
    """A request in a category of its own, also one that has no report yet."""
    arguments: dict[str, Any] = {
        "source": "/races",
        "id": id,
        "hash": "same",
        "shop": shop,
        "report": "sync_orders",
        "category": category,
        "parameters": Jsonb({}),
        "merge_key": merge_key,
        "entities": ["x"],
        "level": level,
        "not_before": None,
        "expires_at": None,
        "dry_run": False,
        "traceparent": None,
        "replay_of": None,
        "worker": None,
        "may_claim": False,
    }
    with database.transaction() as connection:
        row = connection.execute(ledger.SQL("ledger")["admit"], arguments).fetchone()
    assert row is not None
    return ledger._one_wakeup(row)


def prepare(url: str, shops: tuple[str, ...]) -> None:
    """Shops, two limited categories, and the diary."""
    for shop in shops:
        kit.add_shop(url, shop)
    with psycopg.connect(url) as connection:
        connection.execute(DIARY)
        for category, limit in LIMITED.items():
            connection.execute(
                "INSERT INTO backroom.category (name, max_running) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET max_running = excluded.max_running",
                (category, limit),
            )
            for n in range(limit):
                connection.execute(
                    "INSERT INTO backroom.category_slot (category, n) VALUES (%s, %s)", (category, n + 1)
                )


def come_to_an_end(races: Races, deadline_seconds: float) -> None:
    """Nothing new comes and one worker lives: every job must end. Raises AssertionError with those that do not."""
    database = races.database
    for pause in kit.rows(database.url, "SELECT kind, name, cause FROM backroom.standing_pause"):
        races.add(ledger.resume(database, **pause))
    worker = kit.register(database, lease_seconds=600)
    end = time.monotonic() + deadline_seconds
    while left := kit.rows(database.url, "SELECT id, state::text FROM backroom.job WHERE finished_at IS NULL LIMIT 5"):
        assert time.monotonic() < end, f"not ended: {left}"
        races.add(ledger.sweep(database, 0))
        for lane in ledger.lanes_to_reap(database):
            races.add(ledger.reap(database, lane)[1])
        races.add(ledger.repair(database, 0)[0])
        while races.pointers:
            admission = ledger.wake(database, races.pointers.pop().pointer, worker=worker, may_claim=True)
            races.add(admission.wakeups)
            claim = admission.claim
            while claim is not None:
                settlement = ledger.settle(
                    database,
                    claim,
                    Change("succeeded", "done"),
                    worker=worker,
                    counters=Counters(),
                    api_requests=0,
                    api_points=0,
                    go_on=True,
                )
                races.add(settlement.wakeups)
                claim = settlement.claim
