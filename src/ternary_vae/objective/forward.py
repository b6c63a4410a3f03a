"""One batch on its way through both VAEs: what the terms of the objective are told. Whatever several terms need is
computed once, when the first of them asks.

Tensors are one run's or, stacked in front, those of several runs ("*runs").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.model.dual_vae import Side
from ternary_vae.model.networks import Encoder
from ternary_vae.objective.codes import inject, kl_divergence
from ternary_vae.objective.information import prior_entropies
from ternary_vae.objective.likelihood import class_log_probability
from ternary_vae.objective.noise import Noise, rows_of_means
from ternary_vae.objective.weighting import Factors, Number, counts
from ternary_vae.recipe import Objective


@dataclass(frozen=True)
class Controls:
    """Everything the schedules, StateNet, the guards and the balance decide about one epoch. Numbers may be tensors,
    one number a run, of shape (runs, 1, 1) for ρ and the temperatures, (runs,) for the others. A weight that is a
    tensor always counts, also at 0."""

    learning_rate: float
    rho: Number
    temperature_a: Number
    temperature_b: Number
    beta_a: Number
    beta_b: Number
    lambda1: Number
    lambda2: Number
    lambda3: Number
    repulsion_b: Number
    balance: Number = 0.0
    learning_rate_factor_a: float = 1.0
    moment_weight: Number = 0.0


class Latents(NamedTuple):
    """What is drawn from the posteriors, and what the decoders read of it."""

    z_a: Float[Tensor, "*runs n latent"]
    z_b: Float[Tensor, "*runs n latent"]
    mixed_a: Float[Tensor, "*runs n latent"]
    mixed_b: Float[Tensor, "*runs n latent"]


@dataclass(frozen=True)
class Answers:
    """What one VAE's decoder answers in a step."""

    model: DualVAE
    side: Side
    mixed: Float[Tensor, "*runs n latent"]
    noise: Noise

    @cached_property
    def _logits(self) -> tuple[Float[Tensor, "*runs n entries values"], Float[Tensor, "*runs m entries values"] | None]:
        """To the batch and to the prior draws, decoded in one go."""
        if self.noise.prior_draws is None:
            return self.model.decode(self.mixed, self.side), None
        together = torch.cat([self.mixed, self.noise.prior_draws], dim=-2)
        return self.model.decode(together, self.side).tensor_split([self.mixed.shape[-2]], dim=-3)

    @property
    def logits(self) -> Float[Tensor, "*runs n entries values"]:
        """To the batch."""
        return self._logits[0]

    @cached_property
    def prior_log_probability(self) -> Float[Tensor, "values *runs m entries"]:
        """To the prior draws. Like what follows, for terms `on_prior_draws` alone."""
        return class_log_probability(self._logits[1])

    @cached_property
    def prior_probability(self) -> Float[Tensor, "values *runs m entries"]:
        return self.prior_log_probability.exp()

    @cached_property
    def prior_entropies(self) -> tuple[Float[Tensor, "*runs"], Float[Tensor, "*runs"]]:
        """See `information.prior_entropies`."""
        return prior_entropies(self.prior_log_probability, self.prior_probability, self.noise.subsets)


@dataclass(eq=False)
class ForwardPass:
    """A batch of operations, encoded by both VAEs at once and decoded when a term first asks.

    Attributes:
        model: the weights of one run, or those of several.
        x, classes: the operations, as values −1, 0, 1 and as classes 0, 1, 2.
        noise: the step's random numbers.
        controls: the epoch's schedules.
        settings: the recipe's section.
        scales: of VAE-A's and VAE-B's losses, see `weighting.loss_scales`.
        isolated_share: of the rows, the first, is decoded from latents that are not cross-injected.
        free_bits: see `kl_divergence`.
        posteriors: what the encoders make of it.
        latents: z = μ + T·σ·ε of both VAEs, and cross-injected as `inject` does.
    """

    model: DualVAE
    x: Float[Tensor, "*runs n entries"]
    classes: Int[Tensor, "*runs n entries"]
    noise: Noise
    controls: Controls
    settings: Objective
    scales: Factors = (1.0, 1.0)
    isolated_share: float = 0.0
    free_bits: float = 0.5

    def __post_init__(self) -> None:
        noise, controls = self.noise, self.controls
        self.posteriors = posteriors = Posteriors(*self.model.encoder_A(self.x), *self.model.encoder_B(self.x))
        z_a = posteriors.mu_a + controls.temperature_a * torch.exp(0.5 * posteriors.logvar_a) * noise.epsilon_a
        z_b = posteriors.mu_b + controls.temperature_b * torch.exp(0.5 * posteriors.logvar_b) * noise.epsilon_b
        if noise.mean_noise_a is not None and noise.mean_noise_b is not None:
            z_a, z_b = z_a + noise.mean_noise_a, z_b + noise.mean_noise_b
        self.latents = Latents(z_a, z_b, *inject(self.model, z_a, z_b, controls.rho, self.isolated_share))

    def encoder(self, side: Side) -> Encoder:
        """The encoder of a VAE."""
        return self.model.encoder_A if side == "A" else self.model.encoder_B

    @cached_property
    def loss_weights(self) -> dict[Side, Number]:
        """What the loss of each VAE counts, λ times its scale."""
        controls, (scale_a, scale_b) = self.controls, self.scales
        return {"A": controls.lambda1 * scale_a, "B": controls.lambda2 * scale_b}

    @cached_property
    def isolated_means(self) -> int:
        """How many of the first rows are decoded from posterior means that are not cross-injected."""
        return rows_of_means(self.settings, self.x.shape[-2])[0]

    @cached_property
    def kl(self) -> dict[Side, Float[Tensor, "*runs"]]:
        """KL divergence of both VAEs at once. With codes this small, calling an operation takes longer than doing it.
        Where it does not count, its variances have no gradient: 0·∞ is not 0, and they may grow without bound."""
        mu_a, logvar_a, mu_b, logvar_b = self.posteriors
        both = (logvar_a, self.controls.beta_a), (logvar_b, self.controls.beta_b)
        log_variances = torch.stack([logvar if counts(beta) else logvar.detach() for logvar, beta in both])
        kl_a, kl_b = kl_divergence(torch.stack([mu_a, mu_b]), log_variances, self.free_bits).unbind()
        return {"A": kl_a, "B": kl_b}

    @cached_property
    def answers(self) -> dict[Side, Answers]:
        """What the decoders answer; each is asked when a term first needs it."""
        mixed = {"A": self.latents.mixed_a, "B": self.latents.mixed_b}
        return {side: Answers(self.model, side, z, self.noise) for side, z in mixed.items()}
