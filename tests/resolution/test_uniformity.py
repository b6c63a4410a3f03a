"""Coincidences, intervals and marginals against enumeration, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from known_decoders import ThresholdDecoder
from scipy import stats

from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.operations import measured_operations, random_operations
from ternary_vae.resolution import uniformity
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.space import Space


@pytest.mark.parametrize("space", [Space(2, 4), Space(3, 3), Space(5, 2)])
def test_so_many_draws_have_the_pairs_asked_for(space: Space) -> None:
    draws = uniformity.draws_for_pairs(space, 50)
    assert (draws - 1) * (draws - 2) < 100 * space.operations <= draws * (draws - 1)


def test_a_uniform_decoder_has_all_of_its_space_and_an_uneven_one_its_closed_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uniformity, "_DRAWS_AT_ONCE", 2**15)  # as where there are millions
    even = uniformity.uniformity(ThresholdDecoder(), "A", named_generator(3, "even", "cpu"), 100_000)
    expected = 100_000 * 99_999 / 2 / 19_683
    assert even.expected_pairs == expected
    # Five standard deviations of a Poisson number.
    assert even.coincident_pairs == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert even.low <= 1 <= even.high
    assert max(even.largest_entry_deviation, even.largest_pair_deviation) < even.margin

    decoder = ThresholdDecoder(threshold=0.8)
    uneven = uniformity.uniformity(decoder, "B", named_generator(4, "uneven", "cpu"), 100_000)
    probabilities = decoder.prior_probabilities()
    share = 1 / (19_683 * float(probabilities.square().sum()))
    assert share < 0.5
    # Σp² from pairs has a relative error of √(4·(Σp³/(Σp²)² − 1)/N + 1/pairs); five of them.
    third = float(probabilities.pow(3).sum() / probabilities.square().sum() ** 2) - 1
    margin = 5 * math.sqrt(4 * third / 100_000 + 1 / uneven.coincident_pairs)
    assert uneven.effective_share == pytest.approx(share, rel=margin)
    middle = 2 * stats.norm.cdf(0.8) - 1
    assert uneven.largest_entry_deviation == pytest.approx(middle - 1 / 3, abs=0.008)
    assert uneven.largest_pair_deviation == pytest.approx(middle**2 - 1 / 9, abs=0.008)
    entropy = -float((probabilities * probabilities.log2()).sum())
    assert uneven.information_bits < entropy


def test_pairs_and_marginals_against_a_double_loop() -> None:
    space = Space(2, 2)
    drawn = random_operations(60, space, torch.Generator().manual_seed(8))
    indices = [int(sum(value * 2**entry for entry, value in enumerate(row))) for row in drawn.tolist()]
    met, counts = torch.tensor(indices).unique(return_counts=True)
    section = uniformity.uniformity_of_counts(met, counts, space)
    assert section.coincident_pairs == sum(indices[i] == indices[j] for i in range(60) for j in range(i))
    rows = drawn.tolist()
    entries = [sum(row[entry] == value for row in rows) / 60 for entry in range(4) for value in (0, 1)]
    pairs = [
        sum((row[i], row[j]) == (a, b) for row in rows) / 60
        for i in range(4) for j in range(i) for a in (0, 1) for b in (0, 1)
    ]  # fmt: skip
    assert section.largest_entry_deviation == pytest.approx(max(abs(share - 1 / 2) for share in entries), abs=1e-7)
    assert section.largest_pair_deviation == pytest.approx(max(abs(share - 1 / 4) for share in pairs), abs=1e-7)
    # Ten pairs and ten triples of ten draws.
    uneven = uniformity.uniformity_of_counts(torch.arange(6), torch.tensor([5, 1, 1, 1, 1, 1]), space)
    assert uneven.dispersion == 1 + 6 * 10 / 10 - 4 * 10 / 10
    each = 0.025 / (len(entries) + len(pairs))  # both sides of every share have as much of the 5%
    assert section.margin == pytest.approx(stats.norm.isf(each) * math.sqrt(1 / 4 / 60))


@pytest.mark.parametrize("unevenness", [0.0, 0.2, 0.5])
def test_the_interval_holds_the_share_where_pairs_share_draws(unevenness: float) -> None:
    """95% of 200 counts of 300,000 draws, less five standard deviations. That of a Poisson number holds it in 193, 37
    and 8 of them."""
    generator = np.random.default_rng(5)
    space = Space(2, 3)
    probabilities = np.exp(unevenness * generator.standard_normal(space.operations))
    probabilities /= probabilities.sum()
    share = 1 / (space.operations * (probabilities**2).sum())
    held = 0
    for counts in generator.multinomial(300_000, probabilities, size=200):
        section = uniformity.uniformity_of_counts(torch.arange(256), torch.from_numpy(counts), space)
        held += section.low <= share <= section.high
    assert held >= 175


def test_draws_without_a_coincidence_have_a_lower_bound_only() -> None:
    section = uniformity.uniformity_of_counts(torch.arange(100), torch.ones(100, dtype=torch.long), Space(3, 3))
    assert section.effective_share is None
    assert section.high is None
    # At most 3.69 pairs with 97.5%: what a share smaller than `low` would have had at least.
    assert section.low == pytest.approx(100 * 99 / 2 / 3**27 / 3.6889, rel=1e-4)


@pytest.mark.parametrize("draws", [1, 3, 1000])
@pytest.mark.parametrize("space", [Space(2, 1), Space(3, 2), Space(3, 3)], ids=str)
def test_draws_that_all_agree_tell_no_less_than_nothing(draws: int, space: Space) -> None:
    """An entropy is never negative, where the interval reaches below the share of one operation as elsewhere."""
    section = uniformity.uniformity_of_counts(torch.tensor([1]), torch.tensor([draws]), space)
    assert section.coincident_pairs == draws * (draws - 1) / 2
    assert section.low < 1 / space.operations
    assert section.information_bits == 0


def test_a_step_of_one_entry_against_a_loop() -> None:
    torch.manual_seed(2)
    model = DualVAE(values=2, inputs=2).eval().requires_grad_(False)
    operations = measured_operations(model.space, 0, torch.Generator())
    mu = model.encode(operations.tables).mu_b
    section = uniformity.one_entry_step(model, "B", mu, operations, torch.Generator())
    steps, nearer = [], []
    for own in range(16):
        far = [float((mu[own] - mu[j]).norm()) for j in range(16) if (own ^ j).bit_count() > 1]
        for entry in range(4):
            step = float((mu[own] - mu[own ^ 1 << entry]).norm())
            steps.append(step)
            nearer.append(step < min(far))
    everywhere = torch.cdist(mu, mu).sum() / (16 * 15)
    assert section.operations == 16
    assert section.mean_distance == pytest.approx(sum(steps) / 64, rel=1e-5)
    assert section.share_of_mean_distance == pytest.approx(sum(steps) / 64 / float(everywhere), rel=1e-5)
    assert section.nearer_than_others == sum(nearer) / 64


def test_steps_are_taken_from_operations_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last entry is 1 codes lie ten times as far apart; the lowest indices have it at −1 throughout."""
    model = DualVAE().requires_grad_(False)
    operations = measured_operations(model.space, 0, torch.Generator())

    def encode(tables: torch.Tensor) -> Posteriors:
        codes = tables.float() * torch.where(tables[:, 8:] == 1, 10.0, 1.0)
        return Posteriors(codes, codes, codes, codes)

    monkeypatch.setattr(model, "encode", encode)
    mu = encode(operations.tables).mu_a
    section = uniformity.one_entry_step(model, "A", mu, operations, torch.Generator().manual_seed(4))
    steps = []
    for entry in range(9):
        for shift in (1, 2):
            changed = operations.tables.clone()
            changed[:, entry] = (changed[:, entry] + 1 + shift) % 3 - 1
            steps.append((encode(changed).mu_a - mu).norm(dim=1))
    each = torch.stack(steps).mean(dim=0)
    assert section.operations == 500
    # Five standard errors of the mean of 500.
    assert section.mean_distance == pytest.approx(float(each.mean()), abs=5 * float(each.std()) / 500**0.5)
