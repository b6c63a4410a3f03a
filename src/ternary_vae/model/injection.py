"""Cross-injection: how much of the other VAE's latent a decoder is given (permeability ρ)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model.linear import Linear

Mix = Literal["additive", "preserving"]


class CrossInjection(nn.Module):
    """z̃_A = (1 − ρ)·z_A + ρ·T_BA(stopgrad(z_B)), and the same with A and B exchanged.

    Plain injection (the plan) has T = identity: both codes are averaged in one basis, which pulls them
    together. Translated injection learns one map each way, so that each decoder reads the other's code in its own
    basis and the codes stay independent: linear (a square matrix), or with hidden units beside the linear map, which
    codes need whose axes have another order of values.

    Args:
        kind: "plain" (no parameters) or "translated" (with 16 latent dimensions 512 parameters, and 66 for every
            hidden unit of both).
        hidden_units: of each translation; 0 leaves it linear.

    Raises:
        ValueError: if there is no such kind, or fewer than no hidden units.
    """

    def __init__(
        self, kind: Literal["plain", "translated"] = "plain", hidden_units: int = 0, latent_dimensions: int = 16
    ) -> None:
        super().__init__()
        self.b_to_a = _translation(kind, hidden_units, latent_dimensions)
        self.a_to_b = _translation(kind, hidden_units, latent_dimensions)

    def forward(
        self,
        z_a: Float[Tensor, "*n latent"],
        z_b: Float[Tensor, "*n latent"],
        rho: float | Float[Tensor, ""] | Float[Tensor, "*#n 1"],
    ) -> tuple[Float[Tensor, "*n latent"], Float[Tensor, "*n latent"]]:
        """Mixed latents for decoders A and B. No gradient flows from one VAE into the other's encoder."""
        mixed_a = z_a + rho * (self.b_to_a(z_b.detach()) - z_a)
        mixed_b = z_b + rho * (self.a_to_b(z_a.detach()) - z_b)
        return mixed_a, mixed_b


class BentTranslation(nn.Module):
    """T(z) = W·z + V·ReLU(U·z + b): a linear map with as many bends as it has hidden units."""

    def __init__(self, hidden_units: int, latent_dimensions: int) -> None:
        super().__init__()
        self.straight = Linear(latent_dimensions, latent_dimensions, bias=False)
        self.inward = Linear(latent_dimensions, hidden_units)
        self.outward = Linear(hidden_units, latent_dimensions, bias=False)

    def forward(self, z: Float[Tensor, "*n latent"]) -> Float[Tensor, "*n latent"]:
        return self.straight(z) + self.outward(self.inward(z).relu())


def _translation(kind: Literal["plain", "translated"], hidden_units: int, latent_dimensions: int) -> nn.Module:
    if hidden_units < 0:
        raise ValueError(f"translation_units: expected at least 0, got {hidden_units}")
    if kind == "plain":
        return nn.Identity()
    if kind != "translated":
        raise ValueError(f"injection is 'plain' or 'translated', got {kind!r}")
    if hidden_units:
        return BentTranslation(hidden_units, latent_dimensions)
    return Linear(latent_dimensions, latent_dimensions, bias=False)


def mix_prior_draws(
    z_own: Float[Tensor, "n latent"], z_other: Float[Tensor, "n latent"], rho: float, mix: Mix
) -> Float[Tensor, "n latent"]:
    """Two independent prior draws mixed for the coverage benchmark.

    "additive" is the plan's z_own + ρ·z_other, which widens the prior by √(1 + ρ²); "preserving" is
    √(1 − ρ²)·z_own + ρ·z_other, distributed as the prior itself.

    Raises:
        ValueError: if ρ is outside [0, 1] or the mix is unknown.
    """
    if not 0 <= rho <= 1:
        raise ValueError(f"permeability lies in [0, 1], got {rho}")
    if mix == "additive":
        return torch.add(z_own, z_other, alpha=rho)
    if mix == "preserving":
        return (1 - rho**2) ** 0.5 * z_own + rho * z_other
    raise ValueError(f"unknown mix {mix!r}: 'additive' or 'preserving'")
