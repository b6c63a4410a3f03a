"""How many runs a minute: runs of one shape trained together as one batched program, against one at a time.

    python benchmarks/batched_seeds.py
    python benchmarks/batched_seeds.py --recipes ternary_v5_5 --together 1 5 10 --processes 1
    python benchmarks/batched_seeds.py --device cuda --together 1 10 50 --processes 1 4

Every case goes through whole epochs as runs do: trained in one thread, measured, logged and saved in a second, in
temporary directories. Several processes work side by side on runs of their own, on a CPU each kept on a core of its
own. The cases take turns, so that a machine that slows down slows all; ratios are taken within a turn. Seconds on a CPU
are of the processor, which other work on the machine disturbs least, with wall seconds beside them; on an accelerator
only wall seconds tell.
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
from functools import partial
from pathlib import Path
from typing import Any

from ternary_vae.storage.files import require_writable
from ternary_vae.terminal import exit_code


@dataclass(frozen=True)
class Seconds:
    """What an epoch of one run took: its training, all of it, and all of it by the wall. The first two are of the
    processor on a CPU and by the wall elsewhere."""

    training: float
    whole: float
    wall: float


def main() -> int:
    """Measures, prints a table, writes JSON."""
    options = _options()
    results = []
    for recipe in options.recipes:
        for processes in options.processes:
            results.append(_measured(recipe, processes, options))
            print("\n".join(_table(results[-1])), flush=True)
    if options.output:
        from ternary_vae.storage.files import write_json
        from ternary_vae.storage.runs import code_version, environment

        about = {"code_version": code_version(), "environment": environment(options.device)}
        write_json(options.output, about | {"results": results})
        print(f"written: {options.output}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["ternary_v5_5", "resolution"], help="recipes by name or path")
    parser.add_argument("--together", nargs="+", type=int, default=[1, 2, 5, 10], help="numbers of runs at once")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2], help="numbers of processes side by side")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to train")
    parser.add_argument("--epochs", type=int, default=2, help="epochs a turn")
    parser.add_argument("--turns", type=int, default=3, help="turns measured, after one to warm up")
    parser.add_argument("--always", action="store_true", help="train as one program also where that does not pay")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    if options.output:
        require_writable(options.output)
    from ternary_vae.devices import granted_cores

    if options.device == "cpu" and (most := max(options.processes)) > (cores := granted_cores()):
        parser.error(f"--processes {most}: on a CPU each has a core of its own, and {cores} can be had; give fewer")
    return options


def _measured(recipe: str, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Turns of every number of runs at once, in so many processes."""
    processes = [Process(number if options.device == "cpu" else None) for number in range(count)]
    together = sorted({1, *options.together})
    try:
        for runs in together:
            prepare = partial(_prepare, recipe, runs, options.device, options.always)
            _on_all(processes, prepare)
        turns = [{runs: _turn(processes, runs, options.epochs) for runs in together} for _ in range(options.turns + 1)][
            1:
        ]
    finally:
        for process in processes:
            process.close()
    return {
        "recipe": recipe, "device": options.device, "processes": count, "turns": len(turns),
        "runs_at_once": _summary(recipe, count, turns),
    }  # fmt: skip


def _on_all(processes: list[Process], what: Callable[[], Any]) -> list[Any]:
    return [future.result() for future in [process.do(what) for process in processes]]


def _turn(processes: list[Process], runs: int, epochs: int) -> Seconds:
    """An epoch of a run, on average over the processes."""
    found = _on_all(processes, partial(_epochs, runs, epochs))
    return Seconds(*(statistics.mean(values) for values in zip(*found)))


def _summary(recipe_name: str, processes: int, turns: list[dict[int, Seconds]]) -> list[dict[str, Any]]:
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
                "runs_a_minute": 60 * processes / (epochs * median.whole),
                "times_faster_training": statistics.median(turn[1].training / turn[runs].training for turn in turns),
                "times_faster": statistics.median(turn[1].whole / turn[runs].whole for turn in turns),
                "times_faster_by_the_wall": statistics.median(turn[1].wall / turn[runs].wall for turn in turns),
            }
        )
    return rows


def _table(result: dict[str, Any]) -> list[str]:
    count = result["processes"]
    lines = [
        f"{result['recipe']} on {result['device']}, {count} process{'es' if count > 1 else ''}, "
        f"median of {result['turns']} turns",
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
    """A process of one thread, on one core if it is given."""

    def __init__(self, core: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_stay_on, initargs=(core,))

    def do(self, what: Callable[[], Any]) -> Any:
        return self._pool.submit(what)

    def close(self) -> None:
        self._pool.shutdown()


# -------------------------------------------------------------------- in a process of its own

_fleets: dict[int, tuple[Any, list[Any], Any]] = {}  # by number of runs: the fleet, its runs, what else must live


def _stay_on(core: int | None) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch starts
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def _prepare(recipe_name: str, runs: int, device: str, always: bool) -> None:
    import torch

    from ternary_vae.acceleration import fleet
    from ternary_vae.acceleration.allocator import keep_freed_memory
    from ternary_vae.recipe import load_recipe
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.training.epoch import Trainer
    from ternary_vae.training.interruption import Interruption
    from ternary_vae.training.loop import finishers
    from ternary_vae.training.progress import Silent
    from ternary_vae.training.run import Run, Start

    torch.set_num_threads(1)
    keep_freed_memory()
    if always:
        fleet.LARGEST_BATCH_ON_A_CPU = 19_683
    most_epochs = {"optimizer.first_batches.epochs": 0}  # the first few of some recipes have smaller batches
    recipes = [load_recipe(recipe_name, overrides=most_epochs, seed=seed) for seed in range(runs)]
    torch.set_float32_matmul_precision(recipes[0].optimizer.matrix_products)
    trainers = [Trainer(recipe, device) for recipe in recipes]
    kept = tempfile.TemporaryDirectory()
    # Shared by the runs of a process, as `train_together` shares them; on a CPU also where there is one thread.
    worker = ThreadPoolExecutor(1) if device == "cpu" else finishers(runs, trainers[0].device)
    open_runs = []
    for trainer in trainers:
        directory = RunDirectory(Path(kept.name) / str(trainer.recipe.seed))
        directory.create(trainer.recipe, {})
        open_runs.append(Run(Start(trainer, directory), Silent(), False, Interruption(), worker))
        open_runs[-1].open()
    _fleets[runs] = fleet.Fleet(trainers), open_runs, kept


def _epochs(runs: int, epochs: int) -> tuple[float, float, float]:
    fleet, open_runs, _ = _fleets[runs]
    on_cpu = fleet.trainers[0].device.type == "cpu"
    of_thread, of_all = (time.thread_time, time.process_time) if on_cpu else (time.perf_counter, time.perf_counter)
    whole, wall, training = of_all(), time.perf_counter(), 0.0
    for _ in range(epochs):
        started = of_thread()
        rows = fleet.train_epoch()
        training += of_thread() - started
        for run, row in zip(open_runs, rows):
            run.take(row | {"seconds_training": 0.0})
    for run in open_runs:
        run.settle()
    spent = training, of_all() - whole, time.perf_counter() - wall
    return tuple(each / epochs / runs for each in spent)  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(exit_code("batched_seeds", main))
