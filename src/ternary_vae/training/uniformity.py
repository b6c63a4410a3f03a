"""Uniformity: every operation should have the same share of the prior in either VAE.

For each VAE and operation a running mean is kept of how often prior draws decode to it, as the evaluation counts them.
An operation with less than its fair share weighs more in that VAE's reconstruction, one with more weighs less.

That alone leaves standing whatever pays for itself, and one operation's share is known from a few draws only. What many
operations have in common is known far better: the shares of the values of one entry, of two, of three together. These
are coefficients of the shares in the orthonormal basis of products of contrasts (as in an analysis of variance of a 3⁹
factorial design), ordered by how many entries take part. Those of low order are driven to nothing by a controller that
integrates: the logarithm of an operation's weight moves, epoch by epoch, against them.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ternary_vae.operations import ENTRIES, OPERATION_COUNT, VALUES, all_operations
from ternary_vae.recipe import Uniformity as Settings

_LARGEST_LOG_WEIGHT = 0.5
# Rows: constant, difference of the ends, middle against the ends; each of mean square 1.
_CONTRASTS = ((1.0, 1.0, 1.0), (-(1.5**0.5), 0.0, 1.5**0.5), (-(0.5**0.5), 2**0.5, -(0.5**0.5)))


class Uniformity:
    """The tables and the weights that follow from them."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self._low_orders = orders(device) <= settings.orders
        self._table = torch.ones(2, OPERATION_COUNT, device=device)
        self._steering = torch.zeros(2, OPERATION_COUNT, device=device)
        self._weigh()

    def weights(self, batch: Int[Tensor, " n"]) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
        """Weights of a batch's operations in VAE-A's and VAE-B's reconstruction, 1 on average over all operations;
        None where there is nothing to weigh."""
        if not self.settings.strength and not self.settings.orders:
            return None, None
        return tuple(self._weights[:, batch].unbind())

    def update(self, usage: Float[Tensor, "2 19683"]) -> None:
        """Takes one epoch's shares, 1 being a fair one, into the tables."""
        self._table = torch.lerp(usage, self._table, self.settings.momentum)
        if self.settings.orders:
            excess = coefficients(usage - 1) * self._low_orders
            moved = self._steering - self.settings.orders_step * from_coefficients(excess)
            self._steering = moved.clamp(-_LARGEST_LOG_WEIGHT, _LARGEST_LOG_WEIGHT)
        self._weigh()

    def tensors(self) -> dict[str, Tensor]:
        """The tables by name, for a checkpoint: each operation's running mean share in A and B, and the logarithm of
        the weight that the controller gives it."""
        return {"uniformity": self._table, "uniformity_steering": self._steering}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`.

        Raises:
            KeyError: if a table is missing.
        """
        self._table, self._steering = (tensors[name].to(self._table.device) for name in self.tensors())
        self._weigh()

    def _weigh(self) -> None:
        low, high = self.settings.bounds
        weights = self._table.clamp(min=high**-2).pow(-self.settings.strength).clamp(low, high)
        weights = weights * self._steering.exp()
        self._weights = weights / weights.mean(dim=1, keepdim=True)


def coefficients(values: Float[Tensor, "*n 19683"]) -> Float[Tensor, "*n 19683"]:
    """Coefficients of a function of the operation in the orthonormal basis of products of contrasts, one factor an
    entry: the mean over all operations of the function times each basis function. Those of `orders` 0, 1, 2 say how it
    depends on nothing, on single entries, on pairs."""
    return _transformed(values, torch.tensor(_CONTRASTS, device=values.device) / len(VALUES))


def from_coefficients(found: Float[Tensor, "*n 19683"]) -> Float[Tensor, "*n 19683"]:
    """The inverse of `coefficients`."""
    return _transformed(found, torch.tensor(_CONTRASTS, device=found.device).T)


def orders(device: torch.device) -> Int[Tensor, "19683"]:
    """How many entries take part in each basis function of `coefficients`."""
    takes_part: Bool[Tensor, "19683 9"] = all_operations(device) != VALUES[0]
    return takes_part.sum(dim=1)


def _transformed(values: Float[Tensor, "*n 19683"], factor: Float[Tensor, "3 3"]) -> Float[Tensor, "*n 19683"]:
    """The same 3 × 3 matrix applied along each of the nine entries, as a fast Fourier transform does."""
    result = values
    for _ in range(ENTRIES):
        # The last entry is transformed and becomes the first, so that after nine turns each is in its place.
        result = (result.unflatten(-1, (-1, len(VALUES))) @ factor.T).mT.flatten(-2)
    return result
