"""How much noise a code bears, beside the limit of ideal axes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int8
from torch import Tensor

from ternary_vae.resolution.isolated import half_crossing
from ternary_vae.resolution.records import CurvePoint, ResolutionCurve
from ternary_vae.resolution.structure.codes import Code, right
from ternary_vae.resolution.structure.ideal import ideal_exact_match, ideal_half_sigma
from ternary_vae.resolution.structure.records import Noise

SIGMAS = tuple(round(0.05 * step, 2) for step in range(21))


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
