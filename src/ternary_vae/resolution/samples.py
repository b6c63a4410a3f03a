"""What a model's draws reach, whatever made them: truth tables in, figures beside their limits out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from ternary_vae.descriptions import Section
from ternary_vae.errors import UserError
from ternary_vae.operations import operation_index
from ternary_vae.resolution.coverage import coverage_record
from ternary_vae.resolution.records import Coverage, Uniformity
from ternary_vae.resolution.statistics import entropy_bits
from ternary_vae.resolution.uniformity import uniformity_of_counts
from ternary_vae.space import TWO_INPUT_TERNARY, Space


class SampleMeasures(Section):
    """Draws of one model, measured as a VAE's prior draws are."""

    coverage: Coverage | None
    """Of each part of the draws, with an interval over the parts; null where operations cannot be listed."""
    entropy_bits: float | None
    """Of the distribution that was drawn from, at most log2 of all operations; null where they cannot be listed."""
    uniformity: Uniformity


def measure_samples(
    tables: Shaped[Tensor, "*draws entries"] | Shaped[np.ndarray, "*draws entries"] | Sequence[Sequence[int]],
    space: Space = TWO_INPUT_TERNARY,
    parts: int = 8,
) -> SampleMeasures:
    """Coverage, entropy and uniformity of truth tables that any model has drawn independently.

    Args:
        tables: of the space's values, such as −1, 0 and 1, in the order in which they were drawn.
        parts: equal ones into which the draws are cut. Coverage is of one part's draws, in the mean over parts; 400,000
            draws in eight parts are compared with the coverage of one VAE alone, which is of 50,000.

    Raises:
        UserError: what is no truth table of the space, a space of more than 2^63 operations, fewer than two parts, or
            draws that cannot be cut into so many parts of two or more.
    """
    try:
        given = torch.as_tensor(tables)
        indices = operation_index(given, space)
    except (TypeError, ValueError) as failure:  # what is no numbers, and rows of different lengths, among them
        raise UserError(f"{failure}") from None
    draws, left = divmod(indices.numel(), max(parts, 1))
    if indices.ndim != 1 or parts < 2 or draws < 2 or left:
        raise UserError(
            f"tables of shape {tuple(given.shape)} in {parts} parts: expected a row a draw, in two parts or more of as "
            "many draws, at least two"
        )
    met, counts = indices.unique(return_counts=True)
    coverage = bits = None
    if space.is_enumerable():
        reached = [len(part.unique()) for part in indices.split(draws)]
        coverage = coverage_record(reached, draws, space.operations)
        bits = min(space.bits, entropy_bits(counts))
    return SampleMeasures(coverage=coverage, entropy_bits=bits, uniformity=uniformity_of_counts(met, counts, space))
