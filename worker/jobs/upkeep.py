"""The chores of every worker: sweep what is due, relay what waits, reap the dead, repair lost pointers.

One thread, one round a second; each chore is a transaction of its own, safe to run in any number of processes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from worker.database import ledger, leftovers
from worker.errors import Unreachable
from worker.jobs.executor import Runtime
from worker.jobs.liveness import Heartbeat
from worker.logs import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class UpkeepTimes:
    """How often and how old. Seconds (design section 4, table of constants)."""

    sweep_seconds: float = 1.0
    reap_seconds: float = 5.0
    pointer_age_seconds: float = 10.0
    """A pointer older than this that started nothing is sent again."""
    parked_seconds: float = 2.0
    silent_lease_seconds: float = 45.0
    """A foreground process with less of its lease left than this is silent (15 s without a heartbeat)."""
    grace_seconds: float = 20.0
    """A reaper whose own lease had lapsed waits this long."""
    forget_seconds: float = 3600.0
    """Between two looks for rows past their retention."""
    inbox_days: float = 30.0
    api_log_days: int = 30
    locked_seconds: float = 30.0
    """The sessions of a lost worker that still lock a lane after this are ended."""


@dataclass(slots=True)
class UpkeepCounts:
    """What the chores of this process have met since it began."""

    lanes_of_lost_workers: int = 0
    lanes_without_thread: int = 0
    pointers_lost: int = 0
    pointers_missing: int = 0
    """More than none is a bug."""


class Upkeep:
    """Runs the chores of one process."""

    def __init__(
        self, runtime: Runtime, heartbeat: Heartbeat, times: UpkeepTimes, *, pointers_from_rows: bool = False
    ) -> None:
        """`pointers_from_rows`: no worker is fed by a broker, so a pointer that nobody took is not lost."""
        self._runtime = runtime
        self._heartbeat = heartbeat
        self._times = times
        self._pointers_from_rows = pointers_from_rows
        self._stop = threading.Event()
        self._last_reap = float("-inf")
        self._last_forget = float("-inf")
        self._locked_since: dict[int, float] = {}
        self._went_round_at = runtime.clock.monotonic()
        self.counts = UpkeepCounts()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._runtime.nudge.set()
        self._thread.join(timeout=10)

    @property
    def thread(self) -> threading.Thread:
        """For the watchdog."""
        return self._thread

    @property
    def silent_seconds(self) -> float:
        """Since it last finished a chore, or had none; for the watchdog."""
        return self._runtime.clock.monotonic() - self._went_round_at

    def _run(self) -> None:
        while not self._stop.is_set():
            self._runtime.nudge.wait(self._times.sweep_seconds)
            self._runtime.nudge.clear()
            if not self._stop.is_set():
                self.round()

    def round(self) -> None:
        """All chores that are due, once."""
        self._guarded("sweep", self._sweep)
        self._guarded("relay", self._relay)
        self._runtime.publish(self._runtime.threads.overdue(self._times.parked_seconds))
        now = self._runtime.clock.monotonic()
        if now - self._last_reap >= self._times.reap_seconds:
            self._last_reap = now
            self._guarded("reap", self._reap)
            self._guarded("own_lanes", self._own_lanes)
            self._guarded("repair", self._repair)
            self._guarded("probe", self._probe)
            self._guarded("parked", self._replay_parked)
        if now - self._last_forget >= self._times.forget_seconds:
            self._last_forget = now
            self._guarded("forget", self._forget)

    def _guarded(self, chore: str, work: Callable[[], None]) -> None:
        """A chore that fails is tried again next round; the thread goes on."""
        try:
            work()
        except (psycopg.Error, Unreachable) as error:
            log.warning("chore_failed", chore=chore, error=str(error).strip())
        except Exception:
            log.exception("chore_failed", chore=chore)
        self._moved()

    def _moved(self) -> None:
        self._went_round_at = self._runtime.clock.monotonic()

    def _sweep(self) -> None:
        runtime = self._runtime
        runtime.publish(ledger.sweep(runtime.database, self._times.silent_lease_seconds))

    def _relay(self) -> None:
        """For no longer than a round may take: after an outage thousands may wait, and the dead must be reaped too."""
        runtime = self._runtime
        began = runtime.clock.monotonic()
        more = True
        while more and not self._stop.is_set():
            more, wakeups = ledger.relay_one(runtime.database, runtime.versions)
            runtime.publish(wakeups)
            self._moved()
            if more and runtime.clock.monotonic() - began >= self._times.sweep_seconds:
                runtime.nudge.set()  # go on at once, after the other chores
                return

    def _reap(self) -> None:
        runtime = self._runtime
        if not self._heartbeat.may_reap(self._times.grace_seconds):
            return
        lanes = ledger.lanes_to_reap(runtime.database)
        self._locked_since = {lane: since for lane, since in self._locked_since.items() if lane in lanes}
        for lane in lanes:
            verdict, wakeups = ledger.reap(runtime.database, lane)
            runtime.publish(wakeups)
            self._moved()
            if verdict == "locked":
                since = self._locked_since.setdefault(lane, runtime.clock.monotonic())
                if runtime.clock.monotonic() - since >= self._times.locked_seconds:
                    ledger.end_sessions(runtime.database, lane)
            elif verdict not in ("free", "alive"):
                self.counts.lanes_of_lost_workers += 1
                log.warning("worker_lost", lane=lane, job_state=verdict)

    def _own_lanes(self) -> None:
        runtime = self._runtime
        for lane, token in ledger.lanes_held(runtime.database, runtime.worker):
            if (lane, token) not in runtime.held:
                verdict, wakeups = ledger.reap_own(runtime.database, lane, token, runtime.worker)
                runtime.publish(wakeups)
                self.counts.lanes_without_thread += 1
                log.warning("lane_without_thread", lane=lane, token=token, job_state=verdict)

    def _repair(self) -> None:
        wakeups, missing = ledger.repair(
            self._runtime.database, self._times.pointer_age_seconds, from_rows=self._pointers_from_rows
        )
        self._runtime.publish(wakeups)
        self.counts.pointers_lost += len(wakeups) - missing
        self.counts.pointers_missing += missing
        if missing:
            log.error("pointer_missing", lanes=missing)

    def _probe(self) -> None:
        runtime = self._runtime
        for kind, name, cause in ledger.pauses_to_probe(runtime.database):
            runtime.publish(ledger.resume(runtime.database, kind=kind, name=name, cause=cause, probe=True))
            log.info("lanes_probed", kind=kind, name=name, cause=cause)

    def _replay_parked(self) -> None:
        runtime = self._runtime
        more = True
        while more and not self._stop.is_set():
            more, wakeups = leftovers.replay_one_parked(runtime.database, runtime.versions, runtime.worker)
            runtime.publish(wakeups)

    def _forget(self) -> None:
        ledger.forget_old(
            self._runtime.database, inbox_days=self._times.inbox_days, api_log_days=self._times.api_log_days
        )
