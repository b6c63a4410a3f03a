"""How many runs a minute: runs of one shape trained together as one batched program, against one at a time.

    python benchmarks/batched_seeds.py
    python benchmarks/batched_seeds.py --recipes ternary_v5_5 --together 1 5 10 --cores 1

Every case goes through whole epochs as runs do: trained in one thread, measured, logged and saved in a second, in
temporary directories. One process a core, each kept on its core; with two, both work side by side on runs of their own.
The cases take turns, so that a machine that slows down slows all; ratios are taken within a turn. Seconds are of the
processor, which other work on the machine disturbs least; wall seconds are reported beside them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCHS_AT_ONCE = 2


@dataclass(frozen=True)
class Seconds:
    """What an epoch of one run took: processor time of its training, processor time of all, wall time of all."""

    training: float
    whole: float
    wall: float


def main() -> int:
    """Measures, prints a table, writes JSON."""
    options = _options()
    cases = [(recipe, cores) for recipe in options.recipes for cores in options.cores]
    results = [_measured(recipe, cores, options) for recipe, cores in cases]
    for result in results:
        for line in _table(result):
            print(line)
    if options.output:
        from ternary_vae.storage.files import write_json
        from ternary_vae.storage.runs import code_version, environment

        about = {"code_version": code_version(), "environment": environment("cpu")}
        write_json(options.output, about | {"results": results})
        print(f"written: {options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["ternary_v5_5", "resolution"], help="recipes by name or path")
    parser.add_argument("--together", nargs="+", type=int, default=[1, 2, 5, 10], help="numbers of runs at once")
    parser.add_argument("--cores", nargs="+", type=int, default=[1, 2], help="processes side by side, one a core")
    parser.add_argument("--turns", type=int, default=3, help="turns measured, after one to warm up")
    parser.add_argument("--always", action="store_true", help="train as one program also where that does not pay")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser.parse_args()


def _measured(recipe: str, cores: int, options: argparse.Namespace) -> dict[str, Any]:
    """Turns of every number of runs at once, on so many cores."""
    processes = [Process(core) for core in range(cores)]
    together = sorted({1, *options.together})
    try:
        for runs in together:
            _on_all(processes, lambda process, runs=runs: process.prepare(recipe, runs, options.always))
        turns = [{runs: _turn(processes, runs) for runs in together} for _ in range(options.turns + 1)][1:]
    finally:
        for process in processes:
            process.close()
    return {"recipe": recipe, "cores": cores, "turns": len(turns), "runs_at_once": _summary(recipe, cores, turns)}


def _on_all(processes: list[Process], start: Callable[[Process], Any]) -> list[Any]:
    return [future.result() for future in [start(process) for process in processes]]


def _turn(processes: list[Process], runs: int) -> Seconds:
    """An epoch of a run, on average over the processes."""
    found = _on_all(processes, lambda process: process.epochs(runs))
    return Seconds(*(statistics.mean(values) for values in zip(*found)))


def _summary(recipe_name: str, cores: int, turns: list[dict[int, Seconds]]) -> list[dict[str, Any]]:
    from ternary_vae.recipe import load_recipe

    epochs = load_recipe(recipe_name).epochs
    rows = []
    for runs in turns[0]:
        median = Seconds(
            *(statistics.median(getattr(turn[runs], name) for turn in turns) for name in ("training", "whole", "wall"))
        )
        rows.append(
            {
                "runs_at_once": runs,
                "seconds_of_training": median.training,
                "seconds_of_an_epoch": median.whole,
                "wall_seconds_of_an_epoch": median.wall,
                "runs_a_minute": 60 * cores / (epochs * median.whole),
                "times_faster_training": statistics.median(turn[1].training / turn[runs].training for turn in turns),
                "times_faster": statistics.median(turn[1].whole / turn[runs].whole for turn in turns),
                "times_faster_by_the_wall": statistics.median(turn[1].wall / turn[runs].wall for turn in turns),
            }
        )
    return rows


def _table(result: dict[str, Any]) -> list[str]:
    cores = f"{result['cores']} core" + ("s, a process each" if result["cores"] > 1 else "")
    lines = [
        f"{result['recipe']} on {cores}, median of {result['turns']} turns",
        "  runs at once   an epoch's training      whole epoch        by the wall   runs a minute",
    ]
    lines += [
        f"  {row['runs_at_once']:>12}  {row['seconds_of_training']:>8.3f} s  ×{row['times_faster_training']:<6.2f}"
        f"{row['seconds_of_an_epoch']:>9.3f} s  ×{row['times_faster']:<6.2f}"
        f"{row['wall_seconds_of_an_epoch']:>8.3f} s ×{row['times_faster_by_the_wall']:<6.2f}"
        f"{row['runs_a_minute']:>8.3f}"
        for row in result["runs_at_once"]
    ]
    return [*lines, ""]


class Process:
    """A process on one core."""

    def __init__(self, core: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_stay_on, initargs=(core,))

    def prepare(self, recipe: str, runs: int, always: bool) -> Any:
        return self._pool.submit(_prepare, recipe, runs, always)

    def epochs(self, runs: int) -> Any:
        return self._pool.submit(_epochs, runs)

    def close(self) -> None:
        self._pool.shutdown()


# -------------------------------------------------------------------- in a process of its own

_fleets: dict[int, tuple[Any, list[Any], Any]] = {}  # by number of runs: the fleet, its pipelines, what else must live


def _stay_on(core: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch starts
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def _prepare(recipe_name: str, runs: int, always: bool) -> None:
    import torch

    from ternary_vae.recipe import load_recipe
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.training import fleet
    from ternary_vae.training.log import RunLog
    from ternary_vae.training.memory import keep_freed_memory
    from ternary_vae.training.pipeline import Pipeline
    from ternary_vae.training.progress import Silent
    from ternary_vae.training.trainer import Trainer

    torch.set_num_threads(1)
    keep_freed_memory()
    if always:
        fleet.LARGEST_BATCH_ON_A_CPU = 19_683
    recipes = [load_recipe(recipe_name, seed=seed) for seed in range(runs)]
    torch.set_float32_matmul_precision(recipes[0].optimizer.matrix_products)
    trainers = [Trainer(recipe) for recipe in recipes]
    kept = tempfile.TemporaryDirectory()
    worker = ThreadPoolExecutor(1)  # shared by the runs of a process, as `train_together` shares it
    pipelines = []
    for trainer in trainers:
        directory = RunDirectory(Path(kept.name) / str(trainer.recipe.seed))
        directory.create(trainer.recipe, {})
        log = RunLog(directory, 0)
        pipelines.append(Pipeline(trainer, directory, log, Silent(), worker=worker))
    _fleets[runs] = fleet.Fleet(trainers), pipelines, kept


def _epochs(runs: int) -> tuple[float, float, float]:
    fleet, pipelines, _ = _fleets[runs]
    whole, wall, training = time.process_time(), time.perf_counter(), 0.0
    for _ in range(EPOCHS_AT_ONCE):
        started = time.thread_time()
        rows = fleet.train_epoch()
        training += time.thread_time() - started
        for pipeline, row in zip(pipelines, rows):
            pipeline.take(row | {"seconds_training": 0.0})
    for pipeline in pipelines:
        pipeline.drain()
    spent = training, time.process_time() - whole, time.perf_counter() - wall
    return tuple(each / EPOCHS_AT_ONCE / runs for each in spent)  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
