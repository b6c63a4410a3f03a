"""How cost grows with the entries of a truth table.

    python benchmarks/spaces.py --output reports/benchmarks/spaces

For each space, in a fresh process on one thread: parameters, seconds a million operations of training, and how many
epochs and seconds of training it takes until both VAEs are exact on every operation measured (all, or 20,000 drawn at
random each epoch). Seed 0 unless given. Writes a table and a figure.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ternary_vae.space_recipe import recipe_for_space
from ternary_vae.storage.files import require_writable
from ternary_vae.terminal import exit_code

SPACES = ((3, 1), (2, 2), (2, 3), (3, 2), (2, 4), (4, 2), (5, 2), (3, 3), (2, 5))
_HELD = 3  # epochs in a row that are exact: then it is no accident
_TIMED = 10  # epochs at least


@dataclass(frozen=True)
class Cost:
    """What a space cost. Seconds are of training alone, on one thread.

    Attributes:
        exact_epoch: the first of three epochs in a row with both VAEs exact; None if there were none.
        exact_seconds: of training until then, or until the run was given up.
        megabytes: the process's largest resident set.
    """

    values: int
    inputs: int
    entries: int
    operations: float
    parameters: int
    batch: int
    exact_epoch: int | None
    exact_seconds: float
    seconds_a_million: float
    exact_match_a: float
    exact_match_b: float
    megabytes: float


def cost(values: int, inputs: int, seed: int, epochs: int) -> Cost:
    """Trains until both VAEs are exact for good."""
    import torch

    torch.set_num_threads(1)
    from ternary_vae.training.epoch import Trainer
    from ternary_vae.training.evaluation import evaluate

    recipe = recipe_for_space(values, inputs, seed=seed)
    torch.set_float32_matmul_precision(recipe.optimizer.matrix_products)
    trainer = Trainer(recipe)
    seconds, exact, row = [], [], {}
    small = recipe.optimizer.first_batches.epochs  # of small batches, which are no measure of an epoch
    while len(seconds) < epochs and not (len(seconds) >= small + _TIMED and _first_held(exact)):
        start = time.perf_counter()
        trainer.train_epoch()
        seconds.append(time.perf_counter() - start)
        row = evaluate(trainer.averaged, recipe, len(seconds))
        trainer.take_measurement(row)
        exact.append(row["exact_match_a"] == row["exact_match_b"] == 1)
    first = _first_held(exact)
    timed = seconds[small:]
    return Cost(
        values,
        inputs,
        trainer.space.entries,
        float(trainer.space.operations),
        sum(parameter.numel() for parameter in trainer.model.parameters()),
        recipe.optimizer.batch_size,
        first,
        sum(seconds[:first]),
        1e6 * sum(timed) / (len(timed) * trainer.epoch_operations),
        row["exact_match_a"],
        row["exact_match_b"],
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    )


def _first_held(exact: list[bool]) -> int | None:
    """The epoch, from 1, that begins the first three in a row with both VAEs exact."""
    starts = range(len(exact) - _HELD + 1)
    return next((start + 1 for start in starts if all(exact[start : start + _HELD])), None)


def main() -> None:
    """Measures, prints a table, writes it with a figure and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=400, help="when a run is given up; a whole run unless given")
    parser.add_argument("--output", type=Path, help="a directory for README.md, spaces.png and spaces.json")
    options = parser.parse_args()
    if options.epochs <= 3:
        parser.error("--epochs: the first three, of small batches, are no measure; give more")
    if options.output:
        require_writable(options.output / "README.md")
    costs = []
    for values, inputs in SPACES:
        # A process each, so that memory is its own.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            costs.append(pool.submit(cost, values, inputs, options.seed, options.epochs).result())
        print(" | ".join(_row(costs[-1], costs)), flush=True)
    if options.output:
        _write(costs, options)


def _row(one: Cost, costs: list[Cost]) -> list[str]:
    default = next((each for each in costs if (each.values, each.inputs) == (3, 2)), None)
    ratio = "" if default is None else f"{one.seconds_a_million / default.seconds_a_million:.2f}"
    return [
        f"({one.values}, {one.inputs})",
        str(one.entries),
        f"{one.operations:.3g}",
        f"{one.parameters:,}",
        "not reached" if one.exact_epoch is None else str(one.exact_epoch),
        f"{one.exact_seconds:.1f}",
        f"{one.seconds_a_million:.2f}",
        ratio,
        f"{one.megabytes:,.0f}",
        f"{100 * one.exact_match_a:.2f}%, {100 * one.exact_match_b:.2f}%",
    ]


def _write(costs: list[Cost], options: argparse.Namespace) -> None:
    from ternary_vae.formats import table
    from ternary_vae.reports.figures import canvas, write_figure
    from ternary_vae.reports.panels import BLUE, VERMILION
    from ternary_vae.storage.files import write_json, write_text

    header = [
        "(values, inputs)", "Entries", "Operations", "Parameters", "Both exact from epoch", "after seconds of training",
        "Seconds a million operations", "Over (3, 2)", "Largest memory, MB", "VAE-A, VAE-B at the end",
    ]  # fmt: skip
    with canvas(1, 2, size=(10, 4)) as (figure, axes):
        left, right = axes.flat
        left.plot([one.entries for one in costs], [one.seconds_a_million for one in costs], "o", color=BLUE)
        left.set(title="Training", xlabel="entries", ylabel="seconds a million operations", ylim=(0, None))
        reached = [one for one in costs if one.exact_epoch is not None]
        right.plot([one.entries for one in reached], [one.exact_seconds for one in reached], "s", color=VERMILION)
        right.set(title="Until both VAEs are exact", xlabel="entries", ylabel="seconds of training", ylim=(0, None))
        for axis, ys, shown in ((left, "seconds_a_million", costs), (right, "exact_seconds", reached)):
            axis.set_xlim(left=0)
            for one in shown:
                # To the left where a neighbour on the right would be written over.
                crowded = any(0 < other.entries - one.entries <= 2 for other in shown)
                side: Any = {"xytext": (-5, 5), "ha": "right"} if crowded else {"xytext": (5, 1)}
                place = (one.entries, getattr(one, ys))
                axis.annotate(f"{one.values}, {one.inputs}", place, textcoords="offset points", size=7, **side)
    write_figure(figure, options.output / "spaces.png")
    write_json(options.output / "spaces.json", [asdict(one) for one in costs])
    lost = [f"({one.values}, {one.inputs})" for one in costs if one.exact_epoch is None]
    text = (
        f"# How cost grows with the entries of a truth table\n\n"
        f"The default recipe, changed for each space as `ternary-vae recipe` says; seed {options.seed}, one "
        f"thread, given up after {options.epochs} epochs. Both exact: on all operations, or on 20,000 drawn afresh "
        f"each epoch, three epochs in a row. Seconds a million operations leave out the first epochs, of small "
        f"batches.\n\n{table(header, [_row(one, costs) for one in costs])}\n\n"
        + (f"Not reached: {', '.join(lost)}.\n\n" if lost else "")
        + "![Seconds against entries](spaces.png)\n\nMade by `python benchmarks/spaces.py --output DIRECTORY`.\n"
    )
    write_text(options.output / "README.md", text)


if __name__ == "__main__":
    sys.exit(exit_code("spaces", main))
