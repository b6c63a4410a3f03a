"""The random numbers of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import Sizes
from ternary_vae.recipe import Objective

WIDENING = (1 + 0.7**2) ** 0.5
"""z_A + ρ·z_B at ρ = 0.7 is distributed as z_A times this."""


@dataclass(frozen=True)
class Noise:
    """The random numbers of one step. `mean_noise_a` and `mean_noise_b` are added to the codes."""

    epsilon_a: Float[Tensor, "*runs n latent"]
    epsilon_b: Float[Tensor, "*runs n latent"]
    mean_noise_a: Float[Tensor, "*runs n latent"] | None = None
    mean_noise_b: Float[Tensor, "*runs n latent"] | None = None
    prior_draws: Float[Tensor, "*runs m latent"] | None = None
    subsets: Int[Tensor, "*runs subsets chosen"] | None = None


def draw_noise(
    count: int,
    settings: Objective,
    generator: torch.Generator | Sequence[torch.Generator],
    device: torch.device,
    with_prior: bool,
    sizes: Sizes = Sizes(),  # noqa: B008  (frozen)
) -> Noise:
    """Posterior noise for a batch of `count`, and prior draws when the terms on them are due. From the generators of
    several runs, each run's own, runs in front."""
    latent_dimensions = sizes.latent_dimensions
    epsilon = drawn(torch.randn, 2, count, latent_dimensions, generator=generator, device=device)
    epsilon_a, epsilon_b = epsilon.unbind(dim=-3)
    # Some rows are decoded from their means, as in use: else a decoder may trade the mean of a few operations for the
    # surroundings of others. Two thirds of these rows are the first, isolated, the others the last, mixed.
    first, last = rows_of_means(settings, count)
    epsilon[..., :first, :].zero_()
    epsilon[..., count - last :, :].zero_()
    noise_a = noise_b = None
    if settings.mean_noise:
        noise = drawn(torch.randn, 2, count, latent_dimensions, generator=generator, device=device)
        noise *= settings.mean_noise
        noise[..., first : count - last, :].zero_()
        noise_a, noise_b = noise.unbind(dim=-3)
    if not with_prior:
        return Noise(epsilon_a, epsilon_b, noise_a, noise_b)
    information = settings.prior_information
    draws = drawn(torch.randn, information.draws, latent_dimensions, generator=generator, device=device)
    draws[..., : round(information.widened_share * information.draws), :] *= WIDENING
    order = drawn(torch.rand, information.subsets, sizes.space.entries, generator=generator, device=device).argsort(
        dim=-1
    )
    return Noise(epsilon_a, epsilon_b, noise_a, noise_b, draws, order[..., : information.subset_entries])


def drawn(
    draw: Callable[..., Tensor],
    *shape: int,
    generator: torch.Generator | Sequence[torch.Generator],
    device: torch.device,
) -> Float[Tensor, "*runs ..."]:
    """Random numbers (`torch.rand` or `torch.randn`) from a generator, or from those of several runs, each its own."""
    if isinstance(generator, torch.Generator):
        return draw(*shape, generator=generator, device=device)
    return torch.stack([draw(*shape, generator=own, device=device) for own in generator])


def rows_of_means(settings: Objective, count: int) -> tuple[int, int]:
    """How many of the first rows of a batch are decoded from means, isolated, and how many of the last, mixed."""
    means = round(settings.mean_share * count)
    return means - means // 3, means // 3
