"""Compares an arm of one table of results (results.csv of an experiment) with an arm of another, measure by measure.

    python scripts/analysis/compare_results.py reports/experiments/on_a_gpu/results.csv reports/ten_seeds/results.csv
    python scripts/analysis/compare_results.py reports/ten_seeds/results.csv \\
        reports/experiments/options_full/results.csv --other-arm plan --paired

Where seeds do not pair, as on two kinds of device, by Welch's t-test. With --paired the same seed in both is one pair,
as in an experiment: the mean difference with its 95% interval. Each p is before correction.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from statistics import mean

from ternary_vae.errors import UserError
from ternary_vae.terminal import exit_code

_ROUNDING = 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path, help="results.csv")
    parser.add_argument("other", type=Path, help="results.csv")
    parser.add_argument("--arm", default="resolution", help="the arm of the first (default: resolution)")
    parser.add_argument("--other-arm", help="the arm of the second (default: the same)")
    parser.add_argument("--epoch", type=int, default=400, help="epoch (default: 400)")
    parser.add_argument("--paired", action="store_true", help="the same seed in both is one pair")
    options = parser.parse_args()
    one = values_of(options.one, options.arm, options.epoch)
    other = values_of(options.other, options.other_arm or options.arm, options.epoch)
    both = {measure: (one[measure], other[measure]) for measure in one if measure in other}
    if not both:
        raise UserError(
            f"{options.one} and {options.other}: no measure is in both, so that there is nothing to compare"
        )
    print_pairs(both) if options.paired else print_welch(both)


def print_welch(measures: dict[str, tuple[dict[int, float], dict[int, float]]]) -> None:
    """Means and p of every measure, whose values are given by seed."""
    from scipy.stats import ttest_ind

    tested = []
    print(f"{'measure':<36}{'mean':>10}{'of':>4}{'mean':>10}{'of':>4}{'p':>8}")
    for measure, values in measures.items():
        first, second = (list(of.values()) for of in values)
        # Of two arms that do not vary at all nothing says how much chance there is.
        varies = min(len(first), len(second)) > 1 and max(max(arm) - min(arm) for arm in (first, second)) > _ROUNDING
        p = float(ttest_ind(first, second, equal_var=False).pvalue) if varies else None
        tested += [] if p is None else [p]
        equal = max(map(max, (first, second))) - min(map(min, (first, second))) <= _ROUNDING
        shown = f"{p:.3f}" if p is not None else "equal" if equal else ""
        print(f"{measure:<36}{mean(first):>10.5f}{len(first):>4}{mean(second):>10.5f}{len(second):>4}{shown:>8}")
    _print_smallest(tested)


def print_pairs(measures: dict[str, tuple[dict[int, float], dict[int, float]]]) -> None:
    """Means of the seeds that both have, the mean difference, its 95% interval and p of every measure.

    Raises:
        UserError: no seed is in both.
    """
    from ternary_vae.experiments.statistics import compare_pairs

    tested, rows = [], []
    for measure, (first, second) in measures.items():
        seeds = [seed for seed in first if seed in second]
        if not seeds:
            continue
        pairs = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
        paired = compare_pairs(*pairs)
        summary, p = paired.summary, paired.p
        interval = "" if summary.low is None else f"{summary.low:.5f} to {summary.high:.5f}"
        tested += [] if p is None else [p]
        shown = "" if p is None else f"{p:.3f}"
        rows.append(
            f"{measure:<36}{mean(pairs[0]):>10.5f}{mean(pairs[1]):>10.5f}{len(seeds):>6}{summary.mean:>12.5f}"
            f"{interval:>24}{shown:>8}"
        )
    if not rows:
        raise UserError("no seed is in both tables, so that nothing pairs; compare them without --paired")
    print(f"{'measure':<36}{'mean':>10}{'mean':>10}{'pairs':>6}{'difference':>12}{'95% interval':>24}{'p':>8}")
    print("\n".join(rows))
    _print_smallest(tested)


def _print_smallest(tested: list[float]) -> None:
    smallest, bound = min(tested, default=1.0), 0.05 / max(1, len(tested))
    print(f"smallest of {len(tested)} p: {smallest:.3f}; for one claim to stand it must be below {bound:.4f}")


def values_of(path: Path, arm: str, epoch: int) -> dict[str, dict[int, float]]:
    """Values by seed, of every measure.

    Raises:
        UserError: no such table, or nothing of that arm and epoch in it.
    """
    from ternary_vae.storage.files import reported

    values: dict[str, dict[int, float]] = {}
    try:
        with reported("read", path), open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if (row["arm"], int(row["epoch"])) == (arm, epoch):
                    values.setdefault(row["measure"], {})[int(row["seed"])] = float(row["value"])
    except (KeyError, TypeError, ValueError, csv.Error) as damage:
        raise UserError(f"{path}: is no results.csv of an experiment ({damage!r})") from None
    if not values:
        raise UserError(f"{path}: holds nothing of arm {arm!r} at epoch {epoch}")
    return values


if __name__ == "__main__":
    sys.exit(exit_code("compare_results", main))
