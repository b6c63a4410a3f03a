"""What the space itself sets: how much uniform draws meet on average, information, and chance."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

from ternary_vae.space import TWO_INPUT_TERNARY


def coverage_limit(draws: int, cells: int = TWO_INPUT_TERNARY.operations) -> float:
    """Expected share of `cells` equally likely cells seen at least once in `draws` independent draws:
    1 − (1 − 1/K)^N (the coupon collector). 92.12% of 19,683 at 50,000 draws, 99.38% at 100,000. Draws of no other
    distribution meet more on average; a single measurement may.

    Raises:
        ValueError: if draws is negative or cells is not positive.
    """
    _require_counts(draws, cells)
    return -math.expm1(draws * math.log1p(-1 / cells)) if cells > 1 else float(draws > 0)


def coverage_standard_deviation(draws: int, cells: int = TWO_INPUT_TERNARY.operations) -> float:
    """Exact standard deviation of the covered share in the uniform model (classical occupancy problem).

    Raises:
        ValueError: if draws is negative or cells is not positive.
    """
    _require_counts(draws, cells)
    if cells == 1 or draws < 2:
        return 0.0
    with localcontext(prec=cells.bit_length() + 30):  # of few draws from K cells 3 log10 K digits cancel
        share = 1 / Decimal(cells)
        empty, both_empty = (1 - share) ** draws, (1 - 2 * share) ** draws
        variance = share * empty * (1 - empty) + (1 - share) * (both_empty - empty**2)
        return float(variance.sqrt())


def _require_counts(draws: int, cells: int) -> None:
    if draws < 0 or cells < 1:
        raise ValueError(f"need draws ≥ 0 and cells ≥ 1, got {draws} and {cells}")


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
