"""What a running worker tells its platform: readiness and the whole list of metrics."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import wait
from tests.support.installation import ADA, SHOP, Installation, free_port
from tests.support.metrics_page import served
from worker.metrics import METRICS, Process


@pytest.mark.slow
def test_a_worker_that_worked_serves_every_metric_of_its_list(house: Installation) -> None:
    port = free_port()
    house.more_environment["BACKROOM_WORKER_HEALTH_PORT"] = str(port)
    house.simulator.place_order(SHOP, {"lines": [{"sku": "1003", "quantity": 1}], "customer": ADA, "paid": True})
    with house.worker():
        url = f"http://127.0.0.1:{port}"
        wait.until(lambda: httpx.get(f"{url}/readyz", timeout=5).status_code == 200, 30, "the worker to be ready")
        with house.running("sync", "sync_orders", "--shop", SHOP, "--wait") as asked:
            assert asked.wait(60) == 0

        page = httpx.get(f"{url}/metrics", timeout=5).text

    assert {name for name in METRICS if f"# TYPE {served(name)} " not in page} == {
        name for name, metric in METRICS.items() if metric.process is not Process.WORKER
    }
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["backroom_slices_total", "succeeded", "sync_orders"] == 1
    assert samples["backroom_api_requests_total", SHOP, "ok"] >= 1
    assert samples["backroom_api_points_total", SHOP] > 0
    assert samples["backroom_jobs", "running"] == 0
    assert samples["backroom_pending_requests",] == 0
    assert samples["backroom_broker_connected",] == 1
    assert samples["backroom_lease_age_seconds",] < 6
    assert samples["backroom_pointers_published_total", "unconfirmed"] == 0
