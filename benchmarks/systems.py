"""The systems compared, each in a process of its own, so that none inherits another's memory or settings."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

SYSTEMS = ("floor", "ours", "textbook")

Parts = dict[str, Callable[[], object]]


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

    def epoch(self) -> dict[str, float]:
        """Runs one epoch; seconds of each of its parts."""
        return self._process.submit(_epoch).result()

    def close(self) -> None:
        self._process.shutdown()


_parts: Parts = {}  # of the system that this process is


def _prepare(name: str, recipe: str, threads: int | None) -> None:
    import torch

    from ternary_vae.recipe import load_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    _parts.update({"floor": _floor, "ours": _ours, "textbook": _textbook}[name](load_recipe(recipe)))


def _epoch() -> dict[str, float]:
    seconds = {}
    for name, part in _parts.items():
        started = time.perf_counter()
        part()
        seconds[name] = time.perf_counter() - started
    return seconds


def _floor(recipe) -> Parts:
    from matrix_floor import PARTS, MatrixFloor

    floor = MatrixFloor(recipe)
    return {part: lambda part=part: floor.run(part) for part in PARTS}


def _ours(recipe) -> Parts:
    """Training and evaluation as the training loop calls them, without what is written to disk."""
    from ternary_vae.training.evaluation import evaluate
    from ternary_vae.training.memory import keep_freed_memory
    from ternary_vae.training.trainer import Trainer

    keep_freed_memory()
    trainer = Trainer(recipe)

    def evaluation() -> None:
        found = evaluate(trainer.model, recipe, trainer.epochs_completed)
        trainer.specialisation.update(found.advantage_a)

    # Specialisation starts a few epochs in; measuring begins when every term is at work.
    for _ in range(recipe.objective.specialisation.start_epoch + 1):
        trainer.train_epoch()
        evaluation()
    return {"training": trainer.train_epoch, "evaluation": evaluation}


def _textbook(recipe) -> Parts:
    from ternary_vae.splits import training_split
    from textbook_loop import TextbookTrainer

    trainer = TextbookTrainer(len(training_split(recipe).train))
    return {"training": trainer.train_epoch, "coverage": trainer.coverage}
