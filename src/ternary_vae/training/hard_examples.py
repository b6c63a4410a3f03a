"""Hard examples: operations that a VAE does not reconstruct exactly, or barely, found by the evaluation of all.

Where nearly everything is exact, a few operations are given up for the surroundings of their neighbours: they lie
between many, their own share of a batch is small, and what their neighbours gain is more. Since the space is evaluated
as a whole after every epoch, it is known which they are; they weigh more until they are exact again, by a lead that
one epoch does not undo, and for a while after. As in boosting (Freund and Schapire 1997, "A decision-theoretic
generalization of on-line learning and an application to boosting"), errors multiply an example's weight.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ternary_vae.operations import OPERATION_COUNT
from ternary_vae.recipe import HardExamples as Settings


class HardExamples:
    """The logarithms of the weights, for VAE-A and VAE-B.

    Args:
        training: indices of the operations that are trained on. The others are judged, never learned from: their errors
            change no weight.
    """

    def __init__(self, settings: Settings, training: Int[Tensor, " m"]) -> None:
        self.settings = settings
        self._trained = torch.zeros(OPERATION_COUNT, dtype=torch.bool, device=training.device)
        self._trained[training] = True
        self.table = torch.zeros(2, OPERATION_COUNT, device=training.device)

    def weights(self, batch: Int[Tensor, " n"]) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
        """Weights of a batch's operations in VAE-A's and VAE-B's reconstruction, 1 on average over those trained on;
        None where there is nothing to weigh."""
        if not self.settings.step:
            return None, None
        return tuple(self._weights[:, batch].unbind())

    def update(self, hard: Bool[Tensor, "2 19683"], epoch: int) -> None:
        """Takes in what was hard for A and B, alone or coupled, after so many epochs."""
        if not self.settings.step or epoch < self.settings.start_epoch:
            return
        table = self.settings.momentum * self.table + self.settings.step * (hard & self._trained)
        self.table = table.clamp(max=math.log(self.settings.bound))

    @property
    def table(self) -> Float[Tensor, "2 19683"]:
        """Logarithm of every operation's weight, before they are divided by their mean."""
        return self._table

    @table.setter
    def table(self, table: Float[Tensor, "2 19683"]) -> None:
        self._table = table
        weights = table.exp()
        mean = (weights * self._trained).sum(dim=1, keepdim=True) / self._trained.sum()
        self._weights = weights / mean
