"""Every metric of the house: a closed list, so that dashboards and alarms can rely on the names.

A metric is declared in `METRICS` and built with `counter`, `gauge` or `histogram`; an undeclared name, a wrong kind
or an unknown label fails at start. Labels hold values of closed sets only, never ids or anything a stranger sends.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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


METRICS: Final[dict[MetricName, Metric]] = {
    MetricName.WEBHOOKS_RECEIVED: Metric(
        MetricKind.COUNTER, "Deliveries that reached the door, by topic; unknown ones are 'other'.", ("topic",)
    ),
    MetricName.WEBHOOKS_ANSWERED: Metric(MetricKind.COUNTER, "Deliveries answered, by HTTP status.", ("status",)),
    MetricName.WEBHOOKS_IGNORED: Metric(
        MetricKind.COUNTER, "Signed deliveries that made no request: unknown_shop, unknown_topic …", ("reason",)
    ),
    MetricName.WEBHOOK_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "From the first byte of a delivery to its answer.",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 4.0, 5.0),
    ),
    MetricName.WEBHOOK_FALLBACKS: Metric(
        MetricKind.COUNTER, "Requests that RabbitMQ did not confirm in time: stored or refused.", ("end",)
    ),
    MetricName.HMAC_VERIFIED_BY: Metric(
        MetricKind.COUNTER, "Deliveries by the secret that signed them; 24 h without: it may go.", ("shop", "secret_id")
    ),
    MetricName.DOOR_CACHE_LOADED: Metric(
        MetricKind.GAUGE, "When shops and secrets were last read (seconds since 1970); 0 before the first time."
    ),
    MetricName.SCHEDULE_TICKS: Metric(
        MetricKind.COUNTER, "Ticks decided by this scheduler: requested or skipped, and why.", ("outcome", "reason")
    ),
    MetricName.SCHEDULE_LAG_SECONDS: Metric(
        MetricKind.HISTOGRAM,
        "From the due time of a tick to the commit that claimed it.",
        buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 900.0),
    ),
    MetricName.SCHEDULE_LEFT_TO_RELAY: Metric(
        MetricKind.COUNTER, "Ticks whose publish was not confirmed; a worker's relay takes them over."
    ),
    MetricName.SCHEDULER_ERRORS: Metric(
        MetricKind.COUNTER, "Rounds that ended in an error, by the service that failed.", ("service",)
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


def _declared(name: MetricName, kind: MetricKind) -> Metric:
    metric = METRICS[name]
    if metric.kind is not kind:
        raise ValueError(f"{name} is declared as a {metric.kind}, not as a {kind}")
    return metric
