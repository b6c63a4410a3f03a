"""Makes `reports/benchmarks/`, `reports/ternary_v5_5/`, the final report and the figures in README.md from two real
400-epoch runs.

    python scripts/publish/publish_reports.py --seeds experiments/ten_seeds

Runs that are complete are not run again; a run that broke off goes on. Both together take about half an hour on two
cores.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from publish_goals import runs_of
from published import readme_table

from ternary_vae.formats import counted
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import write_reports
from ternary_vae.reports.final import write_final_report
from ternary_vae.storage.files import reported, write_bytes, write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code
from ternary_vae.training.loop import resume, train

ROOT = Path(__file__).resolve().parents[2]
FURTHER = (
    "Seed by seed it is in the [goals](ten_seeds/GOALS.md). How little data is enough, and what was tried and gained "
    "nothing, is in the [experiments](experiments/README.md)."
)
START, END = "<!-- figures: made by scripts/publish/publish_reports.py -->", "<!-- end of figures -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are or will be")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--seeds", type=Path, help="an experiment's directory, whose worst seeds the report names")
    arguments = parser.parse_args()
    seeds = [] if arguments.seeds is None else runs_of(arguments.seeds)
    own = completed_run("resolution", arguments.seed, arguments.runs)
    plan = completed_run("ternary_v5_5", arguments.seed, arguments.runs)
    publish(own, ROOT / "reports" / "benchmarks")
    publish(plan, ROOT / "reports" / "ternary_v5_5")
    write_final_report(plan, own, ROOT / "reports" / "FINAL_RESOLUTION_REPORT.md", seeds, FURTHER if seeds else "")
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    write_text(readme, f"{before}{START}\n{readme_table()}\n{END}{after}")


def completed_run(recipe_name: str, seed: int, runs: Path) -> RunDirectory:
    """The run of a recipe, trained to its end."""
    directory = RunDirectory(runs / f"{recipe_name}-seed{seed}")
    outcome = None
    if not directory.exists:
        outcome = train(load_recipe(recipe_name, seed=seed), directory)
    elif directory.facts()["status"] != "completed":
        outcome = resume(directory)
    if outcome is not None and outcome.status == "interrupted":
        print(f"stopped after {counted(outcome.epochs_completed, 'epoch')} of {recipe_name}; the same command goes on")
        sys.exit(130)
    return directory


def publish(run: RunDirectory, place: Path) -> None:
    """Copies a run's records, evolution report, figure and verdict, in place of those of an earlier one; directories
    are others'. The page stays with the run: it is 5 MB."""
    write_reports(run)
    with reported("clear", place):
        for path in place.glob("*"):
            if path.is_file():
                path.unlink()
    reports = [run.reports / name for name in ("RESOLUTION_EVOLUTION.md", "resolution_evolution.png", "verdict.json")]
    for path in [*run.benchmarks.glob("*.json"), *reports, run.recipe_file]:
        write_bytes(place / path.name, path.read_bytes())


if __name__ == "__main__":
    sys.exit(exit_code("publish_reports", main))
