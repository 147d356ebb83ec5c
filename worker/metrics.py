"""Every metric of the house: a closed list, so that dashboards and alarms can rely on the names.

A metric is declared in `METRICS` and built with `counter`, `gauge`, `histogram` or `readings`; an undeclared name, a
wrong kind or an unknown label fails at start. Labels hold values of closed sets and codes of this installation's shops
only, never ids or anything a stranger sends. `docs/metrics.md` is this list.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

KEEP_SECONDS: Final = 5.0
"""What costs a query is asked for at most this often, however many scrape."""
STALE_SECONDS: Final = 60.0
"""A value that could not be renewed for so long is left out: none is better than a wrong one."""

_Value = TypeVar("_Value")


class Process(StrEnum):
    """Who serves a metric."""

    WORKER = "worker"
    WEBHOOKS = "webhooks"
    SCHEDULER = "scheduler"


class MetricName(StrEnum):
    """The name as it stands in `/metrics`; counters get `_total` appended."""

    WEBHOOKS_RECEIVED = "backroom_webhooks_received"
    WEBHOOKS_ANSWERED = "backroom_webhooks_answered"
    WEBHOOKS_IGNORED = "backroom_webhooks_ignored"
    WEBHOOK_SECONDS = "backroom_webhook_seconds"
    WEBHOOK_FALLBACKS = "backroom_webhook_fallbacks"
    HMAC_VERIFIED_BY = "backroom_hmac_verified_by"
    DOOR_CACHE_LOADED = "backroom_door_cache_loaded_timestamp_seconds"
    SCHEDULE_TICKS = "backroom_schedule_ticks"
    SCHEDULE_LAG_SECONDS = "backroom_schedule_lag_seconds"
    SCHEDULE_LEFT_TO_RELAY = "backroom_schedule_left_to_relay"
    SCHEDULER_ERRORS = "backroom_scheduler_errors"
    SLICES = "backroom_slices"
    SLICE_SECONDS = "backroom_slice_seconds"
    SLICES_RUNNING = "backroom_slices_running"
    JOB_WAIT_SECONDS = "backroom_job_wait_seconds"
    JOB_RETRIES = "backroom_job_retries"
    JOBS = "backroom_jobs"
    DEAD_LETTERS_OPEN = "backroom_dead_letters_open"
    LANES_PAUSED = "backroom_lanes_paused"
    LANES_REAPED = "backroom_lanes_reaped"
    PENDING_REQUESTS = "backroom_pending_requests"
    PENDING_REQUEST_OLDEST_SECONDS = "backroom_pending_request_oldest_seconds"
    POINTERS_PUBLISHED = "backroom_pointers_published"
    POINTERS_REPAIRED = "backroom_pointers_repaired"
    LEASE_AGE_SECONDS = "backroom_lease_age_seconds"
    INTAKE_PAUSED_SECONDS = "backroom_intake_paused_seconds"
    BROKER_CONNECTED = "backroom_broker_connected"
    API_REQUESTS = "backroom_api_requests"
    API_POINTS = "backroom_api_points"


class MetricKind(StrEnum):
    """How a metric moves."""

    COUNTER = "counter"
    """Only upwards, from 0 at the start of the process."""
    GAUGE = "gauge"
    """The present value."""
    HISTOGRAM = "histogram"
    """How often which size occurred."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the list."""

    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in its unit; empty for the other kinds."""
    process: Process = Process.WORKER


METRICS: Final[dict[MetricName, Metric]] = {
    MetricName.WEBHOOKS_RECEIVED: Metric(
        MetricKind.COUNTER,
        "Deliveries that reached the door, by topic; unknown ones are 'other'.",
        ("topic",),
        process=Process.WEBHOOKS,
    ),
    MetricName.WEBHOOKS_ANSWERED: Metric(
        MetricKind.COUNTER, "Deliveries answered, by HTTP status.", ("status",), process=Process.WEBHOOKS
    ),
    MetricName.WEBHOOKS_IGNORED: Metric(
        MetricKind.COUNTER,
        "Signed deliveries that made no request: unknown_shop, unknown_topic …",
        ("reason",),
        process=Process.WEBHOOKS,
    ),
    MetricName.WEBHOOK_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "From the first byte of a delivery to its answer.",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 4.0, 5.0),
        process=Process.WEBHOOKS,
    ),
    MetricName.WEBHOOK_FALLBACKS: Metric(
        MetricKind.COUNTER,
        "Requests that RabbitMQ did not confirm in time: stored or refused.",
        ("end",),
        process=Process.WEBHOOKS,
    ),
    MetricName.HMAC_VERIFIED_BY: Metric(
        MetricKind.COUNTER,
        "Deliveries by the secret that signed them; 24 h without: it may go.",
        ("shop", "secret_id"),
        process=Process.WEBHOOKS,
    ),
    MetricName.DOOR_CACHE_LOADED: Metric(
        MetricKind.GAUGE,
        "When shops and secrets were last read (seconds since 1970); 0 before the first time.",
        process=Process.WEBHOOKS,
    ),
    MetricName.SCHEDULE_TICKS: Metric(
        MetricKind.COUNTER,
        "Ticks decided by this scheduler: requested or skipped, and why.",
        ("outcome", "reason"),
        process=Process.SCHEDULER,
    ),
    MetricName.SCHEDULE_LAG_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "From the due time of a tick to the commit that claimed it.",
        buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 900.0),
        process=Process.SCHEDULER,
    ),
    MetricName.SCHEDULE_LEFT_TO_RELAY: Metric(
        MetricKind.COUNTER,
        "Ticks whose publish was not confirmed; a worker's relay takes them over.",
        process=Process.SCHEDULER,
    ),
    MetricName.SCHEDULER_ERRORS: Metric(
        MetricKind.COUNTER,
        "Rounds that ended in an error, by the service that failed.",
        ("service",),
        process=Process.SCHEDULER,
    ),
    MetricName.SLICES: Metric(
        MetricKind.COUNTER, "Slices of jobs that ended on this worker, by report and outcome.", ("report", "outcome")
    ),
    MetricName.SLICE_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "How long a slice lasted.",
        ("report",),
        (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 600.0),
    ),
    MetricName.SLICES_RUNNING: Metric(MetricKind.GAUGE, "Slices running on this worker now."),
    MetricName.JOB_WAIT_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "From the request of a job to the start of its first slice.",
        ("report",),
        (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0),
    ),
    MetricName.JOB_RETRIES: Metric(
        MetricKind.COUNTER,
        "Slices after which the job is tried again later, by the code of the error.",
        ("report", "error"),
    ),
    MetricName.JOBS: Metric(
        MetricKind.GAUGE, "Unfinished jobs of the installation by state; every worker tells the same.", ("state",)
    ),
    MetricName.DEAD_LETTERS_OPEN: Metric(
        MetricKind.GAUGE, "Dead letters that nobody closed yet, by reason; every worker tells the same.", ("reason",)
    ),
    MetricName.LANES_PAUSED: Metric(
        MetricKind.GAUGE, "Lanes that stand still, by cause; every worker tells the same.", ("cause",)
    ),
    MetricName.LANES_REAPED: Metric(
        MetricKind.COUNTER, "Lanes taken back: from a lost worker, or without a thread of this one.", ("cause",)
    ),
    MetricName.PENDING_REQUESTS: Metric(
        MetricKind.GAUGE, "Requests stored in the database and not relayed yet; every worker tells the same."
    ),
    MetricName.PENDING_REQUEST_OLDEST_SECONDS: Metric(
        MetricKind.GAUGE, "How long the oldest of them is overdue; 0 when there is none."
    ),
    MetricName.POINTERS_PUBLISHED: Metric(
        MetricKind.COUNTER, "Wake-ups of lanes sent over RabbitMQ: confirmed or unconfirmed.", ("end",)
    ),
    MetricName.POINTERS_REPAIRED: Metric(
        MetricKind.COUNTER, "Wake-ups sent again because they got lost, or were missing (a bug).", ("cause",)
    ),
    MetricName.LEASE_AGE_SECONDS: Metric(
        MetricKind.GAUGE, "Since this worker's lease was last renewed; near the lease's length others take over."
    ),
    MetricName.INTAKE_PAUSED_SECONDS: Metric(
        MetricKind.GAUGE, "How long this worker has settled nothing although it tried; 0 while all is well."
    ),
    MetricName.BROKER_CONNECTED: Metric(MetricKind.GAUGE, "1 while this worker's consuming connection stands, else 0."),
    MetricName.API_REQUESTS: Metric(
        MetricKind.COUNTER, "Calls of this worker to the Admin API, by shop and how they ended.", ("shop", "outcome")
    ),
    MetricName.API_POINTS: Metric(MetricKind.COUNTER, "API points that these calls cost, by shop.", ("shop",)),
}


def counter(registry: CollectorRegistry, name: MetricName) -> Counter:
    """The counter declared under this name, registered once in `registry`."""
    metric = _declared(name, MetricKind.COUNTER)
    return Counter(name.value, metric.meaning, metric.labels, registry=registry)


def gauge(registry: CollectorRegistry, name: MetricName) -> Gauge:
    """The gauge declared under this name, registered once in `registry`."""
    metric = _declared(name, MetricKind.GAUGE)
    return Gauge(name.value, metric.meaning, metric.labels, registry=registry)


def histogram(registry: CollectorRegistry, name: MetricName) -> Histogram:
    """The histogram declared under this name, registered once in `registry`."""
    metric = _declared(name, MetricKind.HISTOGRAM)
    return Histogram(name.value, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)


Readings = float | Mapping[tuple[str, ...], float] | None
"""One value, or one for each set of label values; None: not known now, so nothing is served."""


def readings(registry: CollectorRegistry, name: MetricName, read: Callable[[], Readings]) -> None:
    """Serve a counter or gauge that is counted elsewhere: `read` is asked at every scrape."""
    registry.register(_Reader(name, read))


class Cached(Generic[_Value]):
    """A value that is costly to read: read at most every `KEEP_SECONDS`, by one thread at a time.

    While one reads, and while reading fails (`read` gives None), others get the last value; after
    `STALE_SECONDS` nobody gets it any more.
    """

    def __init__(self, read: Callable[[], _Value | None], monotonic: Callable[[], float]) -> None:
        self._read = read
        self._monotonic = monotonic
        self._reading = threading.Lock()
        self._tried_at = float("-inf")
        self._read_at = float("-inf")
        self._value: _Value | None = None

    def value(self) -> _Value | None:
        """The value of this moment; None: it is not known."""
        if self._monotonic() - self._tried_at >= KEEP_SECONDS and self._reading.acquire(blocking=False):
            try:
                self._tried_at = self._monotonic()
                if (found := self._read()) is not None:
                    self._value, self._read_at = found, self._tried_at
            finally:
                self._reading.release()
        return self._value if self._monotonic() - self._read_at < STALE_SECONDS else None


class _Reader(Collector):
    def __init__(self, name: MetricName, read: Callable[[], Readings]) -> None:
        self._name = name
        self._metric = METRICS[name]
        self._read = read
        if self._metric.kind is MetricKind.HISTOGRAM:
            raise ValueError(f"{name} is declared as a histogram: it cannot be read elsewhere")

    def describe(self) -> Iterable[Family]:
        return (self._family(),)

    def collect(self) -> Iterable[Family]:
        family = self._family()
        found = self._read()
        if isinstance(found, Mapping):
            for labels, value in found.items():
                family.add_metric(labels, value)
        elif found is not None:
            family.add_metric((), found)
        return (family,)

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        build = CounterMetricFamily if self._metric.kind is MetricKind.COUNTER else GaugeMetricFamily
        return build(self._name.value, self._metric.meaning, labels=self._metric.labels)


def _declared(name: MetricName, kind: MetricKind) -> Metric:
    metric = METRICS[name]
    if metric.kind is not kind:
        raise ValueError(f"{name} is declared as a {metric.kind}, not as a {kind}")
    return metric
