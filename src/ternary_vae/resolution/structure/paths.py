"""Straight lines between operations in a code: through which operations do they pass, and how evenly?"""

from __future__ import annotations

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from ternary_vae.operations import random_operations
from ternary_vae.resolution.structure.codes import Code
from ternary_vae.resolution.structure.records import Paths

PAIRS = 2_000
STEPS = 63


def paths(code: Code, generator: torch.Generator, pairs: int = PAIRS, steps: int = STEPS) -> Paths:
    """Decodes `steps` inner points of the straight line between the points of random pairs of operations."""
    space = code.space
    first, second = (random_operations(pairs, space, generator) for _ in range(2))
    start, end = code.encode(first)[:, None], code.encode(second)[:, None]
    weight = torch.arange(1, steps + 1, dtype=torch.float64) / (steps + 1)
    points = start + weight[None, :, None] * (end - start)
    answers = code.decode(points.flatten(0, 1)).unflatten(0, (pairs, steps))
    whole = torch.cat([first[:, None], answers, second[:, None]], dim=1)
    inside = (answers >= torch.minimum(first, second)[:, None]) & (answers <= torch.maximum(first, second)[:, None])
    altered = (whole[:, 1:] != whole[:, :-1]).sum(dim=-1)
    changes = altered > 0
    away, ahead = ((answers != ends[:, None]).sum(dim=-1).double() for ends in (first, second))
    progress = away / (away + ahead).clamp(min=1)
    differ = (first != second).any(dim=1)
    return Paths(
        pairs=pairs,
        steps=steps,
        between_rate=float(inside.all(dim=-1).double().mean()),
        operations_between=float(operations_between(whole).double().mean()),
        mean_hamming=float((first != second).sum(dim=1).double().mean()),
        single_entry_rate=float((altered == 1).sum() / changes.sum()) if bool(changes.any()) else 0.0,
        unevenness=float((progress - weight)[differ].abs().mean()) if bool(differ.any()) else 0.0,
    )


def operations_between(tables: Int8[Tensor, "paths points entries"]) -> Int64[Tensor, " paths"]:
    """How many different operations each path meets that are neither its first nor its last."""
    numbers = torch.unique(tables.flatten(0, 1), dim=0, return_inverse=True)[1].view(tables.shape[:2])
    besides_one = (numbers.sort(dim=1).values.diff(dim=1) != 0).sum(dim=1)
    return besides_one - (numbers[:, 0] != numbers[:, -1]).long()
