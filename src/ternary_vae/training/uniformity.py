"""Uniformity: every operation should have the same share of the prior in either VAE.

For each VAE and operation a running mean is kept of how often prior draws decode to it, as the evaluation counts them.
An operation with less than its fair share weighs more in that VAE's reconstruction, one with more weighs less.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.operations import OPERATION_COUNT
from ternary_vae.recipe import Uniformity as Settings


class Uniformity:
    """The table and the weights that follow from it."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.table = torch.ones(2, OPERATION_COUNT, device=device)

    def weights(self, batch: Int[Tensor, " n"]) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
        """Weights of a batch's operations in VAE-A's and VAE-B's reconstruction, 1 on average over all operations;
        None where there is nothing to weigh."""
        if not self.settings.strength:
            return None, None
        return tuple(self._weights[:, batch].unbind())

    def update(self, usage: Float[Tensor, "2 19683"]) -> None:
        """Takes one epoch's shares, 1 being a fair one, into the running mean."""
        self.table = torch.lerp(usage, self.table, self.settings.momentum)

    @property
    def table(self) -> Float[Tensor, "2 19683"]:
        """Running mean of each operation's share in A and B."""
        return self._table

    @table.setter
    def table(self, table: Float[Tensor, "2 19683"]) -> None:
        self._table = table
        low, high = self.settings.bounds
        weights = table.clamp(min=high**-2).pow(-self.settings.strength).clamp(low, high)
        self._weights = weights / weights.mean(dim=1, keepdim=True)
