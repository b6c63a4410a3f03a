"""Specialisation: which VAE each operation is at home in, fed with what the complementarity score measures.

One number an operation: a running mean of how much more surely VAE-A than VAE-B decodes it under the same
latent noise. The median of these numbers splits the space in two halves, and each VAE weighs its own half
more.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.operations import OPERATION_COUNT
from ternary_vae.recipe import Specialisation as Settings


class Specialisation:
    """The table and the weights that follow from it."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.table = torch.zeros(OPERATION_COUNT, device=device)

    def weights(
        self, batch: Int[Tensor, " n"], epoch: int
    ) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
        """Weights of a batch's operations in VAE-A's and VAE-B's reconstruction; None where there is
        nothing to weigh."""
        if not self.settings.strength or epoch < max(1, self.settings.start_epoch):
            return None, None
        at_home_in_a = self._home[batch]
        return 1 + self.settings.strength * at_home_in_a, 1 - self.settings.strength * at_home_in_a

    def update(self, advantage_a: Float[Tensor, "19683"]) -> None:
        """Takes one epoch's measurement of A's advantage into the running mean."""
        self.table = torch.lerp(advantage_a, self.table, self.settings.momentum)

    @property
    def table(self) -> Float[Tensor, "19683"]:
        """For every operation, the running mean of A's advantage; positive means at home in A."""
        return self._table

    @table.setter
    def table(self, table: Float[Tensor, "19683"]) -> None:
        self._table = table
        self._home = torch.sign(table - table.median())
