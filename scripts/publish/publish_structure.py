"""Measures what the codes of runs know and writes the records and the report to `reports/structure/`.

    python scripts/publish/publish_structure.py runs/resolution-seed{0..4} runs/three_inputs-seed{0..4} \\
        --best runs/ternary_v5_5-seed{0..4}

Of runs that are named first the last checkpoint counts, of those after `--best` the best. All of them are also followed
over their milestones, without probes; those records stay in the run's `benchmarks` and are read there the next time.
With probes a checkpoint takes about 20 seconds on one core, of three inputs a minute; without a third of that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.reports.structure import by_recipe, followed, write_structure_report
from ternary_vae.resolution.records import write_record
from ternary_vae.resolution.structure.measure import measure_structure
from ternary_vae.resolution.structure.records import StructureRecord, read_structure_record
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code

OUTPUT = Path(__file__).resolve().parents[2] / "reports" / "structure"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="directories of completed runs")
    parser.add_argument("--best", type=Path, nargs="*", default=[], help="directories of runs whose best epoch counts")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write; reports/structure unless given")
    arguments = parser.parse_args()
    records, over_epochs = [], []
    for name, runs in (("latest", arguments.runs), ("best", arguments.best)):
        for run in map(RunDirectory, runs):
            record = measured(run, load_checkpoint(run.checkpoint(name)).epoch, name, probed=True)
            milestones = [measured(run, epoch) for epoch in run.recipe().benchmarked]
            write_record(arguments.output / run.path.name / f"structure_{record.header.epoch}.json", record)
            records.append(record)
            over_epochs += milestones
    seeds = " ".join(f"runs/{run.name}" for run in arguments.runs)
    best = "".join(f" runs/{run.name}" for run in arguments.best)
    command = f"python scripts/publish/publish_structure.py {seeds}{best and f' --best{best}'}"
    groups, over_runs = by_recipe(records), followed(by_recipe(over_epochs))
    for path in write_structure_report(groups, arguments.output / "README.md", command, over_runs):
        print(path)


def measured(run: RunDirectory, epoch: int, name: int | str | None = None, *, probed: bool = False) -> StructureRecord:
    """The record of one of a run's checkpoints, measured unless it has been.

    Args:
        name: of the checkpoint's file; the epoch unless given.
        probed: whether linear probes are asked for.
    """
    path = run.structure_record(epoch)
    if path.exists() and (not probed or read_structure_record(path).probes):
        return read_structure_record(path)
    record = measure_structure(load_checkpoint(run.checkpoint(epoch if name is None else name)), probed=probed)
    write_record(path, record)
    print(path, flush=True)
    return record


if __name__ == "__main__":
    sys.exit(exit_code("publish_structure", main))
