"""What keeps the two VAEs of a run in balance from step to step: scales of their losses, running averages of their
gradient norms, and the weight between their reconstructions.

VAE-A and VAE-B stand in the first dimension; behind it may stand one for several runs of equal settings.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ternary_vae.recipe import GradientBalance, Objective

_BALANCE_MOMENTUM = 0.98
_BALANCE_RATE = 0.01


def loss_scales(
    norms: Float[Tensor, "2 *runs"], settings: GradientBalance
) -> tuple[float | Float[Tensor, " *runs"], float | Float[Tensor, " *runs"]]:
    """Scales of VAE-A's and VAE-B's losses: the other's gradient norm over one's own, within bounds; 1 where
    gradient balance is switched off."""
    if not settings.enabled:
        return 1.0, 1.0
    norm_a, norm_b = norms.unbind()
    low, high = settings.scale_bounds
    return (norm_b / norm_a.clamp(min=1e-12)).clamp(low, high), (norm_a / norm_b.clamp(min=1e-12)).clamp(low, high)


def averaged_norms(
    norms: Float[Tensor, "2 *runs"], averages: Float[Tensor, "2 *runs"], settings: GradientBalance
) -> Float[Tensor, "2 *runs"]:
    """Exponential averages of the gradient norms, slower while their ratio is inside the open interval."""
    ratio = averages[1] / averages[0].clamp(min=1e-12)
    low, high = settings.open_interval
    balanced = (ratio > low) & (ratio < high)
    momentum = torch.where(balanced, settings.momentum_balanced, settings.momentum_unbalanced)
    return torch.lerp(norms, averages, momentum)


def moved_balance(
    balance: Float[Tensor, " *runs"],
    losses: Float[Tensor, "2 *runs"],
    averages: Float[Tensor, "2 *runs"],
    settings: Objective,
) -> tuple[Float[Tensor, " *runs"], Float[Tensor, "2 *runs"]]:
    """The log-weight between the two reconstruction losses, moved towards the VAE that is behind, and the running
    averages of these losses."""
    averages = torch.lerp(losses, averages, _BALANCE_MOMENTUM)
    behind_a, behind_b = averages.unbind()
    difference = (behind_a - behind_b) / (behind_a + behind_b).clamp(min=1e-12)
    bound = settings.balancing_bound
    step = _BALANCE_RATE * settings.balancing
    return (balance + step * difference).clamp(-bound, bound), averages
