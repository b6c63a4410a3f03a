"""Homes of hand-built pairs, and McNemar's test against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from known_decoders import ALL, ThresholdDecoder
from scipy import stats

from ternary_vae.model import Posteriors
from ternary_vae.resolution import complementarity
from ternary_vae.resolution.complementarity import NoiseOutcome
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.space import TWO_INPUT_TERNARY


def outcome(only_a: list[int], only_b: list[int], draws: int = 64) -> NoiseOutcome:
    first, second = torch.tensor(only_a), torch.tensor(only_b)
    return NoiseOutcome(first, second, draws - first - second, draws)


def posteriors(mu_a: torch.Tensor, mu_b: torch.Tensor) -> Posteriors:
    return Posteriors(mu_a, torch.zeros_like(mu_a), mu_b, torch.zeros_like(mu_b))


def test_fewer_errors_decide_before_noise_does() -> None:
    errors_a = torch.tensor([0, 2, 1, 1, 1, 0])
    errors_b = torch.tensor([1, 0, 1, 1, 1, 0])
    noise = outcome([0, 64, 20, 0, 5, 0], [64, 0, 0, 20, 3, 0])
    assert complementarity.home_table(errors_a, errors_b, noise).tolist() == [1, -1, 1, -1, 0, 0]
    section = complementarity.complementary_coverage(errors_a, errors_b, noise)
    assert (section.home_a, section.home_b, section.home_neither) == (2, 2, 2)
    assert section.complementarity_score == 1.0
    assert (section.errors_a_fewer, section.errors_b_fewer) == (1, 1)
    assert section.complementarity_score_by_errors == 1.0
    assert section.share_a == 0.5


def test_the_score_is_the_smaller_count_over_the_larger() -> None:
    errors_a = torch.tensor([0] * 3 + [1] * 12)
    errors_b = torch.tensor([1] * 3 + [0] * 12)
    section = complementarity.complementary_coverage(errors_a, errors_b, outcome([0] * 15, [0] * 15))
    assert section.complementarity_score == section.complementarity_score_by_errors == 0.25
    assert section.share_a == 0.2


def test_perfect_twins_are_home_nowhere_and_have_no_score() -> None:
    zeros = torch.zeros(10, dtype=torch.long)
    section = complementarity.complementary_coverage(zeros, zeros, outcome([0] * 10, [0] * 10))
    assert section.complementarity_score is None
    assert section.complementarity_score_by_errors is None
    assert section.share_a is None
    assert section.home_neither == 10
    assert section.exact_under_noise_ensemble == 1.0
    assert section.ensemble_gain == section.ensemble_gain_by_chance == 0.0


def test_gain_of_the_ensemble_by_hand() -> None:
    zeros = torch.zeros(2, dtype=torch.long)
    noise = NoiseOutcome(torch.tensor([2, 0]), torch.tensor([1, 3]), torch.tensor([4, 5]), 10)
    section = complementarity.complementary_coverage(zeros, zeros, noise)
    assert section.exact_under_noise_a == 11 / 20
    assert section.exact_under_noise_b == 13 / 20
    assert section.exact_under_noise_ensemble == 15 / 20
    assert section.ensemble_gain == pytest.approx(2 / 20)
    assert section.ensemble_gain_by_chance == pytest.approx(1 - 0.45 * 0.35 - 0.65)


def test_gain_if_operations_were_shuffled() -> None:
    """Operations of known difficulty, hard for one VAE where easy for the other, with outcomes that also go together
    draw by draw. The expectation is known exactly; five standard errors of the sample are allowed."""
    generator = np.random.default_rng(5)
    count, draws = 4000, 16
    hard_a = generator.uniform(size=count)
    rate_a, rate_b = 0.9 - 0.6 * hard_a, 0.3 + 0.6 * hard_a**2
    common = generator.uniform(size=(draws, count))  # one number decides for both: as dependent as can be
    exact_a, exact_b = common < rate_a, common < rate_b
    only_a, only_b, both = exact_a & ~exact_b, exact_b & ~exact_a, exact_a & exact_b
    noise = NoiseOutcome(*(torch.from_numpy(each.sum(axis=0)) for each in (only_a, only_b, both)), draws)
    expected = np.cov(rate_a, rate_b, bias=True)[0, 1]
    found = complementarity.covariance_between_operations(noise)
    assert found == pytest.approx(expected, abs=0.004)
    assert expected < -0.02
    zeros = torch.zeros(count, dtype=torch.long)
    section = complementarity.complementary_coverage(zeros, zeros, noise)
    assert section.ensemble_gain_if_shuffled == pytest.approx(section.ensemble_gain + found)
    # The same outcomes with B's operations exchanged: nothing is left to gain from.
    order = generator.permutation(count)
    shuffled = (exact_a & exact_b[:, order]).mean() - exact_a.mean() * exact_b.mean()
    assert abs(shuffled) < 0.004


def test_one_draw_says_nothing_of_how_operations_differ() -> None:
    one = torch.tensor([1, 0, 1])
    assert complementarity.covariance_between_operations(NoiseOutcome(one, 1 - one, 0 * one, 1)) is None


@pytest.mark.parametrize("sigma", [0.1, complementarity.NOISE_SIGMA])
def test_the_section_says_under_which_noise_it_was_measured(sigma: float) -> None:
    decoder, few = ThresholdDecoder(), slice(0, None, 37)
    some, means = ALL.rows(few), posteriors(decoder.means("A")[few], decoder.means("B")[few])
    noise = complementarity.decode_under_noise(decoder, means, some, named_generator(2, "noise", "cpu"), sigma, draws=8)
    zeros = torch.zeros(len(some.tables), dtype=torch.long)
    section = complementarity.complementary_coverage(zeros, zeros, noise)
    assert (section.noise_sigma, section.noise_draws) == (sigma, 8)
    assert section.exact_under_noise_a == pytest.approx(decoder.exact_rate(sigma), abs=0.02)


def test_mcnemar_agrees_with_the_binomial_test_everywhere() -> None:
    draws = 24
    pairs = [(a, b) for a in range(draws + 1) for b in range(draws + 1 - a)]
    only_a, only_b = (torch.tensor(side) for side in zip(*pairs))
    measured = complementarity.really_more_often(only_a, only_b, draws).tolist()
    slow = [a + b > 0 and stats.binomtest(a, a + b).pvalue <= 0.01 for a, b in pairs]
    assert measured == slow
    assert not complementarity.really_more_often(torch.tensor([7]), torch.tensor([0]), draws).any()
    assert complementarity.really_more_often(torch.tensor([8]), torch.tensor([0]), draws).all()


def test_each_half_is_at_home_where_its_code_is_robust() -> None:
    decoder = ThresholdDecoder()
    half = TWO_INPUT_TERNARY.operations // 2
    robust_first = torch.where(torch.arange(TWO_INPUT_TERNARY.operations) < half, 1.6, 0.6)[:, None]
    robust_rest = torch.where(torch.arange(TWO_INPUT_TERNARY.operations) < half, 0.6, 1.6)[:, None]
    both = posteriors(decoder.means("A", robust_first), decoder.means("B", robust_rest))
    noise = complementarity.decode_under_noise(decoder, both, ALL, named_generator(2, "noise", "cpu"), draws=32)
    zeros = torch.zeros(TWO_INPUT_TERNARY.operations, dtype=torch.long)
    homes = complementarity.home_table(zeros, zeros, noise)
    # Operations with few ends (entries ±1) have no difference to find; few of the rest may be missed, none mistaken.
    assert int((homes[:half] == 1).sum()) > 0.85 * half
    assert int((homes[half:] == -1).sum()) > 0.85 * half
    assert int((homes[:half] == -1).sum()) + int((homes[half:] == 1).sum()) == 0
    section = complementarity.complementary_coverage(zeros, zeros, noise)
    assert section.complementarity_score > 0.98
    assert section.complementarity_score_by_errors is None
    # Each rate is the mean of the closed form for its two halves; five standard errors of 630,000 decodings.
    expected = (decoder.exact_rate(0.3, 1.6) + decoder.exact_rate(0.3, 0.6)) / 2
    assert section.exact_under_noise_a == pytest.approx(expected, abs=0.01)
    assert section.exact_under_noise_b == pytest.approx(expected, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5))
def test_an_outcome_is_made_again_from_its_counts(outcomes: list[tuple[int, int, int]]) -> None:
    rows = torch.tensor(outcomes).T
    outcome = complementarity.NoiseOutcome(*rows, draws=27)
    counts = outcome.counts()
    assert counts.sum(dim=0).tolist() == [27] * len(outcomes)
    again = complementarity.NoiseOutcome.of_counts(counts)
    assert again.draws == 27
    assert all(torch.equal(one, other) for one, other in zip(again[:3], outcome[:3]))


def test_equal_vaes_under_the_same_noise_never_differ_and_under_other_noise_seldom_seem_to() -> None:
    decoder = ThresholdDecoder()
    mu = decoder.means("A", 0.9)

    class Twin:
        """B decodes as A does."""

        sizes = decoder.sizes

        def decode(self, z: torch.Tensor, vae: str) -> torch.Tensor:
            return decoder.decode(z, "A")

    noise = complementarity.decode_under_noise(Twin(), posteriors(mu, mu), ALL, named_generator(3, "n", "cpu"), draws=8)
    assert int(noise.only_a.sum()) == int(noise.only_b.sum()) == 0

    # A and B read different coordinates: equal rates, unlike outcomes. By chance below 1% find a home.
    other = posteriors(decoder.means("A", 0.9), decoder.means("B", 0.9))
    noise = complementarity.decode_under_noise(decoder, other, ALL, named_generator(4, "n", "cpu"), draws=32)
    zeros = torch.zeros(TWO_INPUT_TERNARY.operations, dtype=torch.long)
    assert int(noise.only_a.sum()) > 10_000
    assert int((complementarity.home_table(zeros, zeros, noise) != 0).sum()) < 0.01 * TWO_INPUT_TERNARY.operations
