"""Procrastinate: a task that does nothing, one at a time per lane if asked for.

`fill LANES JOBS LOCKS` makes the schema and defers; `work CONCURRENCY` runs a worker until it is stopped.
"""

import asyncio
import os
import sys

import procrastinate

from tests.benchmarks.timeline import Timeline

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_DATABASE_URL"], min_size=1, max_size=32)
)
timeline = Timeline()


@app.task(name="noop")
async def noop(shop: str, number: int) -> None:  # noqa: ARG001
    timeline.mark()


async def fill(lanes: int, jobs: int, locks: bool) -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        per_lane = jobs // lanes
        for first in range(per_lane):  # round and round, as requests of many shops come
            for lane in range(lanes):
                task = noop.configure(lock=f"shop-{lane}" if locks else None)
                await task.defer_async(shop=f"shop-{lane}", number=first)


async def work(concurrency: int) -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=concurrency)


def main() -> None:
    if sys.argv[1] == "fill":
        asyncio.run(fill(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "locks"))
    else:
        asyncio.run(work(int(sys.argv[2])))
