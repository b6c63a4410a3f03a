"""One display over all runs of an experiment: a live table in a terminal, plain lines elsewhere. It reads what runs
write, so that it does not matter where they are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ternary_vae.experiments.task import Ending
from ternary_vae.formats import counted, duration, percent
from ternary_vae.reading import require_regular
from ternary_vae.storage.files import row_of
from ternary_vae.storage.runs import RunDirectory, misplaced_in_metrics
from ternary_vae.terminal import replace_what_cannot_be_shown
from ternary_vae.training.progress import is_screen, print_line, shown_time_left, table_of_figures
from ternary_vae.training.time_left import TimeLeft, TimeLeftOfRuns

_TAIL = 1 << 14
_SHOWN = 16
_MINUTE = 60.0


@dataclass
class MonitoredRun:
    """A run as the display sees it.

    Attributes:
        benchmarks: completed epochs, past or to come, whose benchmark is yet to be done.
        unusual: so many first epochs take longer than the others.
    """

    name: str
    directory: RunDirectory
    epochs: int
    status: str = "waiting"
    done: int = 0
    row: dict[str, Any] | None = None
    benchmarks: Sequence[int] = ()
    unusual: int = 0

    def refresh(self) -> None:
        """Reads how far the run is."""
        row = last_row(self.directory)
        if row is None:
            return
        if self.status == "waiting" and row["epoch"] != self.done:
            self.status = "running"
        self.row, self.done = row, min(int(row["epoch"]), self.epochs)


class Overview:
    """Watches runs until all have ended.

    Args:
        console: a live table if it is a terminal, else one line when a run ends and one a minute.
        each: called at every round, from the display's own thread.
    """

    def __init__(self, console: Console, title: str, runs: Sequence[MonitoredRun], each: Any = None) -> None:
        self.console, self.title, self.runs, self.each = console, title, list(runs), each
        replace_what_cannot_be_shown(console.file)
        self.by_name = {run.name: run for run in self.runs}
        for run in self.runs:
            run.refresh()
            run.status = "complete" if run.status == "complete" else "waiting"
        self.time_left = TimeLeftOfRuns(
            {
                run.name: TimeLeft(run.done, run.epochs, run.benchmarks, run.unusual)
                for run in self.runs
                if run.status != "complete"
            }
        )
        self.live = Live(console=console, refresh_per_second=2, transient=True) if is_screen(console) else None
        self._refreshing = threading.Lock()  # runs end in another thread than the one that reads
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Overview:
        if self.live:
            self.live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self.live:
            self.live.stop()

    def ended(self, ending: Ending) -> None:
        """A run has ended."""
        run = self.by_name[ending.name]
        with self._refreshing:
            self._refresh(run)
            self.time_left.ended(run.name, time.monotonic(), completed=ending.status == "completed")
        begun, run.status = run.status, {"completed": "complete"}.get(ending.status, ending.status)
        if (begun, ending.status) == ("waiting", "interrupted"):  # no epoch of it was done this time
            return
        finished = sum(run.status == "complete" for run in self.runs)
        line = f"{ending.name}: {ending.status} after {counted(run.done, 'epoch')}"
        if ending.status == "completed":
            complete = f"{finished} of {counted(len(self.runs), 'run')} complete"
            line += f", {duration(ending.seconds)}; {complete}, {self._left()}"
        elif ending.message:
            line += f": {ending.message}"
        print_line(self.console, line)

    def _watch(self) -> None:
        printed = refreshed = time.monotonic()
        pause = 0.0
        while not self._over.wait(0.2):
            if self.each:
                self.each()
            if time.monotonic() - refreshed < pause:
                continue
            started = time.monotonic()
            for run in self.runs:
                with self._refreshing:
                    if run.status in ("waiting", "running"):
                        self._refresh(run)
            refreshed = time.monotonic()
            pause = 20 * (refreshed - started)  # thousands of runs are read less often
            if self.live:
                self.live.update(self._panel())
            elif refreshed - printed > _MINUTE:
                printed = time.monotonic()
                running = ", ".join(
                    f"{run.name} {run.done}/{run.epochs}" for run in self.runs if run.status == "running"
                )
                done = f"{self._done()} of {counted(self._total(), 'epoch')}"
                print_line(self.console, f"{done}, {self._left()}: {running or 'no run under way'}")

    def _refresh(self, run: MonitoredRun) -> None:
        run.refresh()
        self.time_left.epoch(run.name, run.done, time.monotonic())

    def _done(self) -> int:
        return sum(run.done for run in self.runs)

    def _total(self) -> int:
        return sum(run.epochs for run in self.runs)

    def _left(self) -> str:
        if not any(run.status in ("waiting", "running") for run in self.runs):
            return "none left"
        with self._refreshing:
            return shown_time_left(self.time_left)

    def _panel(self) -> Panel:
        counts = {
            status: sum(run.status == status for run in self.runs)
            for status in ("complete", "running", "waiting", "interrupted", "failed")
        }
        head = Table.grid(padding=(0, 2))
        head.add_row(
            # No markup: a line is printed without above the panel, and the panel again with it.
            Text.assemble((f"{self._done():,}", "bold"), f" of {counted(self._total(), 'epoch')}"),
            *(f"{number} {status}" for status, number in counts.items() if number),
            self._left(),
        )
        table = table_of_figures("run", "epoch", "VAE-A", "VAE-B", "coverage")
        running = [run for run in self.runs if run.status == "running"]
        for run in running[:_SHOWN]:
            row = run.row or {}
            shares = (row.get("exact_match_a"), row.get("exact_match_b"), row.get("coverage"))
            table.add_row(Text(run.name), f"{run.done} of {run.epochs}", *map(percent, shares))
        if len(running) > _SHOWN:
            table.add_row(f"and {len(running) - _SHOWN} more")
        bar = ProgressBar(total=self._total(), completed=self._done())
        return Panel(Group(head, bar, table), title=Text(self.title, "bold"), title_align="left")


def last_row(run: RunDirectory) -> dict[str, Any] | None:
    """The last whole line of a run's metrics, without reading the rest. What else lies there is told where the run is
    read."""
    try:
        require_regular(run.metrics_file)
        with open(run.metrics_file, "rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    rows = filter(None, map(row_of, reversed(lines)))
    return next((row for row in rows if type(row.get("epoch")) is int and not misplaced_in_metrics(row)), None)
