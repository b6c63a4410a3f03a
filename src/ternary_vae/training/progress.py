"""Progress that a person enjoys: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, Protocol, runtime_checkable

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ternary_vae.formats import UNIFORM_MODEL, beside_uniform, duration, number, percent
from ternary_vae.recipe import PHASE_NAMES, Recipe
from ternary_vae.terminal import replace_what_cannot_be_shown
from ternary_vae.training.time_left import TimeLeft, TimeLeftOfRuns

_EVENTS_SHOWN = 4


@runtime_checkable
class Progress(Protocol):
    """What the training loop tells whoever watches. Calls come one at a time, but `epoch` and `event` mostly from
    another thread than `start`, `benchmarking` and `stop`.

    `start` is told which completed epochs, past or to come, are yet to be benchmarked; `benchmarking` comes when one
    begins, and an event when it is done."""

    def start(self, recipe: Recipe, epochs_completed: int, place: str, benchmarks: Collection[int]) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def benchmarking(self, epoch: int) -> None: ...

    def event(self, event: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class Silent(Progress):
    """Says nothing."""


class Lines(Silent):
    """One line for every tenth epoch and every event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        replace_what_cannot_be_shown(console.file)

    def start(self, recipe: Recipe, epochs_completed: int, place: str, benchmarks: Collection[int]) -> None:
        self.recipe = recipe
        self.clock = _clock(recipe, epochs_completed, benchmarks)
        self._print(f"{recipe.name}, seed {recipe.seed}: epochs {epochs_completed} to {recipe.epochs}, in {place}")

    def epoch(self, row: dict[str, Any]) -> None:
        self.clock.epoch(row["epoch"], time.monotonic())
        first_or_last = row["epoch"] in (1, self.recipe.epochs)
        if not first_or_last and row["epoch"] % 10:
            return
        self._print(
            f"epoch {row['epoch']:>3}/{self.recipe.epochs}  phase {row['phase']}  ρ {row['rho']:.2f}  "
            f"loss {_loss(row['terms']['loss'])}  A {percent(row['exact_match_a'])}  "
            f"B {percent(row['exact_match_b'])}  ensemble {percent(row['exact_match_best_of_two'])}  "
            + (
                ""
                if row["coverage"] is None
                else f"coverage {beside_uniform(row['coverage'], row['coverage_limit'])}  "
            )
            + _pace_and_left(self.clock)
        )

    def benchmarking(self, epoch: int) -> None:
        self._print(f"epoch {epoch}: benchmarking …")

    def event(self, event: dict[str, Any]) -> None:
        self._print(f"epoch {event['epoch']:>3}  {event['kind']}: {event['message']}")

    def _print(self, line: str) -> None:
        print_line(self.console, line)


class Display:
    """A live panel."""

    def __init__(self, console: Console) -> None:
        self.console = console
        replace_what_cannot_be_shown(console.file)
        self.events: list[dict[str, Any]] = []
        self.row: dict[str, Any] | None = None
        self.benchmarked: int | None = None  # the epoch whose benchmark is under way

    def start(self, recipe: Recipe, epochs_completed: int, place: str, benchmarks: Collection[int]) -> None:
        self.recipe = recipe
        self.place = place
        self.clock = _clock(recipe, epochs_completed, benchmarks)
        # Drawn anew at each refresh: the time left goes on while nothing is told, as in a benchmark.
        self.live = Live(get_renderable=self._panel, console=self.console, refresh_per_second=8)
        self.live.start()

    def epoch(self, row: dict[str, Any]) -> None:
        self.clock.epoch(row["epoch"], time.monotonic())
        self.row = row

    def benchmarking(self, epoch: int) -> None:
        self.benchmarked = epoch

    def event(self, event: dict[str, Any]) -> None:
        if event["kind"] == "milestone":
            self.benchmarked = None
        self.events.append(event)

    def stop(self) -> None:
        self.clock.end(time.monotonic())  # what the last panel shows
        self.live.stop()

    def _panel(self) -> Panel:
        title = f"[bold]{self.recipe.name}[/] · seed {self.recipe.seed} · {escape(self.place)}"
        row = self.row
        if row is None:
            first = Text("the first epoch is on its way …" if self.benchmarked is None else self._under_way())
            return Panel(Group(first, *self._event_lines()), title=title, title_align="left")
        done, total = row["epoch"], self.recipe.epochs
        head = Table.grid(padding=(0, 2))
        head.add_row(
            f"epoch [bold]{done}[/] of {total}",
            f"phase [bold]{row['phase']}[/] {PHASE_NAMES[row['phase'] - 1]}",
            f"ρ [bold]{row['rho']:.3f}[/]",
            _pace_and_left(self.clock),
        )
        return Panel(
            Group(
                head,
                ProgressBar(total=total, completed=done),
                Text(""),  # ends the line of the bar
                Text(self._under_way()),
                self._figures(row),
                *self._event_lines(),
            ),
            title=title,
            title_align="left",
        )

    def _under_way(self) -> str:
        return "" if self.benchmarked is None else f"epoch {self.benchmarked}: benchmarking …"

    def _figures(self, row: dict[str, Any]) -> Table:
        table = table_of_figures("", "VAE-A", "VAE-B", "ensemble")
        table.add_row("exact match", *(_good(row[f"exact_match_{name}"]) for name in ("a", "b", "best_of_two")))
        table.add_row("exact match, coupled", *(_good(row[f"exact_match_coupled_{side}"]) for side in ("a", "b")))
        if row["coverage"] is not None:
            covered = (percent(row[name]) for name in ("coverage_a", "coverage_b", "coverage"))
            table.add_row("decoded coverage", *covered)
            alone, both = percent(row["coverage_single_limit"]), percent(row["coverage_limit"])
            table.add_row(f"[dim]{UNIFORM_MODEL}[/]", *(f"[dim]{value}[/]" for value in (alone, alone, both)))
        terms = row["terms"]
        table.add_row("cross-entropy, nats", number(terms["reconstruction_a"], 3), number(terms["reconstruction_b"], 3))
        table.add_row("KL divergence, nats", number(terms["kl_a"], 3), number(terms["kl_b"], 3))
        return table

    def _event_lines(self) -> list[Text]:
        shown = self.events[-_EVENTS_SHOWN:]
        return [Text(f"epoch {event['epoch']}  {event['message']}", style="yellow") for event in shown]


def watcher(progress: Progress | bool | None, console: Console | None = None) -> Progress:
    """Who watches: whoever is given, nobody for None or False; for True a live panel in a terminal, and lines on
    standard output elsewhere, as in a notebook.

    Args:
        console: where to show what True shows; standard output by default.
    """
    if progress is not True:
        return progress or Silent()
    # In a notebook rich would show each line by a display of its own, and a live panel by widgets.
    console = console or Console(force_jupyter=False)
    return Display(console) if is_screen(console) else Lines(console)


def is_screen(console: Console) -> bool:
    """Whether what is shown there can be replaced. rich calls a pipe a terminal where FORCE_COLOR is set, as in a
    notebook and whatever it starts."""
    isatty = getattr(console.file, "isatty", None)
    return isatty is not None and isatty() and console.is_terminal


def print_line(console: Console, line: str) -> None:
    """One line as it is, however narrow the console."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def table_of_figures(*headings: str) -> Table:
    """An empty table without lines; all columns but the first are figures."""
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column else "left")
    return table


def shown_time_left(clock: TimeLeft | TimeLeftOfRuns) -> str:
    """`3 min 20 s left`."""
    left = clock.left(time.monotonic())
    return "time left unknown" if left is None else f"{duration(left)} left"


def _loss(value: float | None) -> str:
    """While β is 0 recognition may make it one of ten digits, of which three say enough."""
    return number(value, 3) if value is None or abs(value) < 1e6 else f"{value:.2e}"


def _clock(recipe: Recipe, epochs_completed: int, benchmarks: Collection[int]) -> TimeLeft:
    unusual = recipe.optimizer.first_batches.epochs
    return TimeLeft(epochs_completed, recipe.epochs, benchmarks, unusual, time.monotonic())


def _pace_and_left(clock: TimeLeft) -> str:
    """`1.92 epochs/s  3 min 20 s left`."""
    pace = f"{1 / clock.pace:.2f} epochs/s  " if clock.pace else ""
    return pace + shown_time_left(clock)


def _good(share: float | None) -> str:
    return f"[green]{percent(share)}[/]" if share == 1 else percent(share)
