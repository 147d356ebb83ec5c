"""What the demo shows: headings, the commands it runs, facts with a mark, and the table at the end."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.demo.checks import Row

_LOG_LINES = 25
_PIPE_WIDTH = 118


class Screen:
    """Writes for people, on standard output."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
        self._chapter = 0

    @property
    def width(self) -> int:
        """Columns."""
        return self._console.width

    def title(self, text: str) -> None:
        """The first line."""
        self._console.print(f"[bold]{escape(text)}[/bold]")

    def chapter(self, text: str) -> None:
        """A numbered heading."""
        self._chapter += 1
        self._console.print(f"\n[bold cyan]{self._chapter}  {escape(text)}[/bold cyan]")

    def heading(self, text: str) -> None:
        """A heading without a number."""
        self._console.print(f"\n[bold cyan]{escape(text)}[/bold cyan]")

    def command(self, argv: Sequence[str]) -> None:
        """A command that is being run, as one could type it."""
        lines = [""]
        for word in map(shlex.quote, argv):
            if len(lines[-1]) + len(word) > self.width - 10:
                lines.append("   ")
            lines[-1] += f"{word} "
        text = "\\\n     ".join(lines)
        self._console.print(f"   [dim]$ {escape(text.rstrip())}[/dim]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Something that happens."""
        self._console.print(f"   {escape(text)}", soft_wrap=True)

    def good(self, text: str) -> None:
        """Something that was looked up and is as it must be."""
        self._console.print(f"   [green]✓[/green] {escape(text)}", soft_wrap=True)

    def bad(self, text: str) -> None:
        """Something that is not as it must be."""
        self._console.print(f"   [red]✗[/red] {escape(text)}", soft_wrap=True)

    def quote(self, text: str) -> None:
        """What a command printed."""
        for line in text.strip().splitlines():
            self._console.print(f"   [dim]│[/dim] {escape(line.rstrip())}", soft_wrap=True)

    def summary(self, rows: Iterable[Row]) -> None:
        """One line per order."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("ORDER")
        table.add_column("WHAT IS SPECIAL")
        table.add_column("ARRIVED BY")
        table.add_column("SHOP", justify="right")
        table.add_column("ERP DOCUMENT")
        table.add_column("ERP", justify="right")
        table.add_column("EQUAL?")
        for row in rows:
            style = "red" if row.verdict == "NO" else "green"
            table.add_row(
                row.order, row.what, row.arrived_by, row.shop_total, row.document, row.erp_total,
                f"[{style}]{row.verdict}[/{style}]",
            )  # fmt: skip
        self._console.print(table)

    def logs(self, folder: Path) -> None:
        """The ends of all logs, for finding out what went wrong."""
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            self._console.print(f"\n[bold]the end of {escape(str(log))}[/bold]")
            for line in lines[-_LOG_LINES:]:
                self._console.print(escape(line), soft_wrap=True)
