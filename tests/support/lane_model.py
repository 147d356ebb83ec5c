"""What must be true of jobs and lanes, as a few pages of Python without SQL, locks or clocks (lane protocol).

The model is told what somebody does and answers what must come of it. It knows nothing of how the ledger keeps
its promises; `tests.support.lane_walk` compares the two after every step.

Time is a pair: ledger seconds since the start, and the number of the step. Two things of the same second are
ordered by the step that caused them, as real time orders them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from schemas.job import JobState
from worker.database.ledger import Verdict

Moment = tuple[float, float]

LEVEL_SECONDS = 600.0
LEASE_SECONDS = 60.0
SILENT_SECONDS = 45.0
"""A foreground process with less of its lease left than this is silent."""
WAITING = (JobState.SCHEDULED, JobState.QUEUED, JobState.RETRYING, JobState.HELD)

Pause = tuple[str, str, str]
"""(kind, name, cause)."""


def later(moment: Moment, seconds: float) -> Moment:
    """The same step, so many seconds later."""
    return (moment[0] + seconds, moment[1])


@dataclass
class ModelJob:
    """One job as it must be."""

    id: int
    shop: str
    key: object
    """Requests with an equal key may share the job; None: never."""
    state: JobState
    level: int
    rank: Moment
    due: Moment | None = None
    expires: Moment | None = None
    owner: UUID | None = None
    passed_over: bool = False
    started: bool = False
    attempt: int = 0
    crashes: int = 0
    cursor: int = 0
    entities: set[str] = field(default_factory=set)


@dataclass
class ModelLane:
    """One lane as it must be. `holder` None: free."""

    token: int = 0
    holder: UUID | None = None
    job: ModelJob | None = None
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the model reads it."""

    key: tuple[str, str]
    content: object
    shop: str
    merge_key: object
    level: int
    entities: frozenset[str] = frozenset()
    not_before: Moment | None = None
    expires: Moment | None = None


class Model:
    """All lanes of one category in a world of its own. `now` is moved by the walk."""

    def __init__(self, shops: Iterable[str], disabled: Collection[str] = ()) -> None:
        self.now: Moment = (0.0, 0.0)
        self.lanes = {shop: ModelLane() for shop in shops}
        self.disabled = frozenset(disabled)
        self.jobs: dict[int, ModelJob] = {}
        self.inbox: dict[tuple[str, str], tuple[object, int | None]] = {}
        """Key of a request → its content and its job; None: a dead letter."""
        self.leases: dict[UUID, Moment] = {}
        self.pauses: dict[Pause, bool] = {}
        """Standing pauses; False while a probe lets the lanes run."""
        self.dead_letters = 0

    # What can be asked about the world.

    def alive(self, worker: UUID, seconds: float = 0.0) -> bool:
        """Its lease lasts for at least so many seconds more."""
        return self.leases.get(worker, (-1.0, -1.0)) > later(self.now, seconds)

    def paused(self, shop: str) -> bool:
        """Some pause that is not being probed is about this lane."""
        return any(
            in_force and (kind == "erp" or (kind == "category") or name == shop)
            for (kind, name, _), in_force in self.pauses.items()
        )

    def line(self, shop: str) -> list[ModelJob]:
        """Jobs that could run now, best first."""
        waiting = [
            job
            for job in self.jobs.values()
            if job.shop == shop
            and job.state is JobState.QUEUED
            and not job.passed_over
            and (job.expires is None or job.expires > self.now)
        ]
        return sorted(waiting, key=lambda job: (job.rank, job.id))

    def claimable(self, shop: str, worker: UUID, *, foreground: bool = False) -> ModelJob | None:
        """The job that this worker must get, if its category has a place."""
        if self.lanes[shop].holder is not None or self.paused(shop) or not self.alive(worker):
            return None
        line = self.line(shop)
        if not line or (line[0].owner is not None) != foreground or (foreground and line[0].owner != worker):
            return None
        return line[0]

    def wants_a_worker(self, shop: str) -> bool:
        """Free, unpaused, and the best job of its line may run on any worker."""
        line = self.line(shop)
        return self.lanes[shop].holder is None and not self.paused(shop) and bool(line) and line[0].owner is None

    def unfinished(self) -> list[ModelJob]:
        return [job for job in self.jobs.values() if not job.state.final]

    # What happens. Each answers what the ledger must answer.

    def admit(self, asked: Asked, new_id: int | None) -> tuple[Verdict, int | None]:
        """`new_id` is the id that the ledger drew, used where a new job must come of it."""
        if asked.key in self.inbox:
            content, job_id = self.inbox[asked.key]
            if content == asked.content:
                return Verdict.DUPLICATE, job_id
            self.dead_letters += 1
            return Verdict.DEAD_LETTER, None
        if asked.shop not in self.lanes or asked.shop in self.disabled:
            self.inbox[asked.key] = (asked.content, None)
            self.dead_letters += 1
            return Verdict.DEAD_LETTER, None
        due = asked.not_before is None or asked.not_before <= self.now
        rank = later(self.now if due or asked.not_before is None else asked.not_before, asked.level * LEVEL_SECONDS)
        target = self._mergeable(asked) if due else None
        if target is not None:
            target.level = min(target.level, asked.level)
            target.rank = min(target.rank, rank)
            target.expires = None if None in (target.expires, asked.expires) else max(target.expires, asked.expires)  # type: ignore[type-var]
            target.entities |= asked.entities
            self.inbox[asked.key] = (asked.content, target.id)
            return Verdict.MERGED, target.id
        assert new_id is not None, "the ledger gave it to a job that is there already, the model makes a new one"
        self.jobs[new_id] = ModelJob(
            id=new_id,
            shop=asked.shop,
            key=asked.merge_key,
            state=JobState.QUEUED if due else JobState.SCHEDULED,
            level=asked.level,
            rank=rank,
            due=None if due else asked.not_before,
            expires=asked.expires,
            entities=set(asked.entities),
        )
        self.inbox[asked.key] = (asked.content, new_id)
        return Verdict.NEW, new_id

    def _mergeable(self, asked: Asked) -> ModelJob | None:
        if asked.merge_key is None:
            return None
        equal = [
            job
            for job in self.jobs.values()
            if job.key == asked.merge_key
            and job.state is JobState.QUEUED
            and not job.started
            and (job.expires is None or job.expires > self.now)
        ]
        return min(equal, key=lambda job: (job.rank, job.id), default=None)

    def admit_foreground(self, job_id: int, shop: str, owner: UUID) -> None:
        self.jobs[job_id] = ModelJob(job_id, shop, None, JobState.QUEUED, 0, self.now, owner=owner)

    def back_in_line(self, shop: str, owner: UUID) -> None:
        """A foreground process that had been passed over asks for its turn."""
        for job in self.jobs.values():
            if job.shop == shop and job.owner == owner and job.state is JobState.QUEUED:
                job.passed_over = False

    def claim(self, job: ModelJob, worker: UUID) -> int:
        """Returns the new token."""
        lane = self.lanes[job.shop]
        assert lane.holder is None, "two holders"
        lane.holder, lane.job, lane.cancel_requested = worker, job, False
        lane.token += 1
        job.state, job.started = JobState.RUNNING, True
        return lane.token

    def holds(self, shop: str, token: int) -> bool:
        """Whether a slice with this token may still write."""
        lane = self.lanes[shop]
        return lane.holder is not None and lane.token == token

    def checkpoint(self, shop: str) -> None:
        job = self._held(shop)
        job.cursor += 1
        job.crashes = 0

    def settle(self, shop: str, outcome: str, delay_seconds: float) -> JobState:
        lane, job = self.lanes[shop], self._held(shop)
        state = _AFTER.get(outcome) or JobState(outcome)
        if outcome in _AFTER and lane.cancel_requested:
            state = JobState.CANCELLED
        job.attempt += outcome in ("retry", "failed")
        if outcome == "yield":
            job.rank = later(self.now, job.level * LEVEL_SECONDS)
        if state in (JobState.SCHEDULED, JobState.RETRYING):
            job.due = later(self.now, delay_seconds)
        self._leave(lane, job, state)
        return state

    def lost_lanes(self) -> set[str]:
        """Lanes whose holder is gone."""
        return {shop for shop, lane in self.lanes.items() if lane.holder is not None and not self.alive(lane.holder)}

    def take_back(self, shop: str, *, crashed: bool) -> JobState:
        """The holder is gone, or does not know that it holds the lane."""
        lane, job = self.lanes[shop], self._held(shop)
        if job.owner is not None or (crashed and not lane.cancel_requested and job.crashes >= 2):
            state = JobState.FAILED
        elif lane.cancel_requested:
            state = JobState.CANCELLED
        else:
            state = JobState.QUEUED
        job.crashes += crashed
        self._leave(lane, job, state)
        lane.token += 1
        return state

    def sweep(self) -> None:
        for job in self.jobs.values():
            late = job.expires is not None and job.expires <= self.now
            if job.due is not None and job.due <= self.now and (job.state is JobState.RETRYING or not late):
                job.rank = later(job.due, job.level * LEVEL_SECONDS)
                job.state, job.due = JobState.QUEUED, None
            if job.state in (JobState.SCHEDULED, JobState.QUEUED) and late:
                self._end(job, JobState.EXPIRED)
            if job.owner is not None and job.state in WAITING:
                if job.state is JobState.QUEUED and not self.alive(job.owner, SILENT_SECONDS):
                    job.passed_over = True
                if not self.alive(job.owner):
                    self._end(job, JobState.FAILED)

    def cancel(self, job_id: int) -> str:
        job = self.jobs[job_id]
        lane = self.lanes[job.shop]
        if lane.job is job:
            lane.cancel_requested = True
            return "requested"
        if job.state.final:
            return "finished"
        self._end(job, JobState.CANCELLED)
        return "cancelled"

    def _held(self, shop: str) -> ModelJob:
        job = self.lanes[shop].job
        assert job is not None
        return job

    def _leave(self, lane: ModelLane, job: ModelJob, state: JobState) -> None:
        lane.holder, lane.job, lane.cancel_requested = None, None, False
        if state.final:
            self._end(job, state)
        else:
            job.state = state

    def _end(self, job: ModelJob, state: JobState) -> None:
        job.state, job.due, job.passed_over = state, None, False
        self.dead_letters += state is JobState.FAILED


_AFTER = {
    "yield": JobState.QUEUED,
    "requeue": JobState.QUEUED,
    "snooze": JobState.SCHEDULED,
    "retry": JobState.RETRYING,
}
"""Where outcomes lead that a cancel request overrules."""
