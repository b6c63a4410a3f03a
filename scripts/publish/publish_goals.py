"""Judges every goal on the runs of one recipe and writes the table to `reports/`.

    ternary-vae experiment ten_seeds
    ternary-vae experiment plan_ten_seeds --together 5
    python scripts/publish/publish_goals.py experiments/ten_seeds --plan experiments/plan_ten_seeds

Each run must be complete, its milestones benchmarked. With the plan's runs both recipes are set side by side,
milestone by milestone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.reports.goals import write_goals
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("experiment", type=Path, help="an experiment's directory")
    parser.add_argument("--output", type=Path, help="where to write; reports/EXPERIMENT/GOALS.md unless given")
    parser.add_argument("--plan", type=Path, help="the directory of an experiment with runs of the plan's recipe")
    arguments = parser.parse_args()
    runs = runs_of(arguments.experiment)
    plan = [] if arguments.plan is None else runs_of(arguments.plan)
    name = ExperimentDirectory(arguments.experiment).experiment().name
    plan_command = ""
    if arguments.plan is not None:
        plan_command = f"ternary-vae experiment {ExperimentDirectory(arguments.plan).experiment().name} --together 5"
    output = arguments.output or ROOT / "reports" / name / "GOALS.md"
    print(write_goals(runs, output, f"ternary-vae experiment {name}", plan, plan_command))


def runs_of(experiment: Path) -> list[Measurements]:
    """What an experiment's runs measured."""
    described = sorted((experiment / "runs").glob("*/run.json"))
    if not described:
        raise UserError(f"{experiment}: holds no runs; make them with `ternary-vae experiment NAME`")
    return [measurements_of_run(RunDirectory(path.parent)) for path in described]


if __name__ == "__main__":
    sys.exit(exit_code("publish_goals", main))
