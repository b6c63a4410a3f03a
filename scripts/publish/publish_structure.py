"""Measures what the codes of runs know and writes the records and the report to `reports/structure/`.

    python scripts/publish/publish_structure.py runs/resolution-seed{0..4} --best runs/ternary_v5_5-seed42

Of runs that are named first the last checkpoint counts, of those after `--best` the best. About 15 seconds a run on one
core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.errors import exit_code
from ternary_vae.reports.structure import by_recipe, write_structure_report
from ternary_vae.resolution.records import write_record
from ternary_vae.resolution.structure.measure import measure_structure
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.runs import RunDirectory

OUTPUT = Path(__file__).resolve().parents[2] / "reports" / "structure"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="directories of completed runs")
    parser.add_argument("--best", type=Path, nargs="*", default=[], help="directories of runs whose best epoch counts")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write; reports/structure unless given")
    arguments = parser.parse_args()
    records = []
    for name, runs in (("latest", arguments.runs), ("best", arguments.best)):
        for run in runs:
            record = measure_structure(load_checkpoint(RunDirectory(run).checkpoint(name)))
            write_record(arguments.output / run.name / f"structure_{record.header.epoch}.json", record)
            records.append(record)
    seeds = " ".join(f"runs/{run.name}" for run in arguments.runs)
    best = "".join(f" runs/{run.name}" for run in arguments.best)
    command = f"python scripts/publish/publish_structure.py {seeds}{best and f' --best{best}'}"
    for path in write_structure_report(by_recipe(records), arguments.output / "README.md", command):
        print(path)


if __name__ == "__main__":
    sys.exit(exit_code("publish_structure", main))
