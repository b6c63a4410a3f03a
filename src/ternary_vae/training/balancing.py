"""What keeps the two VAEs of a run in balance: scales of their losses, running averages of their gradient norms, and
the weight between their reconstructions.

VAE-A and VAE-B stand in the first dimension; behind it may stand one for several runs of equal settings.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ternary_vae.recipe import GradientBalance
from ternary_vae.resolution.complementarity import NoiseOutcome, home_under_noise

_HOMES_BEFOREHAND = 5.0
_LARGEST_BALANCE = 0.5


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


def moved_balance(balance: Float[Tensor, ""], outcome: NoiseOutcome, step: float) -> Float[Tensor, ""]:
    """The log-weight between the two reconstruction losses, moved by at most `step` towards the VAE that fewer
    operations are at home in."""
    lead = log_ratio_of_homes(outcome).clamp(-1.0, 1.0)
    return (balance - step * lead).clamp(-_LARGEST_BALANCE, _LARGEST_BALANCE)


def log_ratio_of_homes(outcome: NoiseOutcome) -> Float[Tensor, ""]:
    """ln(n_A : n_B) over the operations of one measurement, by significance. Five are added to either, so that few
    operations say little."""
    home = home_under_noise(outcome)
    return torch.log(((home > 0).sum() + _HOMES_BEFOREHAND) / ((home < 0).sum() + _HOMES_BEFOREHAND))
