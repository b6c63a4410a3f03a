"""Ideal axes in closed form: levels of equally likely values on a line, and the noise that they bear."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy import special

from ternary_vae.space import Space


def normal_levels(values: int) -> tuple[Float64[np.ndarray, " cuts"], Float64[np.ndarray, " values"]]:
    """The cuts of N(0, 1) into equally likely intervals, and the mean of each interval: the difference of the normal
    density at its ends times their number."""
    cuts = special.ndtri(np.arange(1, values) / values)
    ends = np.pad(np.exp(-0.5 * cuts**2) / np.sqrt(2 * np.pi), 1)
    return cuts, values * (ends[:-1] - ends[1:])


def ideal_exact_match(space: Space, sigma: float) -> float:
    """Exact match of points + σ·ε of the ideal code of an axis an entry (`codes.AxisCode`), over all operations: the
    chance that a level stays between its cuts, averaged over the values, to the power of the number of entries.

    It is the limit of codes that use an axis an entry, are spread as the prior is, and whose values prior draws meet
    equally often. Codes that mix entries, are spread wider, or are cut halfway between levels may bear more.

    Raises:
        ValueError: σ is negative.
    """
    if sigma < 0:
        raise ValueError(f"noise has a standard deviation of at least 0, got {sigma}")
    if sigma == 0:
        return 1.0
    cuts, levels = normal_levels(space.values)
    ends = special.ndtr((cuts[:, None] - levels) / sigma)
    below_upper, below_lower = ends.diagonal(), ends.diagonal(1)  # each level's own cuts
    return float((1 + below_upper.sum() - below_lower.sum()) / space.values) ** space.entries


def ideal_half_sigma(space: Space) -> float:
    """σ at which exact match of the ideal code is one half: 0.322 for three values and nine entries."""
    return ideal_sigma(space, 0.5)


def ideal_sigma(space: Space, exact_match: float) -> float:
    """σ at which exact match of the ideal code is `exact_match`, above chance and below 1: the longer a table and the
    more values it has, the smaller.

    Raises:
        ValueError: no σ from 10⁻⁶ to 100 has it.
    """
    from scipy import optimize  # a quarter of a second, which few commands need

    return float(optimize.brentq(lambda sigma: ideal_exact_match(space, sigma) - exact_match, 1e-6, 100.0))
