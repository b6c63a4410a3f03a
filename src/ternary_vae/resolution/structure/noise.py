"""How much noise a code bears, beside the limit of ideal axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int8
from torch import Tensor

from ternary_vae.resolution.isolated import decodings_an_operation, half_sigma
from ternary_vae.resolution.records import CurvePoint, ResolutionCurve
from ternary_vae.resolution.structure.codes import Code, right
from ternary_vae.resolution.structure.ideal import ideal_exact_match, ideal_half_sigma
from ternary_vae.resolution.structure.records import Noise

_STEP = 0.05


def noise(
    code: Code,
    tables: Int8[Tensor, "n entries"],
    points: Float64[Tensor, "n dimensions"],
    generator: torch.Generator,
    sigmas: Sequence[float] | None = None,
) -> Noise:
    """Exact match of points + σ·ε against σ, ε the same for every σ, `decodings_an_operation` times; and of ideal axes.
    Unless given, σ are 0 to 1, and further in a space so small that ideal axes bear more than half of that."""
    if sigmas is None:
        largest = max(1.0, 2 * ideal_half_sigma(code.space))
        sigmas = [round(_STEP * step, 2) for step in range(math.ceil(largest / _STEP - 1e-9) + 1)]
    times = decodings_an_operation(len(points))
    points, tables = points.repeat(times, 1), tables.repeat(times, 1)
    drawn = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    curve = [
        CurvePoint(sigma=sigma, exact_match_rate=right(code.decode(points + sigma * drawn), tables).exact_rate)
        for sigma in sigmas
    ]
    ideal = [CurvePoint(sigma=sigma, exact_match_rate=ideal_exact_match(code.space, sigma)) for sigma in sigmas]
    return Noise(
        measured=ResolutionCurve(points=curve, half_sigma=half_sigma(curve)),
        ideal_axes=ResolutionCurve(points=ideal, half_sigma=ideal_half_sigma(code.space)),
    )
