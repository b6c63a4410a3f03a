"""A real run in a process of its own: seconds an epoch with everything written down, and peak memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIRST_EPOCHS = 5
SHORTEST_RUN = _FIRST_EPOCHS + 2


@dataclass(frozen=True)
class WholeRun:
    """What a run cost.

    Attributes:
        epochs: epochs trained and evaluated, each logged and checkpointed as in any run.
        seconds: from the first line of `train` to its return.
        seconds_an_epoch: between the ends of two epochs, on average, once the first few are done.
        peak_bytes: largest resident memory of the process, Python and torch included.
        benchmarked: whether milestones were benchmarked too.
    """

    epochs: int
    seconds: float
    seconds_an_epoch: float
    peak_bytes: int
    benchmarked: bool

    def seconds_for(self, epochs: int) -> float:
        """Seconds that a run of this many epochs takes at this pace: it starts and ends once, however long it is."""
        return self.seconds + (epochs - self.epochs) * self.seconds_an_epoch


def measure_run(recipe: str, epochs: int, threads: int | None, benchmarked: bool) -> WholeRun:
    """Trains `epochs` epochs of a recipe in a fresh process and a temporary directory. Schedules stay those of
    the whole recipe unless it is shorter."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        return pool.submit(_train, recipe, epochs, threads, benchmarked).result()


def _train(recipe_name: str, epochs: int, threads: int | None, benchmarked: bool) -> WholeRun:
    import torch

    from ternary_vae.recipe import load_recipe
    from ternary_vae.training.loop import train
    from ternary_vae.training.progress import Silent

    class Clock(Silent):
        """Remembers when each epoch was finished."""

        def __init__(self) -> None:
            self.ends: list[float] = []

        def epoch(self, row: dict[str, Any]) -> None:
            self.ends.append(time.perf_counter())

    clock = Clock()
    if threads is not None:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        train(
            load_recipe(recipe_name, epochs=epochs),
            Path(directory) / "run",
            device="cpu",
            benchmark_milestones=benchmarked,
            progress=clock,
        )
        seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    steady = clock.ends[_FIRST_EPOCHS:]
    pace = (steady[-1] - steady[0]) / (len(steady) - 1)
    return WholeRun(epochs, seconds, pace, peak, benchmarked)
