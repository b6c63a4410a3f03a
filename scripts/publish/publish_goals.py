"""Judges every goal on the runs of one recipe and writes the table to `reports/`.

    ternary-vae experiment ten_seeds
    python scripts/publish/publish_goals.py experiments/ten_seeds

Each run must be complete, its milestones benchmarked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.reports.goals import write_goals
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.storage.runs import RunDirectory

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("experiment", type=Path, help="an experiment's directory")
    parser.add_argument("--output", type=Path, help="where to write; reports/EXPERIMENT/GOALS.md unless given")
    arguments = parser.parse_args()
    found = sorted((arguments.experiment / "runs").glob("*/run.json"))
    if not found:
        raise UserError(f"{arguments.experiment}: holds no runs; make them with `ternary-vae experiment NAME`")
    runs = [measurements_of_run(RunDirectory(path.parent)) for path in found]
    output = arguments.output or ROOT / "reports" / arguments.experiment.name / "GOALS.md"
    print(write_goals(runs, output, f"ternary-vae experiment {arguments.experiment.name}"))


if __name__ == "__main__":
    try:
        main()
    except UserError as failure:
        print(failure, file=sys.stderr)
        sys.exit(2)
