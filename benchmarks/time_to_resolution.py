"""How long from the start of a run until both VAEs are exact everywhere and coverage is at least 98%.

    python benchmarks/time_to_resolution.py

The default recipe and the plan's, each an ordinary 400-epoch run in a fresh process, stopped as by `kill` once an epoch
meets all three: VAE-A 100%, VAE-B 100%, decoded coverage at least 98% of all operations in 100,000 prior draws. Seconds
count from the call of `train` (importing torch comes before) to the end of that epoch's measurement.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ternary_vae.storage.files import require_writable
from ternary_vae.terminal import exit_code

COVERAGE = 0.98
SECONDS = 15.0


@dataclass(frozen=True)
class Arrival:
    """When a run got there.

    Attributes:
        epoch: the first epoch that met all; None if none did within the epochs allowed.
        seconds: until then, or until the run was given up.
    """

    recipe: str
    seed: int
    epoch: int | None
    seconds: float


def main() -> int:
    """Measures, prints a table, writes JSON. Exit code 1 if `--check` is given and the aim is missed."""
    options = _options()
    arrivals = [measure(options.recipe, seed, options.epochs) for seed in options.seeds]
    arrivals += [measure(options.beside, seed, options.epochs) for seed in options.seeds[:1] if options.beside]
    print(f"both VAEs 100%, coverage at least {COVERAGE:.0%}; given up after {options.epochs} epochs\n")
    for arrival in arrivals:
        where = "never" if arrival.epoch is None else f"epoch {arrival.epoch}"
        print(f"  {arrival.recipe:<16}seed {arrival.seed:<4}{where:<12}{arrival.seconds:>8.1f} s")
    own = [arrival for arrival in arrivals if arrival.recipe == options.recipe]
    met = all(arrival.epoch is not None and arrival.seconds < SECONDS for arrival in own)
    print(f"\n  slowest seed of {options.recipe}: aim under {SECONDS:g} s, {'met' if met else 'MISSED'}")
    if options.output:
        from ternary_vae.storage.files import write_json
        from ternary_vae.storage.runs import code_version, environment

        about = {"code_version": code_version(), "environment": environment("cpu")}
        write_json(options.output, about | {"arrivals": [asdict(arrival) for arrival in arrivals], "met": met})
    return int(options.check and not met)


def measure(recipe: str, seed: int, epochs: int) -> Arrival:
    """Trains until the aim is met, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        return pool.submit(_train, recipe, seed, epochs).result()


def _train(name: str, seed: int, epochs: int) -> Arrival:
    from ternary_vae.recipe import load_recipe
    from ternary_vae.training.loop import train
    from ternary_vae.training.progress import Silent

    class Watch(Silent):
        """Asks the run to stop once an epoch has met the aim, or the last one allowed is done."""

        arrived: tuple[int, float] | None = None
        stop_requested = False

        def epoch(self, row: dict[str, Any]) -> None:
            exact = row["exact_match_a"] == row["exact_match_b"] == 1.0
            if not self.stop_requested and exact and row["coverage"] >= COVERAGE:
                self.arrived = row["epoch"], time.perf_counter()
            if not self.stop_requested and (self.arrived is not None or row["epoch"] == epochs):
                self.stop_requested = True  # once: a second signal would stop it at once
                os.kill(os.getpid(), signal.SIGTERM)

    watch = Watch()
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        recipe = load_recipe(name, seed=seed)
        train(recipe, Path(directory) / "run", device="cpu", progress=watch, benchmark_milestones=False)
        ended = time.perf_counter()
    if watch.arrived is None:
        return Arrival(name, seed, None, ended - started)
    return Arrival(name, seed, watch.arrived[0], watch.arrived[1] - started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="resolution", help="recipe by name or path")
    parser.add_argument("--beside", default="ternary_v5_5", help="recipe beside it, first seed only; empty for none")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds, the slowest counts")
    parser.add_argument("--epochs", type=int, default=150, help="epochs after which a run is given up")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the aim is missed")
    options = parser.parse_args()
    if options.output:
        require_writable(options.output)
    from ternary_vae.recipe import load_recipe

    for name in filter(None, (options.recipe, options.beside)):
        if not (space := load_recipe(name).space.as_space()).is_enumerable():
            parser.error(f"{name}: the aim is a coverage, and {space} cannot be listed; name another recipe")
    return options


if __name__ == "__main__":
    sys.exit(exit_code("time_to_resolution", main))
