"""Writes what runs of a space reached to `reports/RECIPE/README.md`.

    ternary-vae train --config three_inputs --seed 0 --run-dir runs/three_inputs-seed0
    python scripts/publish/publish_spaces.py runs/three_inputs-seed* --beside runs/resolution-seed0

Prior draws are decoded until 3,200 pairs are expected to coincide, but at most 80 million of each VAE: of three inputs
these are some ten minutes each, and 420 pairs, which tell a share to a twentieth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.spaces import seed_of_space, write_spaces
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="directories of completed runs of one recipe")
    parser.add_argument("--draws", type=int, help="prior draws of each VAE")
    parser.add_argument("--output", type=Path, help="where to write; reports/RECIPE/README.md unless given")
    parser.add_argument("--beside", type=Path, help="a run of the same machine, as a multiple of which time is told")
    arguments = parser.parse_args()
    directories = [RunDirectory(path) for path in arguments.runs]
    measured = [_completed(directory) for directory in directories]
    beside = None if arguments.beside is None else _completed(RunDirectory(arguments.beside))
    recipes = {run.recipe.fingerprint() for run in measured}
    if len(recipes) > 1:
        raise UserError(f"runs of {len(recipes)} recipes; name those of one")
    seeds = []
    for directory, run in zip(directories, measured):
        seeds.append(seed_of_space(directory, run, arguments.draws))
        print(f"{directory.path}: measured", flush=True)
    output = arguments.output or ROOT / "reports" / measured[0].recipe.name / "README.md"
    print(write_spaces(seeds, output, beside))


def _completed(directory: RunDirectory) -> Measurements:
    if (status := directory.facts()["status"]) != "completed":
        raise UserError(f"{directory.path}: {status}, not completed; wait for its end, or go on with resume")
    return measurements_of_run(directory)


if __name__ == "__main__":
    sys.exit(exit_code("publish_spaces", main))
