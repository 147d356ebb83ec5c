"""The lane protocol against a model of it, over a thousand random walks (broker spec 5.1, "ours" 2)."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.support import services as service_kit
from tests.support.lane_walk import Walked, walk
from tests.support.services import Services

SEEDS = int(os.environ.get("BACKROOM_SEEDS", "1000"))
FIRST = int(os.environ.get("BACKROOM_SEED", "0"))
"""Of the seeds; with `BACKROOM_SEEDS=1` one that failed is walked alone."""
PROCESSES = 2


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(0.5 * SEEDS + 120)
def test_whatever_happens_in_whatever_order_the_ledger_does_what_the_model_says(
    services: Services, migrated_template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = [range(FIRST + n, FIRST + SEEDS, PROCESSES) for n in range(PROCESSES)]
    with (
        service_kit.fresh_database(services.database_url, migrated_template) as one,
        service_kit.fresh_database(services.database_url, migrated_template) as other,
        ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool,
    ):
        done: list[Walked] = list(pool.map(walk, (one, other), shares))

    with capsys.disabled():
        print(
            f"\n{sum(each.seeds for each in done)} seeds, {sum(each.events for each in done)} events, "
            f"{sum(each.jobs for each in done)} jobs, {sum(each.deaths for each in done)} processes killed"
        )
    assert [each.failure for each in done if each.failure] == []
