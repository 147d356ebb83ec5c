"""Writes the tables of docs/metrics.md from the closed list: `make metrics-page`."""

import re
from pathlib import Path

from worker.metrics import METRICS, MetricKind, MetricName, Process

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def table(process: Process) -> str:
    """The metrics that one kind of process serves, as a table."""
    rows = [
        f"| `{served(name)}` | {metric.kind} | {', '.join(metric.labels) or '–'} | {metric.meaning} |"
        for name, metric in METRICS.items()
        if metric.process is process
    ]
    return "\n".join(("| Name | Kind | Labels | Meaning |", "| --- | --- | --- | --- |", *rows, ""))


def served(name: MetricName) -> str:
    """The name as it stands in `/metrics`."""
    return f"{name.value}_total" if METRICS[name].kind is MetricKind.COUNTER else name.value


def main() -> None:
    """Replace the tables; what stands around them stays."""
    page = PAGE.read_text(encoding="utf-8")
    for process in Process:
        title = f"## {process.value.capitalize()}\n\n"
        start = page.index(title) + len(title)
        end = re.compile(r"\n(?!\|)").search(page, start)
        page = page[:start] + table(process) + page[page.index("\n", start) if end is None else end.start() + 1 :]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
