"""What weighs the two VAEs against each other. Each way says two factors, VAE-A's and VAE-B's:

- λ1 and λ2 (schedules), of their whole losses;
- gradient balance, by running averages of their gradient norms, of their whole losses;
- the balance, by the operations at home in either, of their reconstructions.

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

_AVERAGED, _INTEGRAL_TIME = 5, 10  # measurements
_LARGEST_LEAD = 1.0
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
    was moved by last: the average of ln(n_A : n_B), the operations at home in either VAE, over some measurements."""

    weight: float = 0.0
    lead: float = 0.0

    def moved(self, share_a: float | None, gain: float) -> Balance:
        """After a measurement: against the lead and, more slowly, against the sum of all leads before (a
        proportional-integral controller, in increments). The weight stays within bounds.

        Args:
            share_a: n_A / (n_A + n_B); None where nothing is at home anywhere."""
        if not gain or share_a is None:
            return self
        odds = max(share_a, 1e-9) / max(1 - share_a, 1e-9)
        now = min(_LARGEST_LEAD, max(-_LARGEST_LEAD, math.log(odds)))
        lead = self.lead + (now - self.lead) / _AVERAGED
        weight = self.weight - gain * (lead - self.lead + lead / _INTEGRAL_TIME)
        return Balance(min(_LARGEST_BALANCE, max(-_LARGEST_BALANCE, weight)), lead)
