"""How fast an epoch is: ours, a textbook loop's, and the floor, on this machine in one run.

    python benchmarks/epoch_speed.py

Ours is an epoch of a recipe as a run goes through it: trained while the one before is measured, logged and saved;
several are timed together. The textbook loop trains the same networks on as many operations and counts coverage in its
own way (`textbook_loop.py`). The floor is the matrix products of our epoch and nothing else, at the recipe's precision
and in float32 (`matrix_floor.py`). They take turns, each in its own process, so that a machine that slows down slows
all; ratios are taken within a turn, and medians over turns are reported. Before them, a short real run gives the pace
with everything written down, and peak memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from systems import SYSTEMS, System, Turn
from ternary_vae.storage.files import require_writable
from ternary_vae.terminal import exit_code
from whole_run import SHORTEST_RUN, WholeRun, measure_run

TIMES_THE_TEXTBOOK = 8.0
TIMES_THE_FLOOR = 2.5
SECONDS_A_RUN = 240.0
PEAK_BYTES = 2**30


def main() -> int:
    """Measures, prints a table, writes JSON. Exit code 1 if `--check` is given and an aim is missed."""
    options = _options()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    run = None
    if options.run_epochs:
        run = measure_run(options.recipe, options.run_epochs, options.threads, options.benchmarks)
    report = _report(options, _turns(options), run) | {"load_average_before": busy}
    for line in _table(report):
        print(line)
    if options.output:
        from ternary_vae.storage.files import write_json

        write_json(options.output, report)
        print(f"\nwritten: {options.output}")
    return int(options.check and not all(aim["met"] for aim in report["aims"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="resolution", help="recipe by name or path")
    parser.add_argument("--repeats", type=int, default=7, help="turns measured, after one to warm up")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice unless given")
    parser.add_argument("--run-epochs", type=int, default=20, help="length of the real run; 0 leaves it out")
    parser.add_argument("--benchmarks", action="store_true", help="benchmark milestones in the real run")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--check", action="store_true", help="exit with 1 if an aim is missed")
    options = parser.parse_args()
    if options.output:
        require_writable(options.output)
    if 0 < options.run_epochs < SHORTEST_RUN:
        parser.error(f"--run-epochs {options.run_epochs}: expected 0, or at least {SHORTEST_RUN} to see a pace")
    from ternary_vae.recipe import load_recipe
    from ternary_vae.space import TWO_INPUT_TERNARY

    recipe = load_recipe(options.recipe)
    if recipe.space.as_space() != TWO_INPUT_TERNARY or recipe.data.epoch_operations is not None:
        parser.error(
            f"{options.recipe}: the loops beside it train on all operations of {TWO_INPUT_TERNARY} once an epoch; name "
            "a recipe of that space without data.epoch_operations"
        )
    return options


def _turns(options: argparse.Namespace) -> list[dict[str, Turn]]:
    """What each system took, a turn after another; the turn to warm up is left out."""
    systems = [System(name, options.recipe, options.threads) for name in SYSTEMS]
    try:
        turns = [{system.name: system.epoch() for system in systems} for _ in range(options.repeats + 1)]
    finally:
        for system in systems:
            system.close()
    return turns[1:]


def _report(options: argparse.Namespace, turns: list[dict[str, Turn]], run: WholeRun | None) -> dict[str, Any]:
    import torch

    from matrix_floor import MatrixFloor
    from ternary_vae.recipe import load_recipe
    from ternary_vae.storage.runs import code_version, environment

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    report = {
        "recipe": recipe.name,
        "recipe_fingerprint": recipe.fingerprint(),
        "matrix_precision": recipe.optimizer.matrix_products,
        "code_version": code_version(),
        "environment": environment("cpu"),
        "turns": [{name: asdict(turn[name]) for name in SYSTEMS} for turn in turns],
        "median_seconds": {
            name: {part: statistics.median(turn[name].parts[part] for turn in turns) for part in turns[0][name].parts}
            | {"epoch": statistics.median(turn[name].seconds for turn in turns)}
            for name in SYSTEMS
        },
        "floor_gflop_an_epoch": MatrixFloor(recipe).operations() / 1e9,
        "times_faster_than_textbook": _ratios(turns, "textbook", "ours"),
        "times_the_floor": _ratios(turns, "ours", "floor"),
        "times_the_float32_floor": _ratios(turns, "ours", "float32 floor"),
        "real_run": None if run is None else asdict(run),
    }
    return {**report, "aims": _aims(report, recipe.epochs, run)}


def _ratios(turns: list[dict[str, Turn]], numerator: str, denominator: str) -> dict[str, float]:
    values = [turn[numerator].seconds / turn[denominator].seconds for turn in turns]
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def _aims(report: dict[str, Any], epochs: int, run: WholeRun | None) -> list[dict[str, Any]]:
    textbook = report["times_faster_than_textbook"]["median"]
    floor = report["times_the_floor"]["median"]
    rows = [
        ("times faster than the textbook loop", textbook, TIMES_THE_TEXTBOOK, textbook >= TIMES_THE_TEXTBOOK),
        ("times the floor", floor, TIMES_THE_FLOOR, floor <= TIMES_THE_FLOOR),
    ]
    if run is not None:
        whole, mebibytes = run.seconds_for(epochs), run.peak_bytes / 2**20
        pace = f"seconds for {epochs} epochs at the real run's pace"
        rows.append((pace, whole, SECONDS_A_RUN, whole < SECONDS_A_RUN))
        rows.append(("peak memory of the real run, MiB", mebibytes, PEAK_BYTES / 2**20, run.peak_bytes < PEAK_BYTES))
    return [dict(zip(("name", "value", "aim", "met"), row)) for row in rows]


def _table(report: dict[str, Any]) -> list[str]:
    where, median = report["environment"], report["median_seconds"]
    lines = [
        f"recipe {report['recipe']}, matrix products at {report['matrix_precision']} precision, "
        f"torch {where['torch']}, {where['threads']} threads, median of {len(report['turns'])} turns",
        "",
    ]
    for system, parts in median.items():
        lines += [f"  {f'{system}, {part}':<30}{seconds:>9.3f} s" for part, seconds in parts.items()]
        lines.append("")
    rate = report["floor_gflop_an_epoch"] / median["floor"]["epoch"]
    lines += [
        f"  the floor multiplies at {rate:.0f} GFLOP/s",
        f"  {'times the floor in float32':<46}{report['times_the_float32_floor']['median']:>9.2f}",
        "",
    ]
    busy = report["load_average_before"]
    if busy is not None and busy > 0.5:
        lines += [f"  The machine was busy (load average {busy:.1f} before the start): measure again.", ""]
    lines += [
        f"  {aim['name']:<46}{aim['value']:>9.2f}   aim {aim['aim']:g}, {'met' if aim['met'] else 'MISSED'}"
        for aim in report["aims"]
    ]
    return lines


if __name__ == "__main__":
    sys.exit(exit_code("epoch_speed", main))
