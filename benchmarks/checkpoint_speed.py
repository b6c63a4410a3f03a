"""Both benchmarks of a checkpoint with the code of two checkouts in turn.

    git worktree add ../before aa6bfbb
    python benchmarks/checkpoint_speed.py ../before .

Each checkout measures a checkpoint of its own, of two epochs of the plan's recipe, by `ternary-vae benchmark` without a
cache, in a fresh process. Counted are the seconds that the records give, without start-up, and those of the whole
command: of the wall, and of all processors.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.formats import counted
from ternary_vae.terminal import exit_code

KINDS = {"measuring": "measuring", "wall": "the command", "processor": "the command, of all processors"}

TRAINING = """
import sys
from ternary_vae import load_recipe, train
recipe = load_recipe("ternary_v5_5").model_copy(update={"epochs": 2})
train(recipe, sys.argv[1], device="cpu", benchmark_milestones=False)
"""


def main() -> int:
    """Measures and prints a table; ratios are of the second checkout to the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="a checkout")
    parser.add_argument("second", type=Path, help="another one")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured, in turn (default: 3)")
    options = parser.parse_args()
    checkouts = (options.first, options.second)
    with TemporaryDirectory() as place:
        runs = [Path(place) / name for name in ("first", "second")]
        for checkout, run in zip(checkouts, runs):
            seconds_of(checkout, "-c", TRAINING, str(run))
        turns = [[_turn(*each) for each in zip(checkouts, runs)] for _ in range(options.turns)]
    print(f"| seconds | {' | '.join(KINDS.values())} |\n| --- | ---: | ---: | ---: |")
    for number, checkout in enumerate(checkouts):
        print(f"| {_commit(checkout)} | {' | '.join(f'{_median(turns, number, kind):.1f}' for kind in KINDS)} |")
    ratios = {kind: [second[kind] / first[kind] for first, second in turns] for kind in KINDS}
    print(f"| times | {' | '.join(f'{statistics.median(each):.2f}' for each in ratios.values())} |")
    most = " | ".join(f"{max(each):.2f}" for each in ratios.values())
    print(f"| most of {counted(options.turns, 'turn')} | {most} |")
    return 0


def _turn(checkout: Path, run: Path) -> dict[str, float]:
    checkpoint, records = run / "checkpoints" / "latest.safetensors", run / "measured"
    arguments = ["--no-cache", "--device", "cpu", "--output", str(records)]
    seconds = seconds_of(checkout, "-m", "ternary_vae.cli", "benchmark", str(checkpoint), *arguments)
    headers = [json.loads(path.read_text(encoding="utf-8"))["header"] for path in records.iterdir()]
    return {"measuring": sum(header["elapsed_seconds"] for header in headers), **seconds}


def seconds_of(checkout: Path, *command: str) -> dict[str, float]:
    """What Python takes for a command with a checkout's code.

    Raises:
        UserError: no checkout, or the command failed.
    """
    if not (checkout / "src" / "ternary_vae" / "__init__.py").exists():  # the installed package would be run
        raise UserError(f"{checkout}: no checkout; name a directory with src/ternary_vae")
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve() / "src")}
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *command], env=environment, cwd=checkout, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise UserError(f"{checkout}: python ended with exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    processor = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return {"wall": time.perf_counter() - clock, "processor": processor}


def _median(turns: list[Any], number: int, kind: str) -> float:
    return statistics.median(turn[number][kind] for turn in turns)


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or str(checkout)


if __name__ == "__main__":
    sys.exit(exit_code("checkpoint_speed", main))
