"""What the space itself sets: how much uniform draws meet on average, information, and chance."""

from __future__ import annotations

import math

from ternary_vae.space import TWO_INPUT_TERNARY


def coverage_limit(draws: int, cells: int = TWO_INPUT_TERNARY.operations) -> float:
    """Expected share of `cells` equally likely cells seen at least once in `draws` independent draws:
    1 − (1 − 1/K)^N (the coupon collector). 92.12% of 19,683 at 50,000 draws, 99.38% at 100,000. Draws of no other
    distribution meet more on average; a single measurement may.

    Raises:
        ValueError: if draws is negative or cells is not positive.
    """
    if draws < 0 or cells < 1:
        raise ValueError(f"need draws ≥ 0 and cells ≥ 1, got {draws} and {cells}")
    return -math.expm1(draws * math.log1p(-1 / cells)) if cells > 1 else float(draws > 0)


def coverage_standard_deviation(draws: int, cells: int = TWO_INPUT_TERNARY.operations) -> float:
    """Exact standard deviation of the covered share in the uniform model (classical occupancy problem)."""
    if cells == 1:
        return 0.0
    empty = (1 - 1 / cells) ** draws
    both_empty = (1 - 2 / cells) ** draws
    variance = cells * empty * (1 - empty) + cells * (cells - 1) * (both_empty - empty**2)
    return math.sqrt(max(variance, 0.0)) / cells


def completion_odds(missing: int, missing_mass: float, draws: int) -> float:
    """The most that the chance can be of meeting, in `draws` more independent draws, all of `missing` cells that
    together have probability `missing_mass`: (1 − e^(−draws·mass/missing))^missing. Equal shares are the best case,
    since log(1 − e^(−x)) is concave; the draws are taken as Poisson.

    Raises:
        ValueError: if missing or draws is negative or the mass is not in [0, 1].
    """
    if missing < 0 or draws < 0 or not 0 <= missing_mass <= 1:
        raise ValueError(f"need missing ≥ 0, draws ≥ 0, 0 ≤ mass ≤ 1, got {missing}, {draws}, {missing_mass}")
    if missing == 0:
        return 1.0
    each = -math.expm1(-draws * missing_mass / missing)
    return each**missing
