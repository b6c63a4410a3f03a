"""How soon and how steadily the runs of an experiment are exact, arm by arm beside its reference: from which epoch on
both VAEs reconstruct every operation to the end, and in how many epochs after the tenth coupled decoding does not.

    python scripts/analysis/exact_epochs.py experiments/ablations

Epochs are counted as in `metrics.jsonl`; a run that does not end exact counts one more than it has. Differences from
the reference are paired by seed, their 95% intervals by Student's t.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.terminal import exit_code

_SETTLED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("experiment", type=Path, help="an experiment's directory")
    options = parser.parse_args()

    from ternary_vae.experiments.arms import arms_of, planned_runs
    from ternary_vae.experiments.directory import ExperimentDirectory

    directory = ExperimentDirectory(options.experiment)
    experiment = directory.experiment()
    counted: dict[str, dict[int, tuple[int, int]]] = {}
    for run in planned_runs(experiment, arms_of(experiment, directory.experiment_file)):
        rows = directory.run(run).metrics()
        if rows and rows[-1]["epoch"] == run.recipe.epochs:
            counted.setdefault(run.arm, {})[run.seed] = exact_from(rows), coupled_inexact(rows)
    if experiment.reference not in counted:
        raise UserError(f"{options.experiment}: no run of a reference is complete, so that there is nothing to compare")
    reference = counted[experiment.reference]
    for title, place in (("exact from epoch", 0), (f"epochs after {_SETTLED}, coupled not exact", 1)):
        print(f"{title:<36}{'worst':>7}{'mean':>8}{'more than ' + experiment.reference:>24}{'95% interval':>20}")
        for arm, by_seed in counted.items():
            values = {seed: of[place] for seed, of in by_seed.items()}
            against = {} if arm == experiment.reference else {seed: of[place] for seed, of in reference.items()}
            print(_row(arm, values, against))


def exact_from(rows: Iterable[dict[str, Any]]) -> int:
    """The epoch from which both VAEs alone are exact in every row to the last; one after it if they never are."""
    inexact = [row["epoch"] for row in rows if not _all_exact(row, "exact_match_a", "exact_match_b")]
    return max(inexact, default=0) + 1


def coupled_inexact(rows: Iterable[dict[str, Any]]) -> int:
    """Epochs after the first ones in which either VAE's coupled decoding misses an operation."""
    keys = "exact_match_coupled_a", "exact_match_coupled_b"
    return sum(row["epoch"] > _SETTLED and not _all_exact(row, *keys) for row in rows)


def _all_exact(row: dict[str, Any], *keys: str) -> bool:
    return all(row[key] in (None, 1.0) for key in keys)  # None: not measured in this epoch


def _row(arm: str, values: dict[int, int], reference: dict[int, int]) -> str:
    from ternary_vae.experiments.statistics import compare_pairs

    mean = sum(values.values()) / len(values)
    row = f"{arm:<36}{max(values.values()):>7}{mean:>8.1f}"
    seeds = [seed for seed in values if seed in reference]
    if not seeds:
        return row
    difference = compare_pairs([values[seed] for seed in seeds], [reference[seed] for seed in seeds]).summary
    interval = "" if difference.low is None else f"{difference.low:.1f} to {difference.high:.1f}"
    return f"{row}{difference.mean:>24.1f}{interval:>20}"


if __name__ == "__main__":
    sys.exit(exit_code("exact_epochs", main))
