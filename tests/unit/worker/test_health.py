"""The three probes, over real HTTP."""

import json

import httpx
import pytest
from prometheus_client import CollectorRegistry

from worker import metrics
from worker.errors import InvalidInput
from worker.health import HealthServer, Readiness
from worker.metrics import METRICS, MetricKind, MetricName


def get(server: HealthServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=5)


def test_a_process_that_can_work_says_so() -> None:
    registry = CollectorRegistry()
    metrics.counter(registry, MetricName.SCHEDULE_LEFT_TO_RELAY).inc(3)

    with HealthServer(port=0, readiness=lambda: Readiness(notes={"broker": "away"}), registry=registry) as server:
        assert get(server, "/healthz").status_code == 200
        ready = get(server, "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "problems": {}, "notes": {"broker": "away"}})
        assert "backroom_schedule_left_to_relay_total 3.0" in get(server, "/metrics").text
        assert get(server, "/secrets").status_code == 404


def test_a_process_that_cannot_work_gives_the_reasons_and_still_lives() -> None:
    def readiness() -> Readiness:
        return Readiness(problems={"database": "database_unreachable"})

    with HealthServer(port=0, readiness=readiness, registry=CollectorRegistry()) as server:
        ready = get(server, "/readyz?verbose")
        assert ready.status_code == 503
        assert json.loads(ready.content)["problems"] == {"database": "database_unreachable"}
        assert get(server, "/healthz").status_code == 200


def test_a_probe_that_breaks_is_not_ready() -> None:
    def readiness() -> Readiness:
        raise RuntimeError("secret detail")

    with HealthServer(port=0, readiness=readiness, registry=CollectorRegistry()) as server:
        ready = get(server, "/readyz")
        assert ready.status_code == 503
        assert "secret detail" not in ready.text


def test_a_taken_port_is_an_error_that_names_it() -> None:
    registry = CollectorRegistry()
    with (
        HealthServer(port=0, readiness=Readiness, registry=registry) as server,
        pytest.raises(InvalidInput, match=str(server.port)),
    ):
        HealthServer(port=server.port, readiness=Readiness, registry=registry)


def test_every_metric_is_declared_and_can_be_built() -> None:
    registry = CollectorRegistry()
    build = {
        MetricKind.COUNTER: metrics.counter,
        MetricKind.GAUGE: metrics.gauge,
        MetricKind.HISTOGRAM: metrics.histogram,
    }

    assert set(METRICS) == set(MetricName)
    for name, metric in METRICS.items():
        build[metric.kind](registry, name)


def test_a_metric_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="declared as a counter"):
        metrics.gauge(CollectorRegistry(), MetricName.SCHEDULE_TICKS)
