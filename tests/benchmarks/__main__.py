"""`make bench`: measures the product beside its peers, in one run on one machine, and holds it against its bars.

    python -m tests.benchmarks [ROW …] [--quick]

Rows: a publish, b jobs, c webhooks, d latency, e burst. Ends with 0 whether or not a bar is met: it measures.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import jobs, orders, place, publish, webhooks
from tests.benchmarks.measured import Findings, Line, table
from tests.benchmarks.place import Place

ROWS: dict[str, tuple[str, Callable[[Place], Findings]]] = {
    "a": ("confirmed publish", publish.measure),
    "b": ("durable no-op jobs", jobs.measure),
    "c": ("webhooks", webhooks.measure),
    "d": ("order to sales order", orders.measure_latency),
    "e": ("burst of order webhooks", orders.measure_burst),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(f"{key}: {ROWS[key][0]}" for key in ROWS))
    parser.add_argument("--quick", action="store_true", help="small and once: does it still run?")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown row {', '.join(unknown)}; rows are {', '.join(ROWS)}")
    lines: list[Line] = []
    settings: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder,
        place.opened(Path(folder), quick=options.quick) as here,
    ):
        for row in options.rows or ROWS:
            title, measure = ROWS[row]
            print(f"{row}: {title} …", file=sys.stderr, flush=True)
            found = measure(here)
            lines += found.lines
            settings += found.settings
        settings = [*place.facts(here), *settings]
    print(table(lines))
    print()
    for setting in settings:
        print(f"- {setting}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
