"""What a benchmark found: numbers beside a peer and a bar, and the table that shows them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    row: str
    """Letter of the benchmark."""
    what: str
    measured: str
    met: bool | None
    """None: there is no bar for it, or it cannot be judged."""
    peer: str = "–"
    ratio: str = "–"
    bar: str = "–"


@dataclass(frozen=True, slots=True)
class Findings:
    """Rows of one benchmark, and the scale and settings they were measured at."""

    lines: tuple[Line, ...]
    settings: tuple[str, ...]


def against(row: str, what: str, ours: Sequence[float], peer: Sequence[float], name: str, bar: float | None) -> Line:
    """Medians of two rates, and their ratio; met if it is at least `bar`. None: no bar."""
    our_rate, peer_rate = median(ours), median(peer)
    ratio = our_rate / peer_rate
    return Line(
        row,
        what,
        f"{our_rate:,.0f}/s",
        None if bar is None else ratio >= bar,
        f"{peer_rate:,.0f}/s {name}",
        f"{ratio:.2f} ({_spread(ours, peer)})",
        "–" if bar is None else f"≥ {bar:g} ×",
    )


def within(row: str, what: str, measured: float, limit: float, unit: str) -> Line:
    """A number that must not exceed its limit."""
    return Line(row, what, f"{measured:,.0f} {unit}", measured <= limit, bar=f"≤ {limit:,.0f} {unit}")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def alternate(rounds: int, sides: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Run all sides in turn, `rounds` times: what disturbs the machine disturbs all alike."""
    found: dict[str, list[Any]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def table(lines: Sequence[Line]) -> str:
    """As Markdown, readable on a terminal too."""
    heads = ("", "What", "Measured", "Peer in the same run", "Ratio (least … most)", "Bar", "Met")
    cells = [
        (
            each.row,
            each.what,
            each.measured,
            each.peer,
            each.ratio,
            each.bar,
            {True: "yes", False: "no", None: "–"}[each.met],
        )
        for each in lines
    ]
    widths = [max(len(row[n]) for row in (heads, *cells)) for n in range(len(heads))]

    def shown(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    return "\n".join([shown(heads), shown(["-" * width for width in widths]), *map(shown, cells)])


def _spread(ours: Sequence[float], peer: Sequence[float]) -> str:
    """Of the ratios round by round."""
    ratios = [one / other for one, other in zip(ours, peer, strict=True)]
    return f"{min(ratios):.2f} … {max(ratios):.2f}"
