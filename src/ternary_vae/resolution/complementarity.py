"""Which operations are at home in which VAE, and what the ensemble gains from that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8, Int16
from scipy import special
from torch import Tensor

from ternary_vae.model import DualVAE, EnsembleStrategy, Posteriors, combine
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import Operations
from ternary_vae.pretrained.codes import NOISE_SIGMA
from ternary_vae.resolution.coverage import Decoder, in_chunks, indices_of_latents, rows_at_once
from ternary_vae.resolution.records import ComplementaryCoverage, EnsembleUnderNoise, ExactMatch

NOISE_DRAWS = 256  # chance moves the score by 0.02 to 0.03; with 64 it is 0.05
STRATEGY_DRAWS = 16  # enough to know the rate of an ensemble to 0.1 points
SIGNIFICANCE = 0.01


class NoiseOutcome(NamedTuple):
    """How often each operation was decoded exactly from z = μ + σ·ε, both VAEs given the same ε.

    Attributes:
        only_a, only_b, both: draws in which A alone, B alone, both were exact.
        draws: draws an operation.
        sigma: standard deviation of the noise.
    """

    only_a: Int[Tensor, "n"]
    only_b: Int[Tensor, "n"]
    both: Int[Tensor, "n"]
    draws: int
    sigma: float = NOISE_SIGMA

    def counts(self) -> Int16[Tensor, "4 n"]:
        """Draws in which A alone, B alone, both and neither were exact: all there is to keep under the usual noise."""
        exact = torch.stack(self[:3])
        return torch.cat([exact, self.draws - exact.sum(dim=0, keepdim=True)]).to(torch.int16)

    @classmethod
    def of_counts(cls, counts: Int16[Tensor, "4 n"]) -> NoiseOutcome:
        """What `counts` was made from, under the usual noise."""
        return cls(*counts[:3].long(), int(counts[:, 0].sum()))


@torch.no_grad()
def decode_under_noise(
    model: Decoder,
    posteriors: Posteriors,
    operations: Operations,
    generator: torch.Generator,
    sigma: float = NOISE_SIGMA,
    draws: int = NOISE_DRAWS,
) -> NoiseOutcome:
    """Decodes every operation `draws` times from both posterior means under the same latent noise.

    Args:
        posteriors: of `operations`.
    """
    count = len(operations.tables)
    outcomes = torch.zeros(3, count, dtype=torch.long, device=operations.tables.device)

    def exact(vae: Side, z: Float[Tensor, "m n latent"]) -> Bool[Tensor, "m n"]:
        return indices_of_latents(model, vae, z.flatten(0, 1)).view(z.shape[:2]) == operations.indices

    for z_a, z_b in _noisy_latents(posteriors, generator, sigma, draws):
        exact_a, exact_b = exact("A", z_a), exact("B", z_b)
        for outcome, true in zip(outcomes, (exact_a & ~exact_b, exact_b & ~exact_a, exact_a & exact_b)):
            outcome += true.sum(dim=0)
    return NoiseOutcome(*outcomes, draws, sigma)


@torch.no_grad()
def ensembles_under_noise(
    model: DualVAE,
    posteriors: Posteriors,
    operations: Operations,
    generator: torch.Generator,
    strategies: Sequence[EnsembleStrategy],
    sigma: float = NOISE_SIGMA,
    draws: int = STRATEGY_DRAWS,
) -> EnsembleUnderNoise:
    """The section of the coupled record: how often each ensemble strategy is exact under the noise of
    `decode_under_noise`, by its name. One that needs coupled decodings gets those of the noisy latents."""
    exact = torch.zeros(len(strategies), dtype=torch.long, device=operations.tables.device)
    coupled_too = any("coupled" in strategy.needs for strategy in strategies)
    for latents in _noisy_latents(posteriors, generator, sigma, draws):
        targets = operations.tables.expand(len(latents[0]), -1, -1)
        for z_a, z_b, target in zip(*(in_chunks(rows.flatten(0, 1)) for rows in (*latents, targets))):
            logits_a, logits_b = model.decode(z_a, "A"), model.decode(z_b, "B")
            coupled = model.decode_coupled(z_a, z_b) if coupled_too else ()
            answers = torch.stack([combine(target, logits_a, logits_b, each, coupled) for each in strategies])
            exact += (answers == target).all(dim=-1).sum(dim=-1)
    rates = (exact.double() / (draws * len(operations.tables))).tolist()
    return EnsembleUnderNoise(
        **{strategy.name: ExactMatch(exact_match_rate=rate) for strategy, rate in zip(strategies, rates)}
    )


def _noisy_latents(
    posteriors: Posteriors, generator: torch.Generator, sigma: float, draws: int
) -> Iterator[tuple[Float[Tensor, "m n latent"], Float[Tensor, "m n latent"]]]:
    """μ + σ·ε of both VAEs, the same ε for both, of one draw an operation or of as many as decode fast together, until
    each operation has had its draws."""
    count, device = len(posteriors.mu_a), posteriors.mu_a.device
    at_once = max(1, rows_at_once(device) // max(1, count))
    for first in range(0, draws, at_once):
        shape = (min(at_once, draws - first), *posteriors.mu_a.shape)
        noise = sigma * torch.randn(shape, generator=generator, device=device)
        yield posteriors.mu_a + noise, posteriors.mu_b + noise


def home_table(errors_a: Int[Tensor, "n"], errors_b: Int[Tensor, "n"], noise: NoiseOutcome) -> Int8[Tensor, "n"]:
    """Home of each operation: 1 for A, −1 for B, 0 for neither.

    An operation is at home in the VAE with fewer wrong entries; ties go to the VAE that is exact significantly more
    often under the same noise, see `really_more_often`; what still ties belongs to neither.
    """
    by_errors = (errors_b - errors_a).sign()
    return torch.where(by_errors != 0, by_errors, home_under_noise(noise)).to(torch.int8)


def really_more_often(only_a: Int[Tensor, "n"], only_b: Int[Tensor, "n"], draws: int) -> Bool[Tensor, "n"]:
    """Whether two paired rates differ, by McNemar's exact test: of the draws in which one VAE alone was exact, each
    is as likely either's if the rates are equal, and the two-sided binomial probability of so uneven a division
    must be at most `SIGNIFICANCE`. At 1%, at least 8 such draws are needed, all of one VAE. Were no operation
    different at all, less than 1% of them would be given a home by chance, to either side equally often."""
    discordant = np.arange(draws + 1)
    # For each number of discordant draws, the largest minority that is still significant; −1 where none is.
    minority = np.full(draws + 1, -1)
    for smaller in range(draws // 2 + 1):
        minority[(discordant >= 2 * smaller) & (2 * special.bdtr(smaller, discordant, 0.5) <= SIGNIFICANCE)] = smaller
    allowed = torch.from_numpy(minority).to(only_a.device)
    return torch.minimum(only_a, only_b) <= allowed[only_a + only_b]


def home_under_noise(noise: NoiseOutcome) -> Int[Tensor, "n"]:
    """1 where A, −1 where B is exact significantly more often, see `really_more_often`; else 0."""
    lead = (noise.only_a - noise.only_b).sign()
    return lead * really_more_often(noise.only_a, noise.only_b, noise.draws)


def ratio_of_homes(count_a: int, count_b: int) -> float | None:
    """min/max of two counts; None for 0/0."""
    return min(count_a, count_b) / max(count_a, count_b) if count_a or count_b else None


def covariance_between_operations(noise: NoiseOutcome) -> float | None:
    """Covariance over operations of how often A and how often B is exact, without bias: negative where what is hard for
    one is easy for the other. Outcomes of one draw also go together because both VAEs are given the same ε; a part
    1/draws of that is in the covariance of the counts and is taken out. None for one draw or one operation."""
    if noise.draws < 2 or len(noise.both) < 2:
        return None
    rate_a, rate_b = ((only + noise.both).double() / noise.draws for only in (noise.only_a, noise.only_b))
    together = (noise.both.double() / noise.draws).mean() - rate_a.mean() * rate_b.mean()
    of_counts = ((rate_a - rate_a.mean()) * (rate_b - rate_b.mean())).mean()
    return float((noise.draws * of_counts - together) / (noise.draws - 1))


def complementary_coverage(
    errors_a: Int[Tensor, "n"], errors_b: Int[Tensor, "n"], noise: NoiseOutcome
) -> ComplementaryCoverage:
    """The section of the coupled record, from wrong entries without noise and outcomes under noise.

    The gain by chance is that of two VAEs with the same exact rates p and q which fail independently:
    1 − (1 − p)(1 − q) − max(p, q). The gain if shuffled is that of the two as they are, with the operations of one
    exchanged at random: it differs by `covariance_between_operations`."""
    homes = home_table(errors_a, errors_b, noise)
    home_a, home_b = int((homes > 0).sum()), int((homes < 0).sum())
    fewer_a, fewer_b = int((errors_a < errors_b).sum()), int((errors_b < errors_a).sum())
    decodings = len(homes) * noise.draws
    only_a, only_b, both = (int(outcome.sum()) for outcome in (noise.only_a, noise.only_b, noise.both))
    exact_a, exact_b = (only_a + both) / decodings, (only_b + both) / decodings
    ensemble = (only_a + only_b + both) / decodings
    better = max(exact_a, exact_b)
    between = covariance_between_operations(noise)
    return ComplementaryCoverage(
        complementarity_score=ratio_of_homes(home_a, home_b),
        complementarity_score_by_errors=ratio_of_homes(fewer_a, fewer_b),
        home_a=home_a,
        home_b=home_b,
        home_neither=len(homes) - home_a - home_b,
        share_a=home_a / (home_a + home_b) if home_a + home_b else None,
        errors_a_fewer=fewer_a,
        errors_b_fewer=fewer_b,
        noise_sigma=noise.sigma,
        noise_draws=noise.draws,
        exact_under_noise_a=exact_a,
        exact_under_noise_b=exact_b,
        exact_under_noise_ensemble=ensemble,
        ensemble_gain=ensemble - better,
        ensemble_gain_by_chance=1 - (1 - exact_a) * (1 - exact_b) - better,
        ensemble_gain_if_shuffled=None if between is None else ensemble - better + between,
    )
