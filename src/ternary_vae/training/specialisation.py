"""Homes: which VAE represents each operation better, fed with what the complementarity score measures.

For each operation the outcomes of its last measurement are kept: in how many decodings under the same latent noise
VAE-A alone and VAE-B alone were exact. The median lead splits the space in two halves, and each VAE weighs its own
half more. The numbers that a significance test gives to either are what balancing acts on.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.operations import OPERATION_COUNT
from ternary_vae.recipe import Specialisation as Settings
from ternary_vae.resolution.complementarity import NoiseOutcome, home_under_noise

_HOMES_BEFOREHAND = 5.0


class Specialisation:
    """The table and the weights that follow from it."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.table = torch.zeros(2, OPERATION_COUNT, dtype=torch.int32, device=device)

    def weights(
        self, batch: Int[Tensor, " n"], epoch: int
    ) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
        """Weights of a batch's operations in VAE-A's and VAE-B's reconstruction; None where there is
        nothing to weigh."""
        if not self.settings.strength or epoch < max(1, self.settings.start_epoch):
            return None, None
        at_home_in_a = self._home[batch]
        return 1 + self.settings.strength * at_home_in_a, 1 - self.settings.strength * at_home_in_a

    def update(self, operations: Int[Tensor, " n"], outcome: NoiseOutcome) -> None:
        """Takes the measurement of some operations in place of their last one; without strength nothing is kept."""
        if not self.settings.strength:
            return
        table = self.table.clone()
        table[:, operations] = torch.stack([outcome.only_a, outcome.only_b]).to(table.dtype)
        self.table = table

    @property
    def table(self) -> Int[Tensor, "2 19683"]:
        """For every operation, in how many of its last draws A alone and B alone were exact."""
        return self._table

    @table.setter
    def table(self, table: Int[Tensor, "2 19683"]) -> None:
        self._table = table
        lead = table[0] - table[1]
        self._home = torch.sign(lead - lead.median()).float()


def log_ratio_of_homes(outcome: NoiseOutcome) -> Float[Tensor, ""]:
    """ln(n_A : n_B) over the operations of one measurement, by significance. Five are added to either, so that few
    operations say little."""
    home = home_under_noise(outcome)
    return torch.log(((home > 0).sum() + _HOMES_BEFOREHAND) / ((home < 0).sum() + _HOMES_BEFOREHAND))
