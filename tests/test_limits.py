"""Limits against exhaustive enumeration, exact fractions and the figures of the coupon collector."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.limits import completion_odds, coverage_limit, coverage_standard_deviation
from ternary_vae.space import TWO_INPUT_TERNARY


@pytest.mark.parametrize(("draws", "cells"), [(1, 2), (3, 2), (2, 3), (4, 3), (5, 3), (3, 4), (6, 4)])
def test_mean_and_spread_by_enumerating_every_sequence(draws, cells):
    counts = [len(set(sequence)) for sequence in itertools.product(range(cells), repeat=draws)]
    mean = Fraction(sum(counts), len(counts))
    variance = Fraction(sum(c * c for c in counts), len(counts)) - mean**2
    assert coverage_limit(draws, cells) == pytest.approx(float(mean / cells), rel=1e-12)
    assert coverage_standard_deviation(draws, cells) == pytest.approx(math.sqrt(variance) / cells, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("draws", "cells"),
    [(0, 9), (1, 9), (2, 2), (3, 2), (2, 10**6), (1000, 10**6), (5000, 3), (9999, 2**32), (9999, 3**27), (999, 5**25)],
)
def test_spread_is_the_exact_integers(draws, cells):
    """Of K cells, each empty with (1 − 1/K)^N and each pair with (1 − 2/K)^N, over the denominator K^2N."""
    whole, empty, both_empty = cells**draws, (cells - 1) ** draws, (cells - 2) ** draws
    variance = cells * empty * whole + cells * (cells - 1) * both_empty * whole - (cells * empty) ** 2
    expected = math.sqrt(variance / whole**2) / cells
    assert coverage_standard_deviation(draws, cells) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("cells", [2**32, 3**27, 2**64, 4**64])
def test_spread_of_few_draws_is_that_of_their_pairs(cells):
    """Draws that agree are then nearly a Poisson number with a mean of N (N − 1) / 2K."""
    expected = math.sqrt(100_000 * 99_999 / 2 / cells) / cells
    assert coverage_standard_deviation(100_000, cells) == pytest.approx(expected, rel=1e-4, abs=0)


@given(st.integers(0, 400_000), st.integers(1, 30_000))
def test_limit_is_a_share_and_grows_with_draws(draws, cells):
    assert 0 <= coverage_limit(draws, cells) <= coverage_limit(draws + 1, cells) <= 1


@given(st.integers(0, 400), st.integers(1, 40))
def test_limit_of_few_cells_is_the_exact_fraction(draws, cells):
    assert coverage_limit(draws, cells) == pytest.approx(float(1 - (1 - Fraction(1, cells)) ** draws), rel=1e-12, abs=0)


def test_known_figures():
    assert round(coverage_limit(50_000), 4) == 0.9212
    assert round(coverage_limit(100_000), 4) == 0.9938
    assert coverage_limit(0) == 0
    assert round(TWO_INPUT_TERNARY.bits, 2) == 14.26


def test_uniform_draws_meet_limit_and_spread():
    # 40 repeats of 20,000 draws: the mean is known to 1/√40 spreads; five of those are allowed. The sample
    # spread has a relative error of 1/√78 = 11%; 50% is allowed.
    generator = torch.Generator().manual_seed(1)
    shares = torch.stack(
        [
            torch.randint(19_683, (20_000,), generator=generator).bincount(minlength=19_683).bool().double().mean()
            for _ in range(40)
        ]
    )
    spread = coverage_standard_deviation(20_000)
    assert abs(float(shares.mean()) - coverage_limit(20_000)) < 5 * spread / 40**0.5
    assert 0.5 < float(shares.std()) / spread < 1.5


@pytest.mark.parametrize("figure", [coverage_limit, coverage_standard_deviation])
@pytest.mark.parametrize(("draws", "cells"), [(-1, 3), (3, 0), (-1, 1)])
def test_impossible_counts_are_refused(figure, draws, cells):
    with pytest.raises(ValueError, match="draws ≥ 0 and cells ≥ 1"):
        figure(draws, cells)


def test_one_cell_is_covered_by_one_draw():
    assert (coverage_limit(0, 1), coverage_limit(1, 1), coverage_standard_deviation(5, 1)) == (0, 1, 0)


def test_completion_odds_against_simulation_and_its_best_case():
    # 20 missing cells of equal probability 0.2/20 each: the bound is met with equality.
    generator = torch.Generator().manual_seed(0)
    weights = torch.cat([torch.full((20,), 0.01), torch.tensor([0.8])])
    draws, trials = 400, 4000
    drawn = torch.multinomial(weights.expand(trials, -1), draws, replacement=True, generator=generator)
    complete = sum(int((torch.bincount(row, minlength=21)[:20] > 0).all()) for row in drawn) / trials
    bound = completion_odds(20, 0.2, draws)
    # Four standard errors of the simulated share.
    assert abs(complete - bound) < 4 * (bound * (1 - bound) / trials) ** 0.5
    # Unequal shares of the same mass can only be worse.
    shares = [0.001 * (k + 1) for k in range(19)] + [0.2 - 0.001 * 190]
    exact = math.prod(1 - math.exp(-draws * share) for share in shares)
    assert exact < bound


@pytest.mark.parametrize(
    ("missing", "mass", "draws", "odds"), [(0, 0.0, 0, 1.0), (3, 0.1, 0, 0.0), (1, 1.0, 1000, 1.0)]
)
def test_completion_odds_at_the_ends(missing, mass, draws, odds):
    assert completion_odds(missing, mass, draws) == pytest.approx(odds)


@pytest.mark.parametrize(("missing", "mass", "draws"), [(-1, 0.1, 1), (1, 1.1, 1), (1, 0.1, -1)])
def test_completion_odds_refuses_nonsense(missing, mass, draws):
    with pytest.raises(ValueError, match="need missing"):
        completion_odds(missing, mass, draws)
