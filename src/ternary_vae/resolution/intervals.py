"""Exact 95% intervals of what was counted on a sample. scipy comes with the first: tables of figures need none."""

from __future__ import annotations

from typing import NamedTuple

CONFIDENCE = 0.95


class Bounds(NamedTuple):
    """Where an interval begins and ends; `high` is None where nothing says how far it reaches."""

    low: float
    high: float | None


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """Exact interval of a binomial share (Clopper and Pearson 1934). Where all trials succeed, or none, it is
    one-sided, with all of the error on the side where it can be: 100,000 of 100,000 are at least 99.997%. So either
    bound holds with 95% confidence; both together, next to 0 and 1, with 92.5% at least."""
    from scipy import special

    tail = (1 - CONFIDENCE) / (1 if successes in (0, trials) else 2)
    low = float(special.betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high


def poisson_interval(count: int, dispersion: float = 1.0) -> tuple[float, float]:
    """Exact interval of the mean of a Poisson number (Garwood 1936). Where the variance is `dispersion` times the mean,
    an approximate one: as of a Poisson number of `count / dispersion`, so many times as much."""
    from scipy import special

    tail, units = (1 - CONFIDENCE) / 2, count / dispersion
    low = float(special.gammaincinv(units, tail)) if count else 0.0
    return dispersion * low, dispersion * float(special.gammaincinv(units + 1, 1 - tail))


def smaller_over_larger(first: int, second: int) -> Bounds:
    """Interval of the ratio of two shares, the smaller over the larger, of which so many were counted: as
    `clopper_pearson` has that of the first in both. Near 1 it reaches 1, since either may be the larger."""
    low, high = clopper_pearson(first, first + second)
    ratios = [min(end, 1 - end) / max(end, 1 - end) for end in (low, high)]
    return Bounds(min(ratios), 1.0 if low <= 0.5 <= high else max(ratios))
