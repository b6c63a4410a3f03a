"""Trains the same runs with two checkouts on this machine and compares what they wrote, to the bit, times aside.

    git worktree add ../before aa6bfbb
    python scripts/maintenance/compare_checkouts.py ../before .

Compared are every tensor of the last checkpoint and every figure of metrics.jsonl and of the benchmark records. What
only one of the two writes is named and is no difference. Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.terminal import exit_code

RECIPES = ("resolution", "ternary_v5_5", "ternary_v5_5_adaptive_rho")
_TIMES = re.compile(r"seconds|overhead|measured_at|checkpoint_hash|code_version|recipe_fingerprint")
_MOST_LINES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=Path, help="a checkout")
    parser.add_argument("second", type=Path, help="another one")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    for checkout in (arguments.first, arguments.second):
        if not (checkout / "src" / "ternary_vae" / "__init__.py").exists():  # the installed package would be run
            raise UserError(f"{checkout}: no checkout; name a directory with src/ternary_vae")
    differences = 0
    with tempfile.TemporaryDirectory() as place:
        for recipe in arguments.recipes:
            written = [
                written_by(checkout, recipe, arguments.epochs, Path(place) / str(number) / recipe)
                for number, checkout in enumerate((arguments.first, arguments.second))
            ]
            differences += compared(recipe, *written)
    return 1 if differences else 0


def written_by(checkout: Path, recipe: str, epochs: int, run: Path) -> dict[str, Any]:
    """What a run of a checkout's code wrote, by name."""
    command = [sys.executable, "-m", "ternary_vae.cli", "train", "--config", recipe, "--run-dir", run]
    command += ["--device", "cpu", "--epochs", epochs, "--scale-phases", "--set", "cache.enabled=false"]
    command += ["--set", f"evaluation.milestones=[{epochs}]"]
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve() / "src")}
    done = subprocess.run(list(map(str, command)), env=environment, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{checkout}: {recipe} ended with exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    return dict(_all_of(run))


def _all_of(run: Path) -> Iterator[tuple[str, Any]]:
    from safetensors.numpy import load_file

    for name, tensor in load_file(run / "checkpoints" / "latest.safetensors").items():
        yield f"checkpoint: {name}", (tensor.shape, tensor.tobytes())
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield from _leaves(f"metrics, epoch {row['epoch']}", row)
    for record in sorted((run / "benchmarks").glob("*.json")):
        yield from _leaves(record.name, json.loads(record.read_text(encoding="utf-8")))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not _TIMES.search(key):
                yield from _leaves(f"{name}: {key}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(f"{name}[{number}]", inner)
    else:
        yield name, value


def compared(recipe: str, first: dict[str, Any], second: dict[str, Any]) -> int:
    """Prints how two runs compare and returns how many values differ."""
    both = first.keys() & second.keys()
    differing = sorted(name for name in both if first[name] != second[name])
    verdict = f"{len(differing):,} of {len(both):,} values differ" if differing else f"same ({len(both):,} values)"
    print(f"{recipe}: {verdict}", flush=True)
    for name in differing[:_MOST_LINES]:
        print(f"  {name}")
    for whose, names in (("first", first.keys() - both), ("second", second.keys() - both)):
        if names:
            kinds = sorted({re.sub(r"epoch \d+|\[\d+\]", "", name) for name in names})
            print(f"  only the {whose} writes {len(names):,} values: {'; '.join(kinds[:_MOST_LINES])}")
    return len(differing)


if __name__ == "__main__":
    sys.exit(exit_code("compare_checkouts", main))
