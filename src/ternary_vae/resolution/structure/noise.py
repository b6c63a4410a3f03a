"""How much noise a code bears, beside the limit of ideal axes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int8
from scipy import optimize, special
from torch import Tensor

from ternary_vae.resolution.isolated import half_crossing
from ternary_vae.resolution.records import CurvePoint, ResolutionCurve
from ternary_vae.resolution.structure.codes import Code, normal_levels, right
from ternary_vae.resolution.structure.records import Noise
from ternary_vae.space import Space

SIGMAS = tuple(round(0.05 * step, 2) for step in range(21))


def ideal_exact_match(space: Space, sigma: float) -> float:
    """Exact match of points + σ·ε of the ideal code of an axis an entry (`codes.AxisCode`), over all operations: the
    chance that a level stays between its cuts, averaged over the values, to the power of the number of entries.

    It is the limit of codes that use an axis an entry and are spread as the prior is. Codes that mix entries, or that
    are spread wider, may bear more.

    Raises:
        ValueError: σ is negative.
    """
    if sigma < 0:
        raise ValueError(f"noise has a standard deviation of at least 0, got {sigma}")
    if sigma == 0:
        return 1.0
    cuts, levels = (part.numpy() for part in normal_levels(space.values))
    ends = special.ndtr((cuts[:, None] - levels) / sigma)
    below_upper, below_lower = ends.diagonal(), ends.diagonal(1)  # each level's own cuts
    return float((1 + below_upper.sum() - below_lower.sum()) / space.values) ** space.entries


def ideal_half_sigma(space: Space) -> float:
    """σ at which exact match of the ideal code is one half: 0.322 for three values and nine entries."""
    return float(optimize.brentq(lambda sigma: ideal_exact_match(space, sigma) - 0.5, 1e-6, 100.0))


def noise(
    code: Code,
    tables: Int8[Tensor, "n entries"],
    points: Float64[Tensor, "n dimensions"],
    generator: torch.Generator,
    sigmas: Sequence[float] = SIGMAS,
) -> Noise:
    """Exact match of points + σ·ε against σ, one ε an operation, the same for every σ; and of ideal axes."""
    drawn = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    curve = [
        CurvePoint(sigma=sigma, exact_match_rate=right(code.decode(points + sigma * drawn), tables)[1])
        for sigma in sigmas
    ]
    ideal = [CurvePoint(sigma=sigma, exact_match_rate=ideal_exact_match(code.space, sigma)) for sigma in sigmas]
    return Noise(
        measured=ResolutionCurve(points=curve, half_sigma=half_crossing(curve)),
        ideal_axes=ResolutionCurve(points=ideal, half_sigma=ideal_half_sigma(code.space)),
    )
