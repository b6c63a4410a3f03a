"""The objective: every term a named quantity; a term of weight 0 is not computed.

loss = λ1·gA·w_A·(CE_A + β_A·KL_A) + λ2·gB·w_B·(CE_B + β_B·KL_B − η·H(mean output of B) + κ·repulsion(z_B))
     + λ3·|H(z_A) − H(z_B)| + α·‖μ_A − μ_B‖² + ο·β_A·overlap of the codes − υ·log P(A or B is exact under noise)
     + what A's and B's fresh prior draws cost: − ι·information − ε·entropy − ϱ·log q(z | what z was decoded to)

with g the gradient-balance scales and w = exp(±balance). Cross-entropies are sums over nine entries
in nats, averaged over the batch (plan, sections 2 and 7; the loss of v5.5).

Every function takes one run's tensors or, stacked in front, those of several runs ("*runs"), and answers for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import LATENT_DIMENSIONS, DualVAE, Posteriors, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.model.networks import Encoder
from ternary_vae.operations import ENTRIES
from ternary_vae.recipe import Objective, PriorInformation

HISTOGRAM_RANGE = 3.0
WIDENING = (1 + 0.7**2) ** 0.5
"""z_A + ρ·z_B at ρ = 0.7 is distributed as z_A times this."""
_SMALLEST_PROBABILITY = 1e-12
_SMALLEST_VARIANCES = 1e-12
_LOG_TWO_PI = math.log(2 * math.pi)
_LARGEST_EXPONENT = 87.0
"""Beyond it exp(−x) is not a normal float32 any more, and takes forty times as long."""

Number = float | Tensor


@dataclass(frozen=True)
class Controls:
    """Everything the schedules, StateNet and the guards decide about one epoch. Numbers may be tensors, one number a
    run, of shape (runs, 1, 1) for ρ and the temperatures, (runs,) for the others. A weight that is a tensor always
    counts, also at 0."""

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
    learning_rate_factor_a: float = 1.0


@dataclass(frozen=True)
class Noise:
    """The random numbers of one step. `mean_noise` is added to the codes of both VAEs."""

    epsilon_a: Float[Tensor, "*runs n 16"]
    epsilon_b: Float[Tensor, "*runs n 16"]
    mean_noise: Float[Tensor, "*runs n 16"] | None = None
    prior_draws: Float[Tensor, "*runs m 16"] | None = None
    subsets: Int[Tensor, "*runs subsets entries"] | None = None


@dataclass(frozen=True)
class Weights:
    """Weights that live on the device: gradient-balance scales and the balance."""

    scale_a: Number = 1.0
    scale_b: Number = 1.0
    balance: Number = 0.0


def draw_noise(
    count: int,
    settings: Objective,
    generator: torch.Generator | Sequence[torch.Generator],
    device: torch.device,
    with_prior: bool,
) -> Noise:
    """Posterior noise for a batch of `count`, and prior draws when the terms on them are due. From the generators of
    several runs, each run's own, runs in front."""
    epsilon = drawn(torch.randn, 2, count, LATENT_DIMENSIONS, generator=generator, device=device)
    epsilon_a, epsilon_b = epsilon.unbind(dim=-3)
    # Some rows are decoded from their means, as in use: else a decoder may trade the mean of a few operations for the
    # surroundings of others. Two thirds of these rows are the first, isolated, the others the last, mixed.
    first, last = _rows_of_means(settings, count)
    epsilon[..., :first, :].zero_()
    epsilon[..., count - last :, :].zero_()
    noise = None
    if settings.mean_noise:
        noise = settings.mean_noise * drawn(torch.randn, count, LATENT_DIMENSIONS, generator=generator, device=device)
        noise[..., first : count - last, :].zero_()
    if not with_prior:
        return Noise(epsilon_a, epsilon_b, noise)
    information = settings.prior_information
    draws = drawn(torch.randn, information.draws, LATENT_DIMENSIONS, generator=generator, device=device)
    draws[..., : round(information.widened_share * information.draws), :] *= WIDENING
    order = drawn(torch.rand, information.subsets, ENTRIES, generator=generator, device=device).argsort(dim=-1)
    return Noise(epsilon_a, epsilon_b, noise, draws, order[..., : information.subset_entries])


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


def _rows_of_means(settings: Objective, count: int) -> tuple[int, int]:
    """How many of the first rows of a batch are decoded from means, isolated, and how many of the last, mixed."""
    means = round(settings.mean_share * count)
    return means - means // 3, means // 3


class Latents(NamedTuple):
    """What is drawn from the posteriors, and what the decoders read of it."""

    z_a: Float[Tensor, "*runs n 16"]
    z_b: Float[Tensor, "*runs n 16"]
    mixed_a: Float[Tensor, "*runs n 16"]
    mixed_b: Float[Tensor, "*runs n 16"]


Part = tuple[Tensor, dict[str, Tensor]]
"""A part of the loss, and its terms by name."""


def objective(
    model: DualVAE,
    x: Float[Tensor, "*runs n 9"],
    classes: Int[Tensor, "*runs n 9"],
    noise: Noise,
    controls: Controls,
    weights: Weights,
    settings: Objective,
    isolated_share: float = 0.0,
    free_bits: float = 0.5,
) -> tuple[Float[Tensor, "*runs"], dict[str, Float[Tensor, "*runs"]]]:
    """Loss of one batch and its terms by name (unweighted). The first `isolated_share` of the rows are decoded from
    unmixed latents, the rest from cross-injected ones."""
    posteriors = Posteriors(*model.encoder_A(x), *model.encoder_B(x))
    latents = latents_of(model, posteriors, noise, controls, isolated_share)
    parts = [loss_of_codes(posteriors, latents, controls, weights, settings, free_bits)]
    decoded = []
    for side, mixed in (("A", latents.mixed_a), ("B", latents.mixed_b)):
        prior_logits = None
        if noise.prior_draws is None:
            logits = model.decode(mixed, side)
        else:
            together = torch.cat([mixed, noise.prior_draws], dim=-2)
            logits, prior_logits = model.decode(together, side).tensor_split([mixed.shape[-2]], dim=-3)
        decoded.append(logits)
        parts.append(loss_of_decoding(side, logits, classes, controls, weights, settings))
        if prior_logits is not None and noise.subsets is not None:
            parts.append(loss_of_prior(model, side, noise.prior_draws, prior_logits, noise.subsets, settings))
    first, _ = _rows_of_means(settings, x.shape[-2])
    if settings.best_of_two and first:  # the last batch of an epoch may be so small that none is decoded so
        neither = best_of_two_loss(*(each[..., :first, :, :] for each in decoded), classes[..., :first, :])
        parts.append((settings.best_of_two * neither, {"best_of_two": neither}))
    return sum_of_parts(parts)


def sum_of_parts(parts: Sequence[Part]) -> Part:
    """The loss, also among its terms. A term of several parts is their sum."""
    loss = parts[0][0]
    terms = dict(parts[0][1])
    for part, named in parts[1:]:
        loss = loss + part
        for name, value in named.items():
            terms[name] = terms[name] + value if name in terms else value
    return loss, terms | {"loss": loss}


def latents_of(
    model: DualVAE,
    posteriors: Posteriors,
    noise: Noise,
    controls: Controls,
    isolated_share: float = 0.0,
) -> Latents:
    """z = μ + T·σ·ε of both VAEs, and cross-injected as `inject` does."""
    z_a = posteriors.mu_a + controls.temperature_a * torch.exp(0.5 * posteriors.logvar_a) * noise.epsilon_a
    z_b = posteriors.mu_b + controls.temperature_b * torch.exp(0.5 * posteriors.logvar_b) * noise.epsilon_b
    if noise.mean_noise is not None:
        z_a, z_b = z_a + noise.mean_noise, z_b + noise.mean_noise
    return Latents(z_a, z_b, *inject(model, z_a, z_b, controls.rho, isolated_share))


def loss_of_decoding(
    side: Side,
    logits: Float[Tensor, "*runs n 9 3"],
    classes: Int[Tensor, "*runs n 9"],
    controls: Controls,
    weights: Weights,
    settings: Objective,
) -> Part:
    """Reconstruction by one VAE, and the entropy of its output where the recipe rewards it."""
    loss = entry_cross_entropy(logits, classes).mean(dim=-1)
    terms = {f"reconstruction_{side.lower()}": loss}
    if settings.balancing:
        balance = weights.balance if side == "A" else -weights.balance
        loss = loss * (torch.exp(balance) if isinstance(balance, Tensor) else math.exp(balance))
    if side == "B" and settings.output_entropy_b:
        terms["output_entropy_b"] = output_entropy(logits)
        loss = loss - settings.output_entropy_b * terms["output_entropy_b"]
    return _weight(side, controls, weights) * loss, terms


def loss_of_codes(
    posteriors: Posteriors,
    latents: Latents,
    controls: Controls,
    weights: Weights,
    settings: Objective,
    free_bits: float = 0.5,
) -> Part:
    """Everything that depends on the codes alone, before any decoder reads them."""
    mu_a, logvar_a, mu_b, logvar_b = posteriors
    # Both VAEs at once: with codes this small, calling an operation takes longer than doing it.
    means = torch.stack([mu_a, mu_b])
    # A weight of 0 leaves the term out: 0·∞ is not 0, and an unpenalised variance may grow without bound.
    both = (logvar_a, controls.beta_a), (logvar_b, controls.beta_b)
    log_variances = torch.stack([logvar if _counts(beta) else logvar.detach() for logvar, beta in both])
    terms = dict(zip(("kl_a", "kl_b"), kl_divergence(means, log_variances, free_bits).unbind()))
    loss = torch.zeros_like(terms["kl_a"])
    if _counts(controls.beta_a):
        loss = loss + _weight("A", controls, weights) * (controls.beta_a * terms["kl_a"])
    if _counts(controls.beta_b):
        loss = loss + _weight("B", controls, weights) * (controls.beta_b * terms["kl_b"])
    if _counts(controls.repulsion_b):
        terms["repulsion_b"] = repulsion(latents.z_b, settings.repulsion_width)
        loss = loss + _weight("B", controls, weights) * (controls.repulsion_b * terms["repulsion_b"])
    if settings.entropy_alignment:
        # A histogram has no gradient: the plan's alignment is seen in the loss and changes no weight.
        entropies = [histogram_entropy(z, settings.entropy_bins) for z in (latents.z_a, latents.z_b)]
        terms["entropy_alignment"] = (entropies[0] - entropies[1]).abs()
        loss = loss + controls.lambda3 * settings.entropy_alignment * terms["entropy_alignment"]
    if settings.subspace_overlap:
        # Grows with β: codes that may not overlap from the first step on are learned far more slowly.
        terms["subspace_overlap"] = subspace_overlap(mu_a, mu_b)
        loss = loss + settings.subspace_overlap * controls.beta_a * terms["subspace_overlap"]
    if settings.alignment:
        terms["alignment"] = (mu_a - mu_b).square().sum(dim=-1).mean(dim=-1)
        loss = loss + settings.alignment * terms["alignment"]
    return loss, terms


def loss_of_prior(
    model: DualVAE,
    side: Side,
    draws: Float[Tensor, "*runs m 16"],
    logits: Float[Tensor, "*runs m 9 3"],
    subsets: Int[Tensor, "*runs subsets entries"],
    settings: Objective,
) -> Part:
    """What is asked of one VAE's answers (logits) to prior draws."""
    prior, suffix = settings.prior_information, side.lower()
    log_probability = class_log_probability(logits)
    probability = log_probability.exp()
    loss, terms = probability.new_zeros(()), {}
    if prior.weight or prior.entropy_weight:
        joint, conditional = prior_entropies(log_probability, probability, subsets)
        terms = {f"prior_information_{suffix}": joint - conditional, f"prior_entropy_{suffix}": joint}
        loss = loss - prior.weight * (joint - conditional) - prior.entropy_weight * joint
    if settings.recognition:
        surprise = recognition(model.encoder_A if side == "A" else model.encoder_B, draws, probability)
        terms[f"recognition_{suffix}"] = surprise
        loss = loss + settings.recognition * surprise
    return loss, terms


def best_of_two_loss(
    logits_a: Float[Tensor, "*runs n 9 3"],
    logits_b: Float[Tensor, "*runs n 9 3"],
    classes: Int[Tensor, "*runs n 9"],
) -> Float[Tensor, "*runs"]:
    """−log P(VAE-A or VAE-B is exact) in nats, averaged over the batch: the likelihood of the ensemble that takes the
    better of two independent answers. Each VAE learns most where the other fails, as experts of a mixture do (Jacobs et
    al. 1991, "Adaptive mixtures of local experts")."""
    exact_a, exact_b = ((-entry_cross_entropy(logits, classes)).exp() for logits in (logits_a, logits_b))
    return -(exact_a + exact_b - exact_a * exact_b).clamp(min=_SMALLEST_PROBABILITY).log().mean(dim=-1)


def recognition(
    encoder: Encoder, draws: Float[Tensor, "*runs m 16"], probability: Float[Tensor, "3 *runs m 9"]
) -> Float[Tensor, "*runs"]:
    """−E log q(z | x) in nats, summed over dimensions, with z the prior draws, x the operations decoded from them and q
    the encoder's posterior. x is the most likely operation, with the gradient of the probabilities (Bengio et al. 2013,
    "Estimating or propagating gradients through stochastic neurons"). The entropy of the prior less this is a lower
    bound on the information between z and x (Barber and Agakov 2003, "The IM algorithm"): it is largest where every
    operation has a cell of its own that its code tells as exactly as it can, and needs no list of operations."""
    most_likely = logits_to_tables(probability.movedim(0, -1)).to(probability.dtype)
    minus, zero, plus = encoder.as_read(torch.arange(-1.0, 2.0, device=probability.device)).unbind()
    mean = minus * probability[0] + zero * probability[1] + plus * probability[2]
    mu, logvar = encoder(most_likely + (mean - mean.detach()))
    surprise = 0.5 * ((draws - mu).square() * (-logvar).exp() + logvar + _LOG_TWO_PI)
    return surprise.sum(dim=-1).mean(dim=-1)


def subspace_overlap(mu_a: Float[Tensor, "*runs n 16"], mu_b: Float[Tensor, "*runs n 16"]) -> Float[Tensor, "*runs"]:
    """Cosine of the angle between the covariances of the two codes' means, tr(C_A·C_B) / √(tr C_A² · tr C_B²): 0 where
    they lie in orthogonal subspaces, 1 where both spread alike. Two codes of nine axes in sixteen dimensions share two
    at least: 2/9. The translation between the codes makes each code's basis free, so that it costs no
    reconstruction."""
    spread_a, spread_b = covariance(mu_a), covariance(mu_b)
    squares = spread_a.square().sum(dim=(-2, -1)) * spread_b.square().sum(dim=(-2, -1))
    # A root of 0 has no gradient.
    root = squares.clamp(min=_SMALLEST_VARIANCES**2).sqrt()
    return (spread_a * spread_b).sum(dim=(-2, -1)) / (root + _SMALLEST_VARIANCES)


def covariance(mu: Float[Tensor, "*runs n 16"]) -> Float[Tensor, "*runs 16 16"]:
    """Of a batch's means, without Bessel's correction."""
    centred = mu - mu.mean(dim=-2, keepdim=True)
    return centred.mT @ centred / mu.shape[-2]


def inject(
    model: DualVAE,
    z_a: Float[Tensor, "*runs n 16"],
    z_b: Float[Tensor, "*runs n 16"],
    rho: Number,
    isolated_share: float,
) -> tuple[Float[Tensor, "*runs n 16"], Float[Tensor, "*runs n 16"]]:
    """Cross-injection with the first `isolated_share` of the rows left unmixed."""
    isolated = round(isolated_share * z_a.shape[-2])
    if not isolated:
        return model.injection(z_a, z_b, rho)
    (own_a, rest_a), (own_b, rest_b) = (z.tensor_split([isolated], dim=-2) for z in (z_a, z_b))
    mixed_a, mixed_b = model.injection(rest_a, rest_b, rho)
    return torch.cat([own_a, mixed_a], dim=-2), torch.cat([own_b, mixed_b], dim=-2)


def entry_cross_entropy(
    logits: Float[Tensor, "*runs n 9 3"], classes: Int[Tensor, "*runs n 9"]
) -> Float[Tensor, "*runs n"]:
    """Cross-entropy in nats, summed over the nine entries of each operation."""
    log_probability = class_log_probability(logits.reshape(-1, *logits.shape[-2:]))
    rows = classes.reshape(-1, classes.shape[-1])
    losses = F.nll_loss(log_probability[None], rows[None], reduction="none")[0].sum(dim=1)
    return losses.view(classes.shape[:-1])


def class_log_probability(logits: Float[Tensor, "*n 9 3"]) -> Float[Tensor, "3 *n 9"]:
    """Log-probabilities with the classes in front: a softmax over three neighbours in memory is several
    times slower than over three planes."""
    return logits.movedim(-1, 0).contiguous().log_softmax(dim=0)


def kl_divergence(
    mu: Float[Tensor, "*runs n 16"], logvar: Float[Tensor, "*runs n 16"], free_bits: float = 0.0
) -> Float[Tensor, "*runs"]:
    """KL(q(z|x) ‖ N(0, I)) in nats, summed over dimensions, averaged over the batch. A dimension counts for
    no less than `free_bits` nats, so there is no reward for going below (Kingma et al. 2016, "Improved
    variational inference with inverse autoregressive flow", appendix C.8, per sample as v5.5 does it)."""
    by_dimension = 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
    if free_bits:
        by_dimension = by_dimension.clamp(min=free_bits)
    return by_dimension.sum(dim=-1).mean(dim=-1)


def output_entropy(logits: Float[Tensor, "*runs n 9 3"]) -> Float[Tensor, "*runs"]:
    """Entropy in nats of the batch's mean output distribution, averaged over the nine entries."""
    mean = logits.softmax(dim=-1).mean(dim=-3)
    return _entropy(mean).mean(dim=-1)


def repulsion(z: Float[Tensor, "*runs n 16"], width: float = 0.25) -> Float[Tensor, "*runs"]:
    """Mean over ordered pairs of different latents of exp(−‖z_i − z_j‖²/width)."""
    count = z.shape[-2]
    squares = z.square().sum(dim=-1)
    distance = (squares[..., :, None] + squares[..., None, :] - 2 * z @ z.mT).clamp(min=0)
    kernel = torch.exp(-(distance / width).clamp(max=_LARGEST_EXPONENT))
    pairs = max(1, count * (count - 1))
    return (kernel.sum(dim=(-2, -1)) - kernel.diagonal(dim1=-2, dim2=-1).sum(dim=-1)) / pairs


@torch.no_grad()
def histogram_entropy(z: Float[Tensor, "*runs n 16"], bins: int = 50) -> Float[Tensor, "*runs"]:
    """The plain histogram's entropy in nats over [−3, 3], averaged over dimensions: values outside are left
    out. What StateNet sees."""
    columns = _columns(z)
    width = 2 * HISTOGRAM_RANGE / bins
    inside = columns.abs() <= HISTOGRAM_RANGE
    cell = ((columns.nan_to_num() + HISTOGRAM_RANGE) / width).floor().clamp(0, bins - 1).long()
    cell = cell + torch.arange(columns.shape[1], device=z.device) * bins
    counts = z.new_zeros(columns.shape[1] * bins).index_add(0, cell.flatten(), inside.to(z.dtype).flatten())
    counts = counts.view(*z.shape[:-2], -1, bins)
    return _entropy(counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)).mean(dim=-1)


def prior_entropies(
    log_probability: Float[Tensor, "3 *runs m 9"],
    probability: Float[Tensor, "3 *runs m 9"],
    subsets: Int[Tensor, "*runs subsets entries"],
) -> tuple[Float[Tensor, "*runs"], Float[Tensor, "*runs"]]:
    """Entropies in nats of the decoded entries of a subset, averaged over subsets: H(mean over draws of p(x_S|z)), and
    mean over draws of H(p(x_S|z)). The first less the second is the mutual information between draw and entries. Given
    z the entries are independent, so the second is a sum over entries and the first that of a joint distribution of
    3^|S| cells, built as an outer product."""
    draws = probability.shape[-2]
    entropy = -(probability * log_probability).sum(dim=(0, -2)) / draws
    total = given = probability.new_zeros(())
    for subset in subsets.unbind(dim=-2):  # few, a setting of the recipe; not a loop over samples
        chosen = _at(probability, subset).unbind(dim=-1)
        middle = len(chosen) // 2
        first, second = _outer(chosen[:middle], chosen[0][0]), _outer(chosen[middle:], chosen[0][0])
        joint = first.movedim(0, -2) @ second.movedim(0, -1) / draws
        total = total + _entropy(joint.flatten(-2))
        given = given + _at(entropy, subset).sum(dim=-1)
    return total / subsets.shape[-2], given / subsets.shape[-2]


def information_limit(settings: PriorInformation) -> float:
    """The most that the information of a subset can be: ln 3 an entry."""
    return settings.subset_entries * float(torch.log(torch.tensor(3.0)))


def _columns(z: Float[Tensor, "*runs n 16"]) -> Float[Tensor, "n columns"]:
    """A column a run and dimension."""
    return z.movedim(-2, 0).flatten(1)


def _at(values: Float[Tensor, "*n 9"], subset: Int[Tensor, "*runs entries"]) -> Float[Tensor, "*n entries"]:
    """The values of a subset of the entries, which may be another one for every run."""
    if subset.ndim == 1:
        return values[..., subset]
    index = subset if values.ndim == subset.ndim else subset[:, None].expand(*values.shape[:-1], -1)
    return values.gather(-1, index)


def _outer(
    distributions: tuple[Float[Tensor, "3 *runs m"], ...], like: Float[Tensor, "*runs m"]
) -> Float[Tensor, "cells *runs m"]:
    """Joint distribution of independent entries, a row a cell."""
    joint = torch.ones_like(like)[None]
    for distribution in distributions:
        joint = (joint[:, None] * distribution[None]).flatten(0, 1)
    return joint


def _weight(side: Side, controls: Controls, weights: Weights) -> Number:
    """What the loss of one VAE counts."""
    return controls.lambda1 * weights.scale_a if side == "A" else controls.lambda2 * weights.scale_b


def _counts(weight: Number) -> bool:
    return isinstance(weight, Tensor) or weight != 0


def _entropy(probability: Float[Tensor, "*n cells"]) -> Float[Tensor, " *n"]:
    """Entropy in nats over the last dimension. The logarithm is bounded, so that the gradient at a
    probability of exactly 0 is finite."""
    return -(probability * probability.clamp(min=_SMALLEST_PROBABILITY).log()).sum(dim=-1)
