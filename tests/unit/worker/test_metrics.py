"""The closed list of metrics: its page, its text format, and values that are counted elsewhere."""

import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metrics_page import PAGE, table
from worker import metrics
from worker.metrics import METRICS, Cached, MetricKind, MetricName, Process, readings


def test_the_page_tells_every_metric_as_it_is_declared() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for process in Process:
        assert table(process) in page, "run `make metrics-page`"


def test_labels_are_few_and_never_ids() -> None:
    labels = {label for metric in METRICS.values() for label in metric.labels}

    known = "cause end error outcome reason report secret_id service shop state status topic"
    assert " ".join(sorted(labels)) == known, "a new label: is the number of its values bounded?"


def served(registry: CollectorRegistry) -> dict[str, float]:
    """Samples as Prometheus would read them, by name and labels."""
    text = generate_latest(registry).decode()
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_values_counted_elsewhere_are_read_at_every_scrape() -> None:
    registry = CollectorRegistry()
    sent: dict[tuple[str, ...], float] = {("confirmed",): 3.0, ("unconfirmed",): 0.0}
    readings(registry, MetricName.POINTERS_PUBLISHED, lambda: sent)
    readings(registry, MetricName.LEASE_AGE_SECONDS, lambda: 4.5)
    readings(registry, MetricName.PENDING_REQUESTS, lambda: None)

    first = served(registry)
    sent[("confirmed",)] = 5.0

    assert first == {
        "backroom_pointers_published_total end=confirmed": 3,
        "backroom_pointers_published_total end=unconfirmed": 0,
        "backroom_lease_age_seconds": 4.5,
    }
    assert served(registry)["backroom_pointers_published_total end=confirmed"] == 5
    text = generate_latest(registry).decode()
    assert "# TYPE backroom_pointers_published_total counter" in text
    assert "# TYPE backroom_lease_age_seconds gauge" in text


def test_a_name_is_registered_once() -> None:
    registry = CollectorRegistry()
    metrics.gauge(registry, MetricName.LEASE_AGE_SECONDS)

    with pytest.raises(ValueError, match="Duplicated"):
        readings(registry, MetricName.LEASE_AGE_SECONDS, lambda: 0.0)


def test_a_histogram_cannot_be_counted_elsewhere() -> None:
    with pytest.raises(ValueError, match="histogram"):
        readings(CollectorRegistry(), MetricName.SLICE_SECONDS, lambda: 0.0)


def test_names_say_their_unit_and_meanings_are_sentences() -> None:
    for name, metric in METRICS.items():
        assert metric.meaning.endswith((".", "…")), name
        if metric.kind is MetricKind.HISTOGRAM:
            assert name.value.endswith("_seconds")


class Source:
    """Something costly to read."""

    def __init__(self) -> None:
        self.reads = 0
        self.works = True
        self.now = 0.0

    def read(self) -> int | None:
        self.reads += 1
        return self.reads if self.works else None


def test_a_costly_value_is_read_at_most_every_five_seconds() -> None:
    source = Source()
    cached = Cached(source.read, lambda: source.now)

    assert [cached.value() for _ in range(100)] == [1] * 100
    source.now = 4.9
    assert cached.value() == 1
    source.now = 5.0
    assert cached.value() == 2


def test_a_value_that_cannot_be_renewed_is_served_for_a_minute_and_not_longer() -> None:
    source = Source()
    cached = Cached(source.read, lambda: source.now)
    cached.value()
    source.works = False

    source.now = 59.0
    assert cached.value() == 1
    assert cached.value() == 1
    source.now = 60.0
    assert cached.value() is None
    assert source.reads == 2, "a value that failed a second ago is not asked for again"


def test_while_one_reads_the_others_do_not_wait() -> None:
    reading, go_on = threading.Event(), threading.Event()

    def read() -> int:
        reading.set()
        go_on.wait(10)
        return 1

    cached = Cached(read, lambda: 0.0)
    slow = threading.Thread(target=cached.value, daemon=True)
    slow.start()
    assert reading.wait(5)

    assert cached.value() is None
    go_on.set()
    slow.join(5)
    assert cached.value() == 1
