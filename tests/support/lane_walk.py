"""A random walk through the lane protocol: processes ask, claim, write, settle, stall, die; pointers get lost,
doubled and old; the clock jumps. After every step the ledger must agree with `lane_model` and no invariant may break.

One walk is one seed in one database transaction that is rolled back at its end, so that a thousand walks share a
database and none sees another. What each call of the ledger leaves to the next is what its commit would leave:
a process that dies between two commits is a process whose remaining calls never come. Locks and races are not for
the walk to find; `tests/integration/test_lane_races.py` does that with real commits.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from schemas.catalogue import ReportName
from schemas.job import JobState, Priority
from schemas.request import SyncRequest, new_request
from schemas.wire import Pointer, encode_request
from tests.support.lane_model import LEASE_SECONDS, SILENT_SECONDS, Asked, Model, ModelJob, Moment, later
from tests.support.ledger_kit import INVARIANTS
from worker.database import ledger
from worker.database.ledger import Admission, Change, Claim, Wakeup
from worker.database.pool import Database, connect
from worker.errors import LeaseLost
from worker.report import Counters

STEPS = 32
IDLE_SECONDS = 15.0
"""No waiting job stands longer than this while a worker lives."""
TICK_SECONDS = 5.0
"""Between two rounds of upkeep."""
POINTER_AGE_SECONDS = 10.0
DRIFT_SECONDS = 4.0
"""The ledger's clock runs on between the jumps; jumps are longer than this, so the order of moments is certain."""
VACUUM_EVERY = 100
"""Walks, all of which leave dead rows behind."""
TOLD = 80
"""Last steps that a failure shows."""
DEATH = 0.07
"""How likely a process dies at each place where it could."""

SHOPS = ("north", "south", "east")
CLOSED = "closed"
REPORTS = ("sync_orders", "create_sales_orders")
OUTCOMES = (
    "yield",
    "requeue",
    "snooze",
    "retry",
    "succeeded",
    "succeeded",
    "completed_with_errors",
    "failed",
    "cancelled",
)


class Disagreement(AssertionError):
    """The ledger did something else than the model, or broke an invariant."""


class MachineStalled(Exception):
    """The machine stood still for so long that the order of moments is in doubt; the seed is walked again."""


class PinnedDatabase(Database):
    """Every transaction of the ledger in the one transaction of the walk."""

    def __init__(self, url: str) -> None:
        super().__init__(url, application_name="walk")
        self.connection: Connection[DictRow] = connect(url, "walk")
        self.connection.prepare_threshold = 2

    def open(self) -> None:
        """Nothing to open: its one connection stands since it was made."""

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        yield self.connection

    @contextmanager
    def statements(self) -> Iterator[Connection[DictRow]]:
        yield self.connection

    def close(self) -> None:
        self.connection.close()


@dataclass(eq=False)
class Process:
    """A worker, or a foreground process with its one job."""

    id: UUID
    job: int | None = None
    """Foreground: the job that it waits for."""
    beating: bool = True
    """False: it stands still; its lease runs out while its slices may come back at any moment."""


@dataclass(eq=False)
class RunningSlice:
    claim: Claim
    process: Process


@dataclass
class Walk:
    """One seed. `run` raises Disagreement with the steps that led there."""

    seed: int
    database: PinnedDatabase
    steps: int = STEPS
    chance: random.Random = field(init=False)
    model: Model = field(init=False)
    processes: list[Process] = field(default_factory=list)
    slices: list[RunningSlice] = field(default_factory=list)
    messages: list[Pointer | SyncRequest] = field(default_factory=list)
    """What the broker holds."""
    sent: list[SyncRequest] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    deaths: int = 0
    ending: bool = False
    """Nobody dies any more."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.model = Model(SHOPS, disabled=(CLOSED,))
        self.limit: int | None = self.chance.choice((None, None, 1, 2))
        self.lane_ids: dict[int, str] = {}
        self.slots: dict[str, bool] = {}
        self.free_slots = 0
        self.slot_waits: set[str] = set()

    def run(self) -> None:
        """Walk, then let everything come to its end; leaves no trace in the database."""
        connection = self.database.connection
        connection.execute("BEGIN")
        try:
            self._arrange()
            for _ in range(self.steps):
                self._step()
                self._compare()
            self._come_to_an_end()
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except (Disagreement, AssertionError, psycopg.Error) as error:
            raise Disagreement(
                f"seed {self.seed}: {error}\n  "
                + "\n  ".join(self.told[-int(__import__("os").environ.get("N", "60")) :])
            ) from error
        finally:
            connection.execute("ROLLBACK")

    def _arrange(self) -> None:
        connection = self.database.connection
        for shop in (*SHOPS, CLOSED):
            connection.execute(
                "INSERT INTO backroom.shop (code, domain, api_url, enabled) VALUES (%s, %s, %s, %s)",
                (shop, f"{shop}.myshopify.com", f"https://{shop}.myshopify.com", shop != CLOSED),
            )
        connection.execute("UPDATE backroom.category SET max_running = %s WHERE name = 'orders'", (self.limit,))
        for n in range(self.limit or 0):
            connection.execute("INSERT INTO backroom.category_slot (category, n) VALUES ('orders', %s)", (n + 1,))
        row = connection.execute("SELECT backroom.now() AS now").fetchone()
        assert row is not None
        self.start: datetime = row["now"]
        for _ in range(self.chance.randint(1, 3)):
            self._start_worker()
        self._compare()

    # One step. A kind of step that makes no sense now is another request.

    def _step(self) -> None:
        kinds: list[tuple[int, Callable[[], bool]]] = [
            (7, self._request),
            (9, self._deliver),
            (4, self._checkpoint),
            (7, self._settle),
            (4, self._upkeep),
            (3, self._jump),
            (2, self._pause_or_resume),
            (2, self._cancel),
            (2, self._foreground_request),
            (3, self._foreground_turn),
            (1, self._kill),
            (1, self._stand_still),
            (1, self._start_worker),
            (1, self._trouble_with_messages),
            (1, self._lose_an_answer),
        ]
        (_, kind), *_ = self.chance.choices(kinds, weights=[weight for weight, _ in kinds])
        if not kind():
            self._request()

    def _request(self) -> bool:
        """A sender publishes: something new, the same again, or the same key with other content."""
        roll = self.chance.random()
        if self.sent and roll < 0.12:
            self.messages.append(self.chance.choice(self.sent))
        elif self.sent and roll < 0.16:
            old = self.chance.choice(self.sent)
            other = {"order_no": f"other {len(self.sent)}"}
            self.messages.append(
                new_request(id=old.id, source=old.source, shop=old.subject, report=REPORTS[0], parameters=other)
            )
        else:
            self.sent.append(self._new_request())
            self.messages.append(self.sent[-1])
        if self.chance.random() < 0.7:
            return self._deliver(len(self.messages) - 1)
        self._tell("published")
        return True

    def _new_request(self) -> SyncRequest:
        chance = self.chance
        parameters: dict[str, Any] = chance.choice(({}, {}, {"order_no": "a"}))
        if chance.random() < 0.5:
            parameters = parameters | {"order_ids": [str(chance.randint(1, 9)) for _ in range(chance.randint(1, 3))]}
        not_before = chance.choice((None, None, None, None, -30.0, 30.0, 90.0, 600.0))
        lasts = chance.choice((None, None, None, 5.0, 60.0, 900.0))
        return new_request(
            id=f"e{len(self.sent)}",
            source="/walk",
            shop=chance.choice((*SHOPS, *SHOPS, *SHOPS, CLOSED, "nobody")),
            report=chance.choice(REPORTS),
            parameters=parameters,
            priority=chance.choice(tuple(Priority)),
            not_before=None if not_before is None else self._real(later(self.model.now, not_before)),
            expires_at=None
            if lasts is None
            else self._real(later(self.model.now, max(not_before or 0.0, 0.0) + lasts)),
            dry_run=chance.random() < 0.1,
        )

    def _deliver(self, at: int | None = None) -> bool:
        """A worker takes a message: commit, publish, acknowledge; it may die between any two of them."""
        workers = [process for process in self.processes if process.job is None]
        if not self.messages or not workers:
            return False
        message = self.messages.pop(self.chance.randrange(len(self.messages)) if at is None else at)
        worker = self.chance.choice(workers)
        may_claim = self.chance.random() < 0.75
        admission, lane = self._hand_over(message, worker, may_claim)
        wanted = may_claim and lane is not None
        claim = self._check_claim(lane, worker, admission.claim, wanted=wanted) if lane is not None else None
        if self._dies(worker, "before it published"):
            self.messages.append(message)
            return True
        self._publish(admission.wakeups)
        if self._dies(worker, "before it acknowledged"):
            self.messages.append(message)
            return True
        if claim is not None:
            self.slices.append(RunningSlice(claim, worker))
        return True

    def _hand_over(
        self, message: Pointer | SyncRequest, worker: Process, may_claim: bool
    ) -> tuple[Admission, str | None]:
        """T1 or T2; the lane that it woke, or None where the request is a dead letter."""
        self._look_at_slots()
        if isinstance(message, Pointer):
            shop = self.lane_ids[message.lane_id]
            self._tell(f"{_name(worker)} handles pointer {message.number} of {shop}")
            return ledger.wake(self.database, message, worker=worker.id, may_claim=may_claim), shop
        admission = self._admit(message, worker, may_claim)
        return admission, None if admission.job_id is None else message.subject

    def _admit(self, request: SyncRequest, worker: Process, may_claim: bool) -> Admission:
        asked = self._asked(request)
        admission = ledger.admit(
            self.database,
            request,
            worker=worker.id,
            may_claim=may_claim,
            body=encode_request(request),
            origin="orders",
        )
        known = admission.job_id in self.model.jobs
        expected = self.model.admit(asked, None if known else admission.job_id)
        self._tell(f"{_name(worker)} admits {request.id} of {request.subject}: {admission.verdict} {admission.job_id}")
        self._same("admission", (admission.verdict, admission.job_id), expected)
        return admission

    def _checkpoint(self) -> bool:
        """T3 of some slice, perhaps one whose lane has another holder by now."""
        if not self.slices:
            return False
        running = self.chance.choice(self.slices)
        shop = self._lane_of(running.claim)
        ours = self.model.holds(shop, running.claim.token)
        self._tell(f"{_name(running.process)} writes for job {running.claim.job.id} with token {running.claim.token}")
        try:
            fence = ledger.fence(self.database.connection, running.claim)
        except LeaseLost:
            self._same("fence", False, ours)
            self.slices.remove(running)
            return True
        self._same("fence", True, ours)
        self._same("cancel seen", fence.cancel_requested, self.model.lanes[shop].cancel_requested)
        self.model.checkpoint(shop)
        job = self.model.jobs[running.claim.job.id]
        ledger.checkpoint(self.database.connection, running.claim, {"done": job.cursor}, Counters())
        self._dies(running.process, "after a checkpoint")
        return True

    def _settle(self, chosen: RunningSlice | None = None, outcome: str | None = None) -> bool:
        """T4 of some slice with any outcome; a slice whose lane was lost must find that out."""
        if not self.slices:
            return False
        running = chosen or self.chance.choice(self.slices)
        claim, process = running.claim, running.process
        shop = self._lane_of(claim)
        outcome = outcome or self.chance.choice(OUTCOMES)
        delay = self.chance.choice((0.0, 5.0, 30.0, 120.0, 900.0)) if outcome in ("snooze", "retry") else None
        go_on = process.job is None and self.chance.random() < 0.5
        ours = self.model.holds(shop, claim.token)
        self._look_at_slots()
        others_wait = bool(self.slot_waits - {shop})
        self.slices.remove(running)
        settlement = ledger.settle(
            self.database,
            claim,
            Change(outcome, "walked", delay_seconds=delay),
            worker=process.id,
            counters=Counters(),
            api_requests=0,
            api_points=0,
            go_on=go_on,
        )
        self._tell(f"{_name(process)} settles job {claim.job.id} as {outcome}: {settlement.state}")
        self._same("settle", settlement.state, self.model.settle(shop, outcome, delay or 0.0).value if ours else None)
        next_claim = None
        if ours:
            had_slot = {**self.slots, shop: True}
            next_claim = self._check_claim(
                shop, process, settlement.claim, wanted=go_on and not others_wait, slots=had_slot
            )
        if process.job == claim.job.id and self.model.jobs[claim.job.id].state.final and process in self.processes:
            self.processes.remove(process)
        if self._dies(process, "after a settle"):
            return True
        self._publish(settlement.wakeups)
        if next_claim is not None:
            self.slices.append(RunningSlice(next_claim, process))
        return True

    def _upkeep(self) -> bool:
        """The chores of one worker, each a commit of its own, any of them its last."""
        workers = [process for process in self.processes if process.job is None and process.beating]
        if not workers:
            return False
        worker = self.chance.choice(workers)
        chores: list[Callable[[Process], None]] = [self._sweep, self._reap, self._own_lanes, self._repair, self._probe]
        self.chance.shuffle(chores)
        for chore in chores[: self.chance.randint(1, len(chores))]:
            chore(worker)
            if self._dies(worker, "in its upkeep"):
                return True
        return True

    def _sweep(self, worker: Process) -> None:
        self._tell(f"{_name(worker)} sweeps")
        wakeups = ledger.sweep(self.database, SILENT_SECONDS)
        self.model.sweep()
        self._publish(wakeups, worker)

    def _reap(self, worker: Process) -> None:
        self._tell(f"{_name(worker)} reaps")
        lanes = ledger.lanes_to_reap(self.database)
        self._same("lanes to reap", {self.lane_ids[lane] for lane in lanes}, self.model.lost_lanes())
        for lane in lanes:
            verdict, wakeups = ledger.reap(self.database, lane)
            self._same("reap", verdict, self.model.take_back(self.lane_ids[lane], crashed=True).value)
            self._publish(wakeups, worker)

    def _own_lanes(self, worker: Process) -> None:
        self._tell(f"{_name(worker)} looks after its own lanes")
        known = {(running.claim.lane_id, running.claim.token) for running in self.slices if running.process is worker}
        for lane, token in ledger.lanes_held(self.database, worker.id):
            if (lane, token) not in known:
                verdict, wakeups = ledger.reap_own(self.database, lane, token, worker.id)
                self._same("give back", verdict, self.model.take_back(self.lane_ids[lane], crashed=False).value)
                self._publish(wakeups, worker)

    def _repair(self, worker: Process) -> None:
        self._tell(f"{_name(worker)} repairs pointers")
        wakeups, missing = ledger.repair(self.database, POINTER_AGE_SECONDS)
        self._same("lanes that had no pointer", missing, 0)
        self._publish(wakeups, worker)

    def _probe(self, worker: Process) -> None:
        for pause in ledger.pauses_to_probe(self.database):
            self._resume(pause, probe=True)
            self._tell(f"{_name(worker)} probes {pause}")

    def _jump(self) -> bool:
        """Time passes. Who stands still does not renew its lease meanwhile."""
        self._move_clock(self.chance.choice((5, 10, 15, 15, 30, 60, 90, 300, 600)))
        for process in self.processes:
            if process.beating:
                self._beat(process)
        return True

    def _pause_or_resume(self) -> bool:
        if self.model.pauses and self.chance.random() < 0.6:
            self._resume(self.chance.choice(sorted(self.model.pauses)), probe=False)
            return True
        kind, name = self.chance.choice((*(("shop", shop) for shop in SHOPS), ("category", "orders"), ("erp", "")))
        cause = self.chance.choice(("operator", "away"))
        self._tell(f"pause {kind} {name} because of {cause}")
        seconds = None if cause == "operator" else 60.0
        wakeups = ledger.pause(self.database, kind=kind, name=name, cause=cause, who="walk", probe_seconds=seconds)
        self.model.pauses[kind, name, cause] = True
        self._publish(wakeups)
        return True

    def _resume(self, pause: tuple[str, str, str], *, probe: bool) -> None:
        kind, name, cause = pause
        self._tell(f"resume {kind} {name} because of {cause}{' as a probe' if probe else ''}")
        wakeups = ledger.resume(self.database, kind=kind, name=name, cause=cause, probe=probe)
        if probe:
            self.model.pauses[pause] = False
        else:
            self.model.pauses.pop(pause, None)
        self._publish(wakeups)

    def _cancel(self) -> bool:
        if not self.model.jobs:
            return False
        job = self.chance.choice(sorted(self.model.jobs))
        verdict, wakeups = ledger.cancel(self.database, job, "walk")
        self._tell(f"cancel job {job}: {verdict}")
        self._same("cancel", verdict, self.model.cancel(job))
        self._publish(wakeups)
        return True

    def _foreground_request(self) -> bool:
        process = self._new_process("foreground")
        shop = self.chance.choice(SHOPS)
        job, lane, wakeups = ledger.admit_foreground(
            self.database,
            owner=process.id,
            shop=shop,
            report=ReportName.SYNC_ORDERS,
            parameters={},
            dry_run=False,
            who="walk",
        )
        self.lane_ids[lane] = shop
        process.job = job
        self._tell(f"{_name(process)} waits in {shop} with job {job}")
        self.model.admit_foreground(job, shop, process.id)
        self._publish(wakeups)
        return True

    def _foreground_turn(self, chosen: Process | None = None) -> bool:
        waiting = [each for each in self.processes if each.job is not None]
        if not waiting:
            return False
        process = chosen or self.chance.choice(waiting)
        assert process.job is not None
        shop = self.model.jobs[process.job].shop
        (lane,) = [lane for lane, of_shop in self.lane_ids.items() if of_shop == shop]
        turn = ledger.foreground_turn(self.database, lane)
        self._same("free", turn.free, self.model.lanes[shop].holder is None and not self.model.paused(shop))
        if not turn.free:
            self._tell(f"{_name(process)} sees {shop} taken")
            return True
        self._look_at_slots()
        claim, wakeups = ledger.claim_foreground(self.database, lane, process.id)
        self._tell(f"{_name(process)} asks for {shop}")
        self.model.back_in_line(shop, process.id)
        self._check_claim(shop, process, claim, wanted=True, foreground=True)
        self._publish(wakeups)
        if claim is not None:
            self.slices.append(RunningSlice(claim, process))
        return True

    def _kill(self) -> bool:
        if not self.processes:
            return False
        self._end_process(self.chance.choice(self.processes), "at rest")
        return True

    def _stand_still(self) -> bool:
        if not self.processes:
            return False
        process = self.chance.choice(self.processes)
        process.beating = not process.beating
        self._tell(f"{_name(process)} {'goes on' if process.beating else 'stands still'}")
        if process.beating:
            self._beat(process)
        return True

    def _start_worker(self) -> bool:
        self._new_process("worker")
        return True

    def _trouble_with_messages(self) -> bool:
        pointers = [message for message in self.messages if isinstance(message, Pointer)]
        if not pointers:
            return False
        one = self.chance.choice(pointers)
        if self.chance.random() < 0.5:
            self.messages.remove(one)
            self._tell(f"pointer {one} is lost")
        else:
            self.messages.append(one)
            self._tell(f"pointer {one} is doubled")
        return True

    def _lose_an_answer(self) -> bool:
        """The commit of a claim reached the ledger, its answer not the process: nobody runs the job."""
        running = [each for each in self.slices if each.process.beating and each.process.job is None]
        if not running:
            return False
        lost = self.chance.choice(running)
        self.slices.remove(lost)
        self._tell(f"{_name(lost.process)} never hears that it holds {self._lane_of(lost.claim)}")
        return True

    # The end: nothing new comes, one worker surely lives, all that waits must end.

    def _come_to_an_end(self) -> None:
        for process in list(self.processes):
            if self.chance.random() < 0.5:
                self._end_process(process, "for good")
        if self.chance.random() < 0.5:
            self.messages = [message for message in self.messages if not isinstance(message, Pointer)]
            self._tell("all pointers are lost")
        for pause in sorted(self.model.pauses):
            self._resume(pause, probe=False)
        last = self._new_process("worker")
        self.ending = True
        for process in self.processes:
            process.beating = True
        ready_since: dict[tuple[str, int], float] = {}
        for _ in range(400):
            if not self.messages and not self.model.unfinished():
                break
            self._round(last)
            self._compare()
            self._note_idle(ready_since)
            self._move_clock(self._time_to_next())
            for process in self.processes:
                self._beat(process)
        self._same("jobs without an end", [job.id for job in self.model.unfinished()], [])
        self._same("messages left", len([each for each in self.messages if isinstance(each, SyncRequest)]), 0)

    def _round(self, last: Process) -> None:
        """What a living installation does within five seconds."""
        for chore in (self._sweep, self._reap, self._own_lanes, self._repair):
            chore(last)
        for process in list(self.processes):
            if process is not last and process.job is None:
                self._own_lanes(process)
        for _ in range(len(self.messages)):
            self._deliver_for_sure(last)
        for process in [each for each in self.processes if each.job is not None]:
            if all(running.process is not process for running in self.slices):
                self._foreground_turn(process)
        for running in list(self.slices):
            self._settle(running, "succeeded")

    def _deliver_for_sure(self, worker: Process) -> None:
        admission, shop = self._hand_over(self.messages.pop(0), worker, may_claim=True)
        if shop is not None and (claim := self._check_claim(shop, worker, admission.claim, wanted=True)) is not None:
            self.slices.append(RunningSlice(claim, worker))
        self._publish(admission.wakeups)

    def _note_idle(self, ready_since: dict[tuple[str, int], float]) -> None:
        """Lanes that stand ready at the end of a round, by their token, and since when."""
        ready = {
            (shop, lane.token)
            for shop, lane in self.model.lanes.items()
            if self.model.wants_a_worker(shop) and shop not in self.slot_waits
        }
        for gone in ready_since.keys() - ready:
            del ready_since[gone]
        for shop, token in ready:
            idle = self.model.now[0] - ready_since.setdefault((shop, token), self.model.now[0])
            if idle > IDLE_SECONDS:
                raise Disagreement(f"{shop} has stood idle for {idle:g} s of ledger time")

    def _time_to_next(self) -> float:
        """Five seconds; a longer jump where nothing but a due time is waited for."""
        jobs = self.model.unfinished()
        dues = [job.due[0] for job in jobs if job.due is not None]
        if self.messages or self.slices or not jobs or len(dues) < len(jobs):
            return TICK_SECONDS
        return max(TICK_SECONDS, min(dues) - self.model.now[0])

    # Parts of steps.

    def _new_process(self, kind: str) -> Process:
        process = Process(UUID(int=self.chance.getrandbits(128)))
        ledger.register_worker(self.database, process.id, kind=kind, name=_name(process), lease_seconds=LEASE_SECONDS)
        self.model.leases[process.id] = later(self.model.now, LEASE_SECONDS)
        self.processes.append(process)
        self._tell(f"{_name(process)} starts as a {kind}")
        return process

    def _beat(self, process: Process) -> None:
        ledger.renew_worker(self.database.connection, process.id, LEASE_SECONDS)
        self.model.leases[process.id] = later(self.model.now, LEASE_SECONDS)

    def _dies(self, process: Process, when: str) -> bool:
        if process not in self.processes or self.chance.random() >= DEATH or self.ending:
            return False
        self._end_process(process, when)
        return True

    def _end_process(self, process: Process, when: str) -> None:
        self._tell(f"{_name(process)} is killed {when}")
        self.deaths += 1
        self.processes.remove(process)
        self.slices = [running for running in self.slices if running.process is not process]

    def _check_claim(
        self,
        shop: str,
        process: Process,
        claim: Claim | None,
        *,
        wanted: bool,
        foreground: bool = False,
        slots: dict[str, bool] | None = None,
    ) -> Claim | None:
        """The claim must be that of the best job of the line, or there must be a reason for none."""
        slots = self.slots if slots is None else slots
        job = self.model.claimable(shop, process.id, foreground=foreground) if wanted else None
        if job is not None and self.limit is not None and not slots.get(shop) and self.free_slots == 0:
            job = None
        self._same("claimed job", claim and claim.job.id, job and job.id)
        if claim is None or job is None:
            return None
        self.lane_ids[claim.lane_id] = shop
        self._same("token", claim.token, self.model.claim(job, process.id))
        self._same("ids", set(claim.job.entities), job.entities)
        self._tell(f"{_name(process)} claims job {job.id} with token {claim.token}")
        return claim

    def _publish(self, wakeups: Iterable[Wakeup], process: Process | None = None) -> None:
        """Pointers reach the broker unless the one who should publish them dies; they may be lost there too."""
        for wakeup in wakeups:
            if process is None or self.chance.random() >= DEATH or self.ending:
                self.messages.append(wakeup.pointer)

    def _asked(self, request: SyncRequest) -> Asked:
        entities = request.parameters.entities()
        rest = str(request.parameters.without_entities())
        return Asked(
            key=(request.source, request.id),
            content=request.data.model_dump_json(),
            shop=request.subject,
            merge_key=None
            if request.data.dry_run
            else (request.subject, request.report.name, rest, entities is not None),
            level=request.data.priority.level,
            entities=frozenset(entities or ()),
            not_before=self._moment(request.data.not_before),
            expires=self._moment(request.data.expires_at),
        )

    def _lane_of(self, claim: Claim) -> str:
        return claim.shop.code

    def _real(self, moment: Moment) -> datetime:
        """A moment as a sender would write it: a step counts as a microsecond, and takes longer."""
        return self.start + timedelta(seconds=moment[0], microseconds=moment[1])

    def _moment(self, real: datetime | None) -> Moment | None:
        if real is None:
            return None
        microseconds = (real - self.start) // timedelta(microseconds=1)
        # What a sender names comes before all that happens in that second of its own accord.
        return (float(microseconds // 1_000_000), float(microseconds % 1_000_000 - 1_000_000))

    def _move_clock(self, seconds: float) -> None:
        self.model.now = (self.model.now[0] + seconds, self.model.now[1])
        self.database.connection.execute(
            "UPDATE backroom.clock_offset SET shift = shift + %s", (timedelta(seconds=seconds),)
        )
        if seconds:
            self._tell(f"{seconds:g} s pass")

    # Looking.

    def _compare(self) -> None:
        row = self.database.connection.execute(LOOK, prepare=True).fetchone()
        assert row is not None
        if row["now"] > self._real(self.model.now) + timedelta(seconds=DRIFT_SECONDS):
            raise MachineStalled
        if row["broken"]:
            raise Disagreement(f"broken invariants: {row['broken']}")
        model = self.model
        for lane in row["lanes"] or ():
            self.lane_ids[lane["id"]] = lane["scope"]
            of_model = model.lanes[lane["scope"]]
            self._same(
                f"lane {lane['scope']}",
                (lane["token"], lane["holder"], lane["job_id"], lane["cancel_requested"], lane["paused"]),
                (
                    of_model.token,
                    of_model.holder and str(of_model.holder),
                    of_model.job and of_model.job.id,
                    of_model.cancel_requested,
                    model.paused(lane["scope"]),
                ),
            )
        self._take_slots(row["lanes"] or (), row["slots"] or ())
        jobs = {job["id"]: job for job in row["jobs"] or ()}
        self._same("jobs", set(jobs), set(model.jobs))
        for number, job in jobs.items():
            self._same(f"job {number}", _facts_seen(job), _facts_expected(model.jobs[number]))
        for shop in model.lanes:
            in_line = [job for job in jobs.values() if job["shop"] == shop and job["state"] == "queued"]
            seen = [job["id"] for job in sorted(in_line, key=lambda job: (job["rank_at"], job["id"]))]
            expected = [job for job in model.jobs.values() if job.shop == shop and job.state is JobState.QUEUED]
            self._same(
                f"line of {shop}", seen, [job.id for job in sorted(expected, key=lambda job: (job.rank, job.id))]
            )
        self._same("dead letters", row["dead_letters"], model.dead_letters)
        self._same(
            "inbox",
            {(key["source"], key["id"]): key["job_id"] for key in row["inbox"] or ()},
            {key: job_id for key, (_, job_id) in model.inbox.items()},
        )

    def _look_at_slots(self) -> None:
        if self.limit is not None:
            row = self.database.connection.execute(LOOK_AT_SLOTS, prepare=True).fetchone()
            assert row is not None
            self._take_slots(row["lanes"] or (), row["slots"] or ())

    def _take_slots(self, lanes: Iterable[dict[str, Any]], slots: Iterable[dict[str, Any]]) -> None:
        held = [slot["lane_id"] for slot in slots]
        self.slots = {lane["scope"]: lane["id"] in held for lane in lanes}
        self.free_slots = held.count(None)
        self.slot_waits = {lane["scope"] for lane in lanes if lane["slot_wait"]}
        if self.free_slots and self.slot_waits:
            raise Disagreement(f"a slot is free while {sorted(self.slot_waits)} wait")

    def _same(self, what: str, seen: object, expected: object) -> None:
        if seen != expected:
            raise Disagreement(f"{what}: the ledger says {seen}, the model {expected}")

    def _tell(self, what: str) -> None:
        self.model.now = (self.model.now[0], self.model.now[1] + 1)
        self.told.append(f"{self.model.now[0]:6g} s  {what}")


@dataclass(frozen=True, slots=True)
class Walked:
    """What some walks came to."""

    seeds: int
    events: int
    jobs: int
    deaths: int
    failure: str | None = None
    """The first seed that went wrong, with its steps."""


def walk(url: str, seeds: range) -> Walked:
    """Walk every seed in a database of which nobody else moves the clock; stops at the first that goes wrong."""
    done = Walked(0, 0, 0, 0)
    database = PinnedDatabase(url)
    with database:
        for seed in seeds:
            one = _walk_one(seed, database)
            done = Walked(
                done.seeds + 1, done.events + one.events, done.jobs + one.jobs, done.deaths + one.deaths, one.failure
            )
            if one.failure is not None:
                break
            if done.seeds % VACUUM_EVERY == 0:
                database.connection.execute("VACUUM")
    return done


def _walk_one(seed: int, database: PinnedDatabase) -> Walked:
    for _ in range(3):
        one = Walk(seed, database)
        try:
            one.run()
        except MachineStalled:
            continue
        except Disagreement as error:
            return Walked(1, len(one.told), len(one.model.jobs), one.deaths, str(error))
        return Walked(1, len(one.told), len(one.model.jobs), one.deaths)
    return Walked(1, 0, 0, 0, f"seed {seed}: the machine stood still for {DRIFT_SECONDS:g} s three times")


def _facts_seen(job: dict[str, Any]) -> tuple[object, ...]:
    return (
        job["state"],
        job["level"],
        job["attempt"],
        job["crash_count"],
        (job["cursor"] or {}).get("done", 0),
        job["owner"],
        job["passed_over"],
        job["started"],
        set(job["entities"] or ()),
    )


def _facts_expected(job: ModelJob) -> tuple[object, ...]:
    return (
        job.state.value,
        job.level,
        job.attempt,
        job.crashes,
        job.cursor,
        job.owner and str(job.owner),
        job.passed_over,
        job.started,
        job.entities,
    )


def _name(process: Process) -> str:
    return f"{process.id.hex[:4]}"


def _look() -> str:
    """The whole world and all broken invariants, in one statement."""
    broken = " UNION ALL ".join(
        f"SELECT '{name}' AS name FROM ({str(getattr(INVARIANTS, name).sql).strip().rstrip(';')}) AS rows_of_{n}"  # noqa: S608
        for n, name in enumerate(INVARIANTS.available_queries)
        if not name.endswith("_cursor")
    )
    return f"""
        SELECT backroom.now() AS now,
               (SELECT json_agg(name) FROM ({broken}) AS broken) AS broken,
               (SELECT json_agg(json_build_object('id', id, 'scope', scope, 'token', token, 'holder', holder,
                   'job_id', job_id, 'cancel_requested', cancel_requested, 'paused', paused,
                   'slot_wait', slot_wait_at IS NOT NULL)) FROM backroom.lane) AS lanes,
               (SELECT json_agg(json_build_object('id', id, 'shop', shop, 'state', state, 'level', level,
                   'attempt', attempt, 'crash_count', crash_count, 'cursor', cursor, 'owner', owner,
                   'passed_over', passed_over, 'started', started_at IS NOT NULL,
                   'rank_at', extract(epoch FROM rank_at),
                   'entities', (SELECT json_agg(entity) FROM backroom.job_entity e WHERE e.job_id = j.id)))
                  FROM backroom.job j) AS jobs,
               (SELECT json_agg(json_build_object('source', source, 'id', id, 'job_id', job_id))
                  FROM backroom.inbox) AS inbox,
               (SELECT json_agg(json_build_object('lane_id', lane_id)) FROM backroom.category_slot) AS slots,
               (SELECT count(*) FROM backroom.dead_letter) AS dead_letters
    """  # noqa: S608


LOOK = _look()
LOOK_AT_SLOTS = """
    SELECT (SELECT json_agg(json_build_object('id', id, 'scope', scope, 'slot_wait', slot_wait_at IS NOT NULL))
              FROM backroom.lane) AS lanes,
           (SELECT json_agg(json_build_object('lane_id', lane_id)) FROM backroom.category_slot) AS slots
"""
