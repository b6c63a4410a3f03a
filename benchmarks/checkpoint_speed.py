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
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from checkouts import print_comparison, taken_by
from ternary_vae.terminal import exit_code

KINDS = {
    "measuring": ("measuring, s", ".1f"),
    "wall": ("the command, s", ".1f"),
    "processor": ("the command, of all processors, s", ".1f"),
}

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
            taken_by(checkout, "-c", TRAINING, str(run))
        turns = [[_turn(*each) for each in zip(checkouts, runs)] for _ in range(options.turns)]
    print_comparison(checkouts, turns, KINDS)
    return 0


def _turn(checkout: Path, run: Path) -> dict[str, float]:
    checkpoint, records = run / "checkpoints" / "latest.safetensors", run / "measured"
    arguments = ["--no-cache", "--device", "cpu", "--output", str(records)]
    taken = taken_by(checkout, "-m", "ternary_vae.cli", "benchmark", str(checkpoint), *arguments)
    headers = [json.loads(path.read_text(encoding="utf-8"))["header"] for path in records.iterdir()]
    return {"measuring": sum(header["elapsed_seconds"] for header in headers), **taken}


if __name__ == "__main__":
    sys.exit(exit_code("checkpoint_speed", main))
