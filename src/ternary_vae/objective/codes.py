"""What is asked of codes alone, and how codes are mixed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ternary_vae.model import DualVAE
from ternary_vae.model.injection import CrossInjection
from ternary_vae.objective.weighting import Number

_SMALLEST_VARIANCES = 1e-12
_LARGEST_EXPONENT = 87.0
"""Beyond it exp(−x) is not a normal float32 any more, and takes forty times as long."""


def kl_divergence(
    mu: Float[Tensor, "*runs n latent"], logvar: Float[Tensor, "*runs n latent"], free_bits: float = 0.0
) -> Float[Tensor, "*runs"]:
    """KL(q(z|x) ‖ N(0, I)) in nats, summed over dimensions, averaged over the batch. A dimension counts for
    no less than `free_bits` nats, so there is no reward for going below (Kingma et al. 2016, "Improved
    variational inference with inverse autoregressive flow", appendix C.8, per sample as v5.5 does it)."""
    by_dimension = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    if free_bits:
        by_dimension = by_dimension.clamp(min=free_bits)
    return by_dimension.sum(dim=-1).mean(dim=-1)


def repulsion(z: Float[Tensor, "*runs n latent"], width: float = 0.25) -> Float[Tensor, "*runs"]:
    """Mean over ordered pairs of different latents of exp(−‖z_i − z_j‖²/width)."""
    count = z.shape[-2]
    squares = z.square().sum(dim=-1)
    distance = (squares[..., :, None] + squares[..., None, :] - 2 * z @ z.mT).clamp(min=0)
    kernel = torch.exp(-(distance / width).clamp(max=_LARGEST_EXPONENT))
    pairs = max(1, count * (count - 1))
    return (kernel.sum(dim=(-2, -1)) - kernel.diagonal(dim1=-2, dim2=-1).sum(dim=-1)) / pairs


def subspace_overlap(
    mu_a: Float[Tensor, "*runs n latent"], mu_b: Float[Tensor, "*runs n latent"]
) -> Float[Tensor, "*runs"]:
    """Cosine of the angle between the covariances of the two codes' means, tr(C_A·C_B) / √(tr C_A² · tr C_B²): 0 where
    they lie in orthogonal subspaces, 1 where both spread alike. Two codes of nine axes in sixteen dimensions share two
    at least: 2/9. The translation between the codes makes each code's basis free, so that it costs no
    reconstruction."""
    spread_a, spread_b = covariance(mu_a), covariance(mu_b)
    squares = spread_a.square().sum(dim=(-2, -1)) * spread_b.square().sum(dim=(-2, -1))
    # A root of 0 has no gradient.
    root = squares.clamp(min=_SMALLEST_VARIANCES**2).sqrt()
    return (spread_a * spread_b).sum(dim=(-2, -1)) / (root + _SMALLEST_VARIANCES)


def covariance(mu: Float[Tensor, "*runs n latent"]) -> Float[Tensor, "*runs latent latent"]:
    """Of a batch's means, without Bessel's correction."""
    centred = mu - mu.mean(dim=-2, keepdim=True)
    return centred.mT @ centred / mu.shape[-2]


def translation_error(
    injection: CrossInjection,
    z_a: Float[Tensor, "*runs n latent"],
    z_b: Float[Tensor, "*runs n latent"],
    mu_a: Float[Tensor, "*runs n latent"],
    mu_b: Float[Tensor, "*runs n latent"],
) -> Float[Tensor, "*runs"]:
    """‖T_BA(z_B) − μ_A‖² + ‖T_AB(z_A) − μ_B‖², averaged over the batch: how far a translated code is from the one that
    it is translated into (a learned map bridges the latents of two generative models: Tian and Engel 2019, "Latent
    translation"). The gradient is the translations' alone. Without this term they need not be translations: a decoder
    learns another code for them beside its own, and reads neither beyond the ρ that it has met."""
    from_b = injection.b_to_a(z_b.detach()) - mu_a.detach()
    from_a = injection.a_to_b(z_a.detach()) - mu_b.detach()
    return (from_b.square() + from_a.square()).sum(dim=-1).mean(dim=-1)


def inject(
    model: DualVAE,
    z_a: Float[Tensor, "*runs n latent"],
    z_b: Float[Tensor, "*runs n latent"],
    rho: Number,
    isolated_share: float,
) -> tuple[Float[Tensor, "*runs n latent"], Float[Tensor, "*runs n latent"]]:
    """Cross-injection with the first `isolated_share` of the rows left unmixed."""
    isolated = round(isolated_share * z_a.shape[-2])
    if not isolated:
        return model.injection(z_a, z_b, rho)
    (own_a, rest_a), (own_b, rest_b) = (z.tensor_split([isolated], dim=-2) for z in (z_a, z_b))
    mixed_a, mixed_b = model.injection(rest_a, rest_b, rho)
    return torch.cat([own_a, mixed_a], dim=-2), torch.cat([own_b, mixed_b], dim=-2)
