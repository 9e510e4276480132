"""What the demo shows: a live display on a terminal, plain lines everywhere else; the same facts in both.

The difficulty is a pipe or a log: there a bar that redraws itself is noise, and a table cut to 80 columns has lost its
links. So plain mode writes one line when something changed, and links are never cut in either.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from deploy.native.demo_studies import Seen, Sight

_STYLES = {"available": "green", "registered": "yellow", "waiting": "dim"}


class Screen:
    """`live` is whether the display may redraw itself."""

    def __init__(self, *, once: bool, steps: int) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self.live = self._console.is_terminal and not once
        self._steps = steps
        self.step_name = ""
        self._number = 0

    @contextmanager
    def step(self, name: str, *, doing: str) -> Iterator[None]:
        """One numbered step: what it does before, how long it took after."""
        self._number += 1
        self.step_name = f"{self._number}/{self._steps} {name}"
        self.say(f"[bold]\\[{self._number}/{self._steps}] {name}[/bold]: {escape(doing)}")
        began = time.monotonic()
        yield
        self.say(f"      [dim]done in {time.monotonic() - began:.1f} s[/dim]")

    def say(self, line: str) -> None:
        self._console.print(line)

    def detail(self, line: str) -> None:
        """A line below a step, printed as it is."""
        self._console.print(f"      {line}", markup=False)

    def failed(self, message: str) -> None:
        self._console.print(f"[bold red]step {self.step_name or '0'} failed[/bold red]")
        self._console.print(message, markup=False)

    @contextmanager
    def following(self) -> Iterator[Display]:
        """A display of the studies' way from waiting to available."""
        display = Display(self)
        if not self.live:
            yield display
            return
        with Live(display.drawing(), console=self._console, refresh_per_second=8, transient=False):
            yield display

    def table(self, sight: Sight) -> None:
        """Every study with its link; then the parked ones with their reasons."""
        if self.live:
            self._console.print(_table(sight))
        else:
            for one in sight.studies:
                self.detail("  ".join((*_cells(one, sight=sight), one.link)))
        for uid, reason in sorted(sight.parked.items()):
            self.detail(f"parked: {uid}: {reason}")


class Display:
    """Bars that fill on a terminal; a line per change elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._progress = Progress(TextColumn("      {task.description:<11}"), BarColumn(40), MofNCompleteColumn())
        self._bars: dict[str, TaskID] = {
            name: self._progress.add_task(name, total=None) for name in ("sent", "registered", "available")
        }
        self._words = Text()
        self._said = ""

    def drawing(self) -> Group:
        return Group(self._progress, self._words)

    def show(self, sight: Sight, *, sent: int, files: int) -> None:
        self._progress.update(self._bars["sent"], total=files, completed=sent)
        total, available, registered = len(sight.studies), sight.count("available"), sight.count("registered")
        # A study that is available was registered before, or came whole: both bars end full.
        for name, done in (("registered", registered + available), ("available", available)):
            self._progress.update(self._bars[name], total=total or None, completed=done)
        words = (
            f"{sight.count('waiting')} waiting, {registered} registered, {available} available, {len(sight.parked)} parked"
        )
        self._words.plain = f"      {words}; syncd: {sight.readiness.splitlines()[0] if sight.readiness else 'silent'}"
        if not self._screen.live and words != self._said:
            self._screen.detail(f"{sent}/{files} files sent, {total} studies: {words}")
        self._said = words


def _table(sight: Sight) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("study date", "modalities", "series/instances", "status"):
        table.add_column(name, no_wrap=True)
    table.add_column("ImagingStudy", overflow="fold")
    for one in sight.studies:
        date, modalities, counts, status = (cell.strip() for cell in _cells(one, sight=sight))
        table.add_row(
            date,
            modalities,
            counts,
            Text(status, style=_STYLES.get(status, "red")),
            Text(one.link, style=f"link {one.link}"),
        )
    return table


def _cells(one: Seen, *, sight: Sight) -> tuple[str, str, str, str]:
    status = "parked" if one.uid in sight.parked and one.status == "waiting" else one.status
    return f"{one.date or '-':<10}", f"{one.modalities or '-':<10}", f"{f'{one.series}/{one.instances}':<6}", f"{status:<10}"
