"""The systems compared, each in a process of its own, so that none inherits another's memory or settings."""

from __future__ import annotations

import atexit
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

SYSTEMS = ("floor", "float32 floor", "ours", "textbook")
EPOCHS_AT_ONCE = 4
"""Epochs of ours that are timed in one turn."""

Parts = dict[str, float]
Epoch = Callable[[], "Turn"]


@dataclass(frozen=True)
class Turn:
    """What one epoch took.

    Attributes:
        seconds: of the whole epoch.
        parts: seconds of what it consists of, by name. They add up to the whole unless they overlap.
    """

    seconds: float
    parts: Parts


class System:
    """One system in its own process, ready to run epochs on request.

    Args:
        name: one of `SYSTEMS`.
        recipe: recipe by name or path.
        threads: of torch; its own choice if None.
    """

    def __init__(self, name: str, recipe: str, threads: int | None) -> None:
        self.name = name
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
        self._process.submit(_prepare, name, recipe, threads).result()

    def epoch(self) -> Turn:
        """Runs one epoch or several; what one took."""
        return self._process.submit(_epoch).result()

    def close(self) -> None:
        """Ends the process."""
        self._process.shutdown()


_system: dict[str, Epoch] = {}  # the one that this process is


def _prepare(name: str, recipe_name: str, threads: int | None) -> None:
    import torch

    from ternary_vae.recipe import load_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    # As many draws as the textbook loop makes, where the recipe asks for fewer an epoch.
    recipe = load_recipe(recipe_name, overrides={"evaluation.full_coverage_draws": 195_000})
    if name != "float32 floor" and name != "textbook":
        torch.set_float32_matmul_precision(recipe.optimizer.matrix_products)
    makers = {"floor": _floor, "float32 floor": _floor, "ours": _ours, "textbook": _textbook}
    _system["epoch"] = makers[name](recipe)


def _epoch() -> Turn:
    return _system["epoch"]()


def _one_by_one(parts: dict[str, Callable[[], object]]) -> Epoch:
    """Parts of an epoch that run one after another."""

    def epoch() -> Turn:
        seconds = {}
        for name, part in parts.items():
            started = time.perf_counter()
            part()
            seconds[name] = time.perf_counter() - started
        return Turn(sum(seconds.values()), seconds)

    return epoch


def _floor(recipe: Any) -> Epoch:
    from matrix_floor import PARTS, MatrixFloor

    floor = MatrixFloor(recipe)
    return _one_by_one({part: lambda part=part: floor.run(part) for part in PARTS})


def _ours(recipe: Any) -> Epoch:
    """Epochs as a run trains, measures, logs and saves them, in a temporary directory. A turn begins with an epoch that
    is not timed: measuring it overlaps the first one that is, as the last one's measurement overlaps the next."""
    import torch

    from ternary_vae.acceleration.allocator import keep_freed_memory
    from ternary_vae.acceleration.fleet import Fleet
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.training.epoch import Trainer
    from ternary_vae.training.interruption import Interruption
    from ternary_vae.training.progress import Silent
    from ternary_vae.training.run import Run, Start

    keep_freed_memory()
    kept = tempfile.TemporaryDirectory()
    atexit.register(kept.cleanup)
    directory = RunDirectory(kept.name)
    directory.create(recipe, {})
    trainer = Trainer(recipe)
    # PyTorch keeps the number of threads for each thread.
    worker = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
    run, fleet = Run(Start(trainer, directory), Silent(), False, Interruption(), worker), Fleet([trainer])
    run.open()

    def train_epoch() -> None:
        started = time.monotonic()
        (row,) = fleet.train_epoch()
        run.take(row | {"seconds_training": time.monotonic() - started})

    def epoch() -> Turn:
        train_epoch()
        started = time.perf_counter()
        for _ in range(EPOCHS_AT_ONCE):
            train_epoch()
        seconds = (time.perf_counter() - started) / EPOCHS_AT_ONCE
        run.settle()  # whoever is next has the machine to itself
        rows = run.log.rows[-EPOCHS_AT_ONCE:]
        parts = {
            "training": statistics.mean(row["seconds_training"] for row in rows),
            "evaluation beside it": statistics.mean(row["seconds_evaluation"] for row in rows[:-1]),
        }
        return Turn(seconds, parts)

    # Measuring begins when every term is at work and batches have their size.
    for _ in range(recipe.optimizer.first_batches.epochs + 1):
        train_epoch()
    run.settle()
    return epoch


def _textbook(recipe: Any) -> Epoch:
    from ternary_vae.splits import training_split
    from textbook_loop import TextbookTrainer

    trainer = TextbookTrainer(len(training_split(recipe).train))
    return _one_by_one({"training": trainer.train_epoch, "coverage": trainer.coverage})
