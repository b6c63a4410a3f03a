"""What can be said of a space without a list of its operations: intervals of sampled shares, coincidences of decoded
prior draws, marginals, and steps of one entry."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from jaxtyping import Float, Int
from scipy import special
from torch import Tensor

from ternary_vae.model import DualVAE
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import Operations, as_classes, one_hot, operation_table
from ternary_vae.resolution.coverage import Decoder, decoded_indices
from ternary_vae.resolution.intervals import CONFIDENCE, clopper_pearson, poisson_interval
from ternary_vae.resolution.records import OneEntryStep, Sampled, Uniformity
from ternary_vae.space import Space

ENOUGH_PAIRS = 50
MOST_DRAWS = 1_000_000
"""Prior draws that a benchmark decodes for a space that cannot be listed. B's take a few seconds."""
DISTANCE_ROWS = 64
"""Rows of a distance matrix at a time: of all operations at most 10 MB in double precision."""
_DRAWS_AT_ONCE = 2**18
_TABLES_AT_ONCE = 2**14  # counted at a time: of three inputs their one-hot tables take 20 MB
_STEPS_FROM = 500  # operations whose every step of one entry is measured


def sampled(successes: int, measured: int, space: Space) -> Sampled | None:
    """The interval of a share measured on operations drawn at random; None where they were all of the space."""
    if space.is_enumerable():
        return None
    low, high = clopper_pearson(successes, measured)
    return Sampled(operations=measured, low=low, high=high)


def draws_for_pairs(space: Space, pairs: float = ENOUGH_PAIRS) -> int:
    """Prior draws among which a uniform model has so many coincident pairs on average."""
    return math.ceil(0.5 + math.sqrt(0.25 + 2 * pairs * space.operations))


@torch.no_grad()
def uniformity(model: Decoder, vae: Side, generator: torch.Generator, draws: int | None = None) -> Uniformity:
    """How evenly one VAE's decoded prior draws lie over its space, whatever its size.

    Args:
        draws: by default as many as make a uniform model's coincident pairs `ENOUGH_PAIRS`, but at most `MOST_DRAWS`.
    """
    space = model.sizes.space
    draws = draws or min(MOST_DRAWS, draws_for_pairs(space))
    pieces = [min(_DRAWS_AT_ONCE, draws - first) for first in range(0, draws, _DRAWS_AT_ONCE)]  # latents take memory
    decoded = torch.cat([decoded_indices(model, vae, count, generator) for count in pieces])
    met, counts = decoded.unique(return_counts=True)
    return uniformity_of_counts(met, counts, space)


def uniformity_of_counts(indices: Int[Tensor, " n"], counts: Int[Tensor, " n"], space: Space) -> Uniformity:
    """How even draws are that met these operations so often."""
    draws, pairs = int(counts.sum()), int((counts * (counts - 1)).sum()) // 2
    expected = draws * (draws - 1) / 2 / space.operations
    dispersion = _dispersion(counts)
    fewest, most = poisson_interval(pairs, dispersion)
    low = expected / most
    entry, pair = _largest_deviations(indices, counts, space)
    return Uniformity(
        draws=draws,
        coincident_pairs=pairs,
        expected_pairs=expected,
        effective_share=expected / pairs if pairs else None,
        low=low,
        high=expected / fewest if fewest else None,
        dispersion=dispersion,
        information_bits=max(0.0, space.bits + math.log2(low)) if low else 0.0,
        largest_entry_deviation=entry,
        largest_pair_deviation=pair,
        margin=_largest_by_chance(draws, space),
    )


def _dispersion(counts: Int[Tensor, " n"]) -> float:
    """The variance of the number of coincident pairs over that of a Poisson number, 1 where no three draws agree. Pairs
    that share a draw vary together (Hoeffding 1948): Var C ≈ C + 6T − 4C²/N with T coincident triples."""
    n = counts.double()
    pairs, triples = float((n * (n - 1)).sum()) / 2, float((n * (n - 1) * (n - 2)).sum()) / 6
    return max(1.0, 1 + 6 * triples / pairs - 4 * pairs / float(n.sum())) if triples else 1.0


def _largest_deviations(indices: Int[Tensor, " n"], counts: Int[Tensor, " n"], space: Space) -> tuple[float, float]:
    """The largest deviations of entry and pair marginals from those of a uniform model."""
    values, entries = space.values, space.entries
    total = counts.sum()
    products = torch.zeros(entries * values, entries * values, dtype=torch.double, device=indices.device)
    # In pieces: a one-hot table of all would be too large.
    for some, weights in zip(indices.split(_TABLES_AT_ONCE), counts.split(_TABLES_AT_ONCE)):
        has = one_hot(operation_table(some, space), space).float()
        # Counts are whole numbers below 2^24 a chunk, which single precision adds up exactly.
        products += (has * weights[:, None]).T @ has
    joint = (products / total).view(entries, values, entries, values)
    single = torch.stack([joint[entry, :, entry].diagonal() for entry in range(entries)])
    entry_deviation = float((single - 1 / values).abs().max())
    pairs = [joint[first, :, second] for first, second in combinations(range(entries), 2)]
    pair_deviation = max((float((pair - 1 / values**2).abs().max()) for pair in pairs), default=0.0)
    return entry_deviation, pair_deviation


def _largest_by_chance(draws: int, space: Space) -> float:
    """The largest deviation of any marginal that a uniform model shows with 95% confidence: every value of every entry
    and pair of entries together, by Bonferroni's bound and a normal distribution."""
    cells = space.entries * space.values + math.comb(space.entries, 2) * space.values**2
    share = 1 / space.values
    return -float(special.ndtri((1 - CONFIDENCE) / 2 / cells)) * math.sqrt(share * (1 - share) / draws)


@torch.no_grad()
def one_entry_step(
    model: DualVAE, vae: Side, mu: Float[Tensor, "n latent"], operations: Operations, generator: torch.Generator
) -> OneEntryStep:
    """How far the code moves when one entry changes: every step from some of the operations, drawn at random.

    Args:
        mu: means of the operations.
    """
    space, count = model.space, min(_STEPS_FROM, len(operations.tables))
    rows = torch.arange(count, device=mu.device)  # those of a space that cannot be listed were drawn already
    if space.is_enumerable():
        rows = torch.randperm(len(mu), generator=generator, device=mu.device)[:count]
    some, tables = mu[rows], operations.tables[rows]
    classes = as_classes(tables, space)
    steps, nearer = [], []
    distances = torch.cdist(some, mu)
    sum_of_distances = distances.sum()
    everywhere = one_hot(operations.tables, space).float()
    for own, far in zip(one_hot(tables, space).float().split(DISTANCE_ROWS), distances.split(DISTANCE_ROWS)):
        far.masked_fill_(own @ everywhere.T >= space.entries - 1, math.inf)
    others = distances.amin(dim=1)
    for entry in range(space.entries):
        for shift in range(1, space.values):
            changed = classes.clone()
            changed[:, entry] = (changed[:, entry] + shift) % space.values
            mean_of_changed, _ = model.encode(changed + space.lowest).of(vae)
            step = (mean_of_changed - some).norm(dim=1)
            steps.append(step)
            nearer.append(step < others)
    mean = float(torch.stack(steps).mean())
    mean_distance = float(sum_of_distances / (distances.numel() - count))
    return OneEntryStep(
        mean_distance=mean,
        share_of_mean_distance=mean / mean_distance if mean_distance else 0.0,
        nearer_than_others=float(torch.stack(nearer).double().mean()),
        operations=count,
    )
