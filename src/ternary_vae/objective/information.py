"""Entropies in nats, and the information between prior draws and what is decoded from them."""

from __future__ import annotations

import math
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import logits_to_tables
from ternary_vae.objective.codes import covariance
from ternary_vae.objective.likelihood import SMALLEST_PROBABILITY
from ternary_vae.space import Space

HISTOGRAM_RANGE = 3.0
_LOG_TWO_PI = math.log(2 * math.pi)
_WEIGHT_OF_COUNTS = 3.0  # beside that of pairs; either alone leaves VAE-A's draws of four values less even


def output_entropy(logits: Float[Tensor, "*runs n entries values"]) -> Float[Tensor, "*runs"]:
    """Entropy in nats of the batch's mean output distribution, averaged over the entries."""
    mean = logits.softmax(dim=-1).mean(dim=-3)
    return _entropy(mean).mean(dim=-1)


@torch.no_grad()
def histogram_entropy(z: Float[Tensor, "*runs n latent"], bins: int = 50) -> Float[Tensor, "*runs"]:
    """The plain histogram's entropy in nats over [−3, 3], averaged over dimensions: values outside are left
    out. What StateNet sees."""
    columns = z.movedim(-2, 0).flatten(1)  # a column a run and dimension
    width = 2 * HISTOGRAM_RANGE / bins
    inside = columns.abs() <= HISTOGRAM_RANGE
    cell = ((columns.nan_to_num() + HISTOGRAM_RANGE) / width).floor().clamp(0, bins - 1).long()
    cell = cell + torch.arange(columns.shape[1], device=z.device) * bins
    counts = z.new_zeros(columns.shape[1] * bins).index_add(0, cell.flatten(), inside.to(z.dtype).flatten())
    counts = counts.view(*z.shape[:-2], -1, bins)
    return _entropy(counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)).mean(dim=-1)


def prior_entropies(
    log_probability: Float[Tensor, "values *runs m entries"],
    probability: Float[Tensor, "values *runs m entries"],
    subsets: Int[Tensor, "*runs subsets chosen"],
) -> tuple[Float[Tensor, "*runs"], Float[Tensor, "*runs"]]:
    """Entropies in nats of the decoded entries of a subset, averaged over subsets: H(mean over draws of p(x_S|z)), and
    mean over draws of H(p(x_S|z)). The first less the second is the mutual information between draw and entries. Given
    z the entries are independent, so the second is a sum over entries and the first that of a joint distribution of
    values^|S| cells, built as an outer product."""
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


def moment_divergence(probability: Float[Tensor, "values *runs m entries"]) -> Float[Tensor, "*runs"]:
    """How far the first two moments of decoded prior draws are from those of a uniform model (moment matching: Li,
    Swersky and Zemel 2015, "Generative moment matching networks"), in nats, 0 where they are the same. To second order
    it is the divergence of each entry's distribution from a uniform one, summed over entries, and the mutual
    information of every two entries, summed over pairs; with three times the same for how many entries of a table have
    each value: what all entries have a little in common, such as values that are met together, shows there, and hardly
    in a subset of them."""
    values, entries = len(probability), probability.shape[-1]
    excess = (probability - 1 / values).movedim(0, -1)
    mean = excess.mean(dim=-3)
    second = values * covariance(excess.flatten(-2))
    second = second.unflatten(-2, (entries, values)).unflatten(-1, (entries, values))
    # An entry's covariance with itself is a matter of its mean. Given z the entries are independent.
    between = second * (1 - torch.eye(entries, device=mean.device, dtype=mean.dtype))[:, None, :, None]
    divergence = _of_moments(mean, between, values)
    of_counts = between.sum(dim=(-4, -2), keepdim=True) / entries
    counts = _of_moments(mean.sum(dim=-2, keepdim=True) / entries**0.5, of_counts, values)
    return divergence + _WEIGHT_OF_COUNTS * counts


@runtime_checkable
class ReadsOperations(Protocol):
    """What recognition asks of an encoder: how it reads a value, and mean and log-variance of a code."""

    def as_read(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]: ...

    def __call__(self, x: Float[Tensor, "*runs m entries"]) -> tuple[Tensor, Tensor]: ...


def recognition(
    encoder: ReadsOperations,
    draws: Float[Tensor, "*runs m latent"],
    probability: Float[Tensor, "values *runs m entries"],
) -> Float[Tensor, "*runs"]:
    """−E log q(z | x) in nats, summed over dimensions, with z the prior draws, x the operations decoded from them and q
    the encoder's posterior. x is the most likely operation, with the gradient of the probabilities (Bengio et al. 2013,
    "Estimating or propagating gradients through stochastic neurons"). The entropy of the prior less this is a lower
    bound on the information between z and x (Barber and Agakov 2003, "The IM algorithm"): it is largest where every
    operation has a cell of its own that its code tells as exactly as it can, and needs no list of operations."""
    values = len(probability)
    answers = logits_to_tables(probability.movedim(0, -1)).to(probability.dtype)
    most_likely = Space(values, 1).as_input(answers)
    as_read = encoder.as_read(torch.linspace(-1.0, 1.0, values, device=probability.device)).unbind()
    mean = reduce(torch.add, [own * weight for own, weight in zip(as_read, probability)])
    mu, logvar = encoder(most_likely + (mean - mean.detach()))
    surprise = 0.5 * ((draws - mu).square() * (-logvar).exp() + logvar + _LOG_TWO_PI)
    return surprise.sum(dim=-1).mean(dim=-1)


def _of_moments(
    mean: Float[Tensor, "*runs k values"], covariance: Float[Tensor, "*runs k values k values"], values: int
) -> Float[Tensor, "*runs"]:
    """Half the squared length of the mean and a quarter of the covariance's, as the divergence of a Gaussian from a
    standard one begins."""
    return values / 2 * mean.square().sum(dim=(-2, -1)) + covariance.square().sum(dim=(-4, -3, -2, -1)) / 4


def _at(values: Float[Tensor, "*n entries"], subset: Int[Tensor, "*runs chosen"]) -> Float[Tensor, "*n chosen"]:
    """The values of a subset of the entries, which may be another one for every run."""
    if subset.ndim == 1:
        return values[..., subset]
    index = subset if values.ndim == subset.ndim else subset[:, None].expand(*values.shape[:-1], -1)
    return values.gather(-1, index)


def _outer(
    distributions: tuple[Float[Tensor, "values *runs m"], ...], like: Float[Tensor, "*runs m"]
) -> Float[Tensor, "cells *runs m"]:
    """Joint distribution of independent entries, a row a cell."""
    joint = torch.ones_like(like)[None]
    for distribution in distributions:
        joint = (joint[:, None] * distribution[None]).flatten(0, 1)
    return joint


def _entropy(probability: Float[Tensor, "*n cells"]) -> Float[Tensor, " *n"]:
    """Entropy in nats over the last dimension. The logarithm is bounded, so that the gradient at a
    probability of exactly 0 is finite."""
    return -(probability * probability.clamp(min=SMALLEST_PROBABILITY).log()).sum(dim=-1)
