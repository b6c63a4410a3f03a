"""What each direction of a code carries: active units, the entry of each axis, and the levels of each entry.

Entries of operations drawn uniformly are independent of each other, so the variance of any coordinate is the sum of
what each entry explains alone (the variance of the coordinate's mean given the entry) and of what only several entries
together explain.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int8, Int64
from torch import Tensor

from ternary_vae.operations import one_hot
from ternary_vae.resolution.structure.records import Axes, EntryLevels
from ternary_vae.space import Space

ACTIVE_VARIANCE = 0.01
"""A unit is active when its mean varies by more than that (Burda, Grosse and Salakhutdinov 2016, "Importance weighted
autoencoders", appendix)."""


def level_means(
    tables: Int8[Tensor, "n entries"], points: Float64[Tensor, "n dimensions"], space: Space
) -> Float64[Tensor, "entries values dimensions"]:
    """Mean of the code, less its mean over all, where an entry has a value. 0 where no operation has it."""
    has = one_hot(tables, space).double()
    sums = (has.T @ (points - points.mean(dim=0))) / has.sum(dim=0).clamp(min=1)[:, None]
    return sums.unflatten(0, (space.entries, space.values))


def explained(levels: Float64[Tensor, "entries values dimensions"]) -> Float64[Tensor, "entries dimensions"]:
    """Variance of each coordinate that an entry alone explains; values are equally likely."""
    return levels.square().mean(dim=1)


def explained_of_sample(
    alone: Float64[Tensor, "entries dimensions"], variance: Float64[Tensor, " dimensions"], count: int, space: Space
) -> Float64[Tensor, "entries dimensions"]:
    """What entries explain in a uniform sample of so many operations, less what they would by chance (Kelley's epsilon
    squared, 1935). All of a space stay as they are."""
    if count >= space.operations:
        return alone
    return alone - (space.values - 1) * (variance - alone) / max(1, count - space.values)


def main_directions(
    levels: Float64[Tensor, "entries values dimensions"],
) -> tuple[Float64[Tensor, "entries dimensions"], Float64[Tensor, " entries"]]:
    """The line that comes nearest to each entry's levels, as a unit vector, and the share of their variance on it."""
    _, singular, directions = torch.linalg.svd(levels, full_matrices=False)
    squares = singular.square()
    return directions[:, 0], squares[:, 0] / squares.sum(dim=1).clamp(min=torch.finfo(squares.dtype).tiny)


def level_orders(levels: Float64[Tensor, "entries values dimensions"]) -> Int64[Tensor, "entries values"]:
    """Classes of each entry in the order in which they lie on its line. Of both directions the one that comes first, so
    that 0, 1, 2 and 2, 1, 0 are the same."""
    directions, _ = main_directions(levels)
    orders = (levels @ directions[:, :, None])[..., 0].argsort(dim=1)
    backwards = orders[:, :1] > orders[:, -1:]
    return torch.where(backwards, orders.flip(1), orders)


def axes(tables: Int8[Tensor, "n entries"], points: Float64[Tensor, "n dimensions"], space: Space) -> Axes:
    """What each axis of a code carries, over operations that are all of a space or a uniform sample of it."""
    levels = level_means(tables, points, space)
    variance = points.var(dim=0, correction=0)
    alone = explained_of_sample(explained(levels), variance, len(tables), space)
    whole, none = float(variance.sum()), torch.zeros_like(variance)
    carried = torch.where(variance > 0, alone / variance, none).clamp(0, 1)
    directions, on_line = main_directions(levels)
    aligned = alone.amax(dim=1) / alone.clamp(min=0).sum(dim=1).clamp(min=torch.finfo(alone.dtype).tiny)
    angles = (directions @ directions.T).abs().fill_diagonal_(0)
    active = variance > ACTIVE_VARIANCE
    orders = level_orders(levels)
    positions = (levels @ directions[:, :, None])[..., 0].sort(dim=1).values
    return Axes(
        active_threshold=ACTIVE_VARIANCE,
        active_units=int(active.sum()),
        variances=variance.tolist(),
        carried=carried.T.tolist(),
        one_entry_share=float(carried.amax(dim=0)[active].mean()) if bool(active.any()) else 0.0,
        additive_share=min(1.0, max(0.0, float(alone.sum()) / whole)) if whole else 0.0,
        variance_an_entry=whole / space.entries,
        largest_cosine=float(angles.max()),
        entries=[
            EntryLevels(
                dimension=int(alone[entry].argmax()),
                aligned_share=min(1.0, max(0.0, float(aligned[entry]))),
                line_share=min(1.0, float(on_line[entry])),
                order=[int(place) + space.lowest for place in orders[entry]],
                levels=positions[entry].tolist(),
            )
            for entry in range(space.entries)
        ],
    )
