"""Paired statistics: the same seed in two arms is one pair.

Differences d over n seeds have a mean and a 95% interval by Student's t (paired t test). Where all d are equal there is
no spread to judge by and t is undefined: an honest p is then that of the sign flips, 2·2⁻ⁿ, or 1 if all d are 0, and
there is no interval. Many comparisons are corrected by Holm's step-down rule, which holds the chance of a single false
claim among all of them at 5%, whatever depends on what (S. Holm, Scandinavian Journal of Statistics 6, 1979, 65–70);
measures and milestones of one run depend on each other, and a recommendation rests on single claims, not on a share of
true ones, which is what false discovery rates promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev

import numpy as np
from scipy import special

from ternary_vae.resolution.intervals import CONFIDENCE

LEVEL = 1 - CONFIDENCE
POWER = 0.8
_ROUNDINGS = 4  # each of two values, and their difference, may be rounded
_NODES, _WEIGHTS = (part / 2 + shift for part, shift in zip(np.polynomial.legendre.leggauss(400), (0.5, 0.0)))


@dataclass(frozen=True)
class Summary:
    """Values of one arm over seeds: mean and 95% interval of the mean by Student's t. `low` and `high` are None with
    fewer than two values, or where all are equal."""

    count: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """Differences of two arms over seeds.

    Attributes:
        summary: of the differences.
        p: two-sided; None with fewer than two pairs.
        detectable: the smallest true difference that an experiment with this spread and number of seeds shows with a
            power of 80% in a single test at 5%; None where there is no spread to judge by.
    """

    summary: Summary
    p: float | None
    detectable: float | None


def summarise(values: Sequence[float]) -> Summary:
    """Mean, standard deviation and interval of some values.

    Raises:
        ValueError: if there are none.
    """
    count = len(values)
    if not count:
        raise ValueError("nothing to summarise")
    if count == 1:
        return Summary(1, values[0], None, None, None)
    if len(set(values)) == 1:
        return Summary(count, values[0], 0.0, None, None)
    mean, deviation = fmean(values), stdev(values)
    # Not scipy.stats, which takes a second to import and checks its input for milliseconds: comparisons are thousands.
    half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(count)
    return Summary(count, mean, deviation, mean - half, mean + half)


def compare_pairs(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Compares two arms, pair by pair; differences are `first` less `second`. Those that are apart by no more than
    floating point has rounded are the same, else their spread would be nothing but that.

    Raises:
        ValueError: no pairs, or values without a partner.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values cannot be paired with {len(second)}")
    summary = summarise(_differences(first, second))
    if summary.deviation is None:
        return Paired(summary, None, None)
    if summary.low is None:
        return Paired(summary, 1.0 if summary.mean == 0 else min(1.0, 2 * 0.5**summary.count), None)
    statistic = summary.mean / (summary.deviation / math.sqrt(summary.count))
    p = float(2 * special.stdtr(summary.count - 1, -abs(statistic)))
    return Paired(summary, p, detectable_difference(summary.deviation, summary.count))


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """`first` less `second`, without what is rounding alone."""
    differences = [one - other for one, other in zip(first, second)]
    rounding = _ROUNDINGS * math.ulp(max((abs(value) for value in (*first, *second)), default=0.0))
    if differences and max(differences) - min(differences) <= rounding:
        middle = fmean(differences)
        return [0.0 if abs(middle) <= rounding else middle] * len(differences)
    return differences


def detectable_difference(deviation: float, count: int, level: float = LEVEL) -> float:
    """The smallest true mean difference that a paired t test over `count` pairs with this standard deviation of the
    differences finds with a power of `POWER`, two-sided at `level`.

    Raises:
        ValueError: fewer than two pairs.
    """
    if count < 2:
        raise ValueError("a single pair has no power")
    return deviation * _detectable_effect(count, level)


@cache
def _detectable_effect(count: int, level: float) -> float:
    """In standard deviations of the differences."""
    from scipy import optimize  # a quarter of a second, which only reports need

    most = 1.0
    while paired_power(most, count, level) < POWER:
        most *= 2
    return float(optimize.brentq(lambda effect: paired_power(effect, count, level) - POWER, 0.0, most))


def paired_power(effect: float, count: int, level: float = LEVEL) -> float:
    """Power of a two-sided paired t test for a true mean difference of `effect` standard deviations: the tails of the
    noncentral t distribution, as a mean of normal tails over what the sample's own deviation may be. (scipy's nct is
    not a number far out, where strict levels of few pairs lie.)"""
    critical = -float(special.stdtrit(count - 1, level / 2))
    shift = effect * math.sqrt(count)
    edge = critical * _deviations(count - 1)
    tails = special.ndtr(shift - edge) + special.ndtr(-shift - edge)
    return float((tails * _WEIGHTS).sum())


@cache
def _deviations(freedom: int) -> np.ndarray:
    """Sample deviation over true deviation at the nodes of the quadrature."""
    return np.sqrt(2 * special.gammaincinv(freedom / 2, _NODES) / freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's rule, in the same order."""
    values = np.asarray(p_values, dtype=np.float64)
    order = values.argsort()
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    return corrected.tolist()
