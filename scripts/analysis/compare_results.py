"""Compares two tables of results (results.csv of experiments) measure by measure where seeds do not pair, as on two
kinds of device: Welch's t-test, p before correction.

    python scripts/analysis/compare_results.py reports/experiments/on_a_gpu/results.csv reports/ten_seeds/results.csv
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from statistics import mean

from ternary_vae.errors import UserError, exit_code

_ROUNDING = 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path, help="results.csv")
    parser.add_argument("other", type=Path, help="results.csv")
    parser.add_argument("--arm", default="resolution", help="the arm of both (default: resolution)")
    parser.add_argument("--epoch", type=int, default=400, help="epoch (default: 400)")
    options = parser.parse_args()

    from scipy.stats import ttest_ind

    one, other = (values_of(path, options.arm, options.epoch) for path in (options.one, options.other))
    tested = []
    print(f"{'measure':<36}{'mean':>10}{'of':>4}{'mean':>10}{'of':>4}{'p':>8}")
    for measure in (measure for measure in one if measure in other):
        first, second = one[measure], other[measure]
        together = [*first, *second]
        varies = min(len(first), len(second)) > 1 and max(together) - min(together) > _ROUNDING
        p = float(ttest_ind(first, second, equal_var=False).pvalue) if varies else None
        tested += [] if p is None else [p]
        shown = "equal" if p is None else f"{p:.3f}"
        print(f"{measure:<36}{mean(first):>10.5f}{len(first):>4}{mean(second):>10.5f}{len(second):>4}{shown:>8}")
    smallest, bound = min(tested, default=1.0), 0.05 / max(1, len(tested))
    print(f"smallest of {len(tested)} p: {smallest:.3f}; for one claim to stand it must be below {bound:.4f}")


def values_of(path: Path, arm: str, epoch: int) -> dict[str, list[float]]:
    """Values of all seeds by measure.

    Raises:
        UserError: no such table, or nothing of that arm and epoch in it.
    """
    from ternary_vae.storage.files import reported

    values: dict[str, list[float]] = {}
    try:
        with reported("read", path), open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if (row["arm"], int(row["epoch"])) == (arm, epoch):
                    values.setdefault(row["measure"], []).append(float(row["value"]))
    except (KeyError, TypeError, ValueError) as damage:
        raise UserError(f"{path}: is no results.csv of an experiment ({damage!r})") from None
    if not values:
        raise UserError(f"{path}: holds nothing of arm {arm!r} at epoch {epoch}")
    return values


if __name__ == "__main__":
    sys.exit(exit_code("compare_results", main))
