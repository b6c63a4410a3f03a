"""Progress that a person enjoys: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ternary_vae.formats import duration, number, percent
from ternary_vae.recipe import Recipe
from ternary_vae.terminal import replace_what_cannot_be_shown

PHASES = {1: "isolation", 2: "consolidation", 3: "resonant coupling", 4: "ultra-exploration"}
_RECENT_EPOCHS = 20
_EVENTS_SHOWN = 4


class Progress(Protocol):
    """What the training loop tells whoever watches. Calls come one at a time, but `epoch` and `event` mostly from
    another thread than `start` and `stop`."""

    def start(self, recipe: Recipe, epochs_completed: int, place: str) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def event(self, event: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """Says nothing."""

    def start(self, recipe: Recipe, epochs_completed: int, place: str) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def event(self, event: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class Lines:
    """One line for every tenth epoch and every event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        replace_what_cannot_be_shown(console.file)
        self.clock = _Clock()

    def start(self, recipe: Recipe, epochs_completed: int, place: str) -> None:
        self.recipe = recipe
        self._print(f"{recipe.name}, seed {recipe.seed}: epochs {epochs_completed} to {recipe.epochs}, in {place}")

    def epoch(self, row: dict[str, Any]) -> None:
        self.clock.tick(row)
        first_or_last = row["epoch"] in (1, self.recipe.epochs)
        if not first_or_last and row["epoch"] % 10:
            return
        self._print(
            f"epoch {row['epoch']:>3}/{self.recipe.epochs}  phase {row['phase']}  ρ {row['rho']:.2f}  "
            f"loss {number(row['terms']['loss'], 3)}  A {percent(row['exact_match_a'])}  "
            f"B {percent(row['exact_match_b'])}  ensemble {percent(row['exact_match_best_of_two'])}  "
            f"coverage {percent(row['coverage'])} of {percent(row['coverage_limit'])}  {self.clock.rate:.2f} epochs/s  "
            f"{duration(self.clock.left(self.recipe.epochs - row['epoch']))} left"
        )

    def event(self, event: dict[str, Any]) -> None:
        self._print(f"epoch {event['epoch']:>3}  {event['kind']}: {event['message']}")

    def stop(self) -> None: ...

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)


class Display:
    """A live panel."""

    def __init__(self, console: Console) -> None:
        self.console = console
        replace_what_cannot_be_shown(console.file)
        self.clock = _Clock()
        self.events: list[dict[str, Any]] = []
        self.row: dict[str, Any] | None = None

    def start(self, recipe: Recipe, epochs_completed: int, place: str) -> None:
        self.recipe = recipe
        self.place = place
        self.live = Live(self._panel(), console=self.console, refresh_per_second=8)
        self.live.start()

    def epoch(self, row: dict[str, Any]) -> None:
        self.clock.tick(row)
        self.row = row
        self.live.update(self._panel())

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.live.update(self._panel())

    def stop(self) -> None:
        self.live.stop()

    def _panel(self) -> Panel:
        title = f"[bold]{self.recipe.name}[/] · seed {self.recipe.seed} · {escape(self.place)}"
        row = self.row
        if row is None:
            return Panel(Text("the first epoch is on its way …"), title=title, title_align="left")
        done, total = row["epoch"], self.recipe.epochs
        head = Table.grid(padding=(0, 2))
        head.add_row(
            f"epoch [bold]{done}[/] of {total}",
            f"phase [bold]{row['phase']}[/] {PHASES[row['phase']]}",
            f"ρ [bold]{row['rho']:.3f}[/]",
            f"{self.clock.rate:.2f} epochs/s",
            f"{duration(self.clock.left(total - done))} left",
        )
        return Panel(
            Group(head, ProgressBar(total=total, completed=done), Text(""), self._figures(row), *self._event_lines()),
            title=title,
            title_align="left",
        )

    def _figures(self, row: dict[str, Any]) -> Table:
        table = Table(box=None, padding=(0, 2), show_edge=False)
        for heading in ("", "VAE-A", "VAE-B", "ensemble", "limit"):
            table.add_column(heading, justify="left" if not heading else "right")
        table.add_row(
            "exact match", *(_good(row[f"exact_match_{name}"], 1.0) for name in ("a", "b", "best_of_two")), "100%"
        )
        table.add_row(
            "exact match, coupled", *(_good(row[f"exact_match_coupled_{side}"], 1.0) for side in ("a", "b")), "", ""
        )
        table.add_row(
            "decoded coverage", percent(row["coverage_a"]), percent(row["coverage_b"]), percent(row["coverage"]),
            f"{percent(row['coverage_single_limit'])} / {percent(row['coverage_limit'])}",
        )  # fmt: skip
        terms = row["terms"]
        table.add_row("cross-entropy, nats", number(terms["reconstruction_a"], 3), number(terms["reconstruction_b"], 3))
        table.add_row("KL divergence, nats", number(terms["kl_a"], 3), number(terms["kl_b"], 3))
        return table

    def _event_lines(self) -> list[Text]:
        shown = self.events[-_EVENTS_SHOWN:]
        return [Text(f"epoch {event['epoch']}  {event['message']}", style="yellow") for event in shown]


class _Clock:
    """Epochs a second over the recent epochs, by the loop's own timing."""

    def __init__(self) -> None:
        self.times: list[float] = [time.monotonic()]

    def tick(self, row: dict[str, Any]) -> None:
        self.times = [*self.times[-_RECENT_EPOCHS:], time.monotonic()]

    @property
    def rate(self) -> float:
        return (len(self.times) - 1) / max(1e-9, self.times[-1] - self.times[0])

    def left(self, epochs: int) -> float:
        return epochs / max(1e-9, self.rate)


def _good(share: float | None, goal: float) -> str:
    return f"[green]{percent(share)}[/]" if share is not None and share >= goal else percent(share)
