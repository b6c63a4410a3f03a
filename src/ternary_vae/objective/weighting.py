"""What weighs the two VAEs against each other. Each way says two factors, VAE-A's and VAE-B's:

- λ1 and λ2 (schedules), of their whole losses;
- gradient balance, by running averages of their gradient norms, of their whole losses;
- the balance, by how often either is exact under noise, of their reconstructions.

Factors are numbers, or tensors of one number a run for several runs of equal settings.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ternary_vae.model.dual_vae import Side
from ternary_vae.recipe import GradientBalance

Number = float | Tensor
Factors = tuple[Number, Number]

_INTEGRAL_TIME = 5  # measurements
_LARGEST_LEAD = 0.03
_LARGEST_BALANCE = 0.5


def counts(weight: Number) -> bool:
    """Whether a weight is anything but the number 0."""
    return isinstance(weight, Tensor) or weight != 0


def loss_scales(norms: Float[Tensor, "2 *runs"], settings: GradientBalance) -> Factors:
    """Scales of VAE-A's and VAE-B's losses: the other's gradient norm over one's own, within bounds; 1 where
    gradient balance is switched off."""
    if not settings.enabled:
        return 1.0, 1.0
    norm_a, norm_b = norms.unbind()
    low, high = settings.scale_bounds
    return (norm_b / norm_a.clamp(min=1e-12)).clamp(low, high), (norm_a / norm_b.clamp(min=1e-12)).clamp(low, high)


def averaged_norms(
    norms: Float[Tensor, "2 *runs"],
    averages: Float[Tensor, "2 *runs"],
    settings: GradientBalance,
    out: Float[Tensor, "2 *runs"] | None = None,
) -> Float[Tensor, "2 *runs"]:
    """Exponential averages of the gradient norms, slower while their ratio is inside the open interval; `out` may be
    `averages`."""
    ratio = averages[1] / averages[0].clamp(min=1e-12)
    low, high = settings.open_interval
    balanced = (ratio > low) & (ratio < high)
    momentum = torch.where(balanced, settings.momentum_balanced, settings.momentum_unbalanced)
    return torch.lerp(norms, averages, momentum, out=out)


def reconstruction_weight(side: Side, balance: Number) -> Number:
    """What one VAE's reconstruction counts at a log-weight between the two."""
    own = balance if side == "A" else -balance
    return torch.exp(own) if isinstance(own, Tensor) else math.exp(own)


class Balance(NamedTuple):
    """The log-weight between the two reconstruction losses, positive where it is VAE-A's that counts more, and what it
    was moved by last: VAE-A's lead, by how much more often it is exact under noise."""

    weight: float = 0.0
    lead: float = 0.0

    def moved(self, lead: float | None, gain: float) -> Balance:
        """After a measurement: against the lead and, more slowly, against the sum of all leads before (a
        proportional-integral controller, in increments). The weight stays within bounds.

        Args:
            lead: VAE-A's exact-match rate under noise less VAE-B's; None where nothing was measured. How many
                operations are at home in either VAE follows from it, but is known much worse from as many decodings."""
        if not gain or lead is None:
            return self
        now = min(_LARGEST_LEAD, max(-_LARGEST_LEAD, lead))
        weight = self.weight - gain * (now - self.lead + now / _INTEGRAL_TIME)
        return Balance(min(_LARGEST_BALANCE, max(-_LARGEST_BALANCE, weight)), now)
