"""Intervals against scipy, entropy against known distributions and a slow sum, generators against each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from known_decoders import ThresholdDecoder
from scipy import stats

from ternary_vae.resolution.statistics import entropy_bits, named_generator, repeat_interval
from ternary_vae.space import TWO_INPUT_TERNARY


def test_the_interval_is_students() -> None:
    shares = [0.91, 0.92, 0.915, 0.93, 0.9]
    interval = repeat_interval(shares)
    low, high = stats.t.interval(0.95, 4, loc=interval.mean, scale=stats.sem(shares))
    assert interval.mean == pytest.approx(sum(shares) / 5, abs=1e-12)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert interval.repeats == 5


def test_an_interval_of_shares_stays_a_share_and_needs_repeats() -> None:
    assert repeat_interval([1.0, 0.99]).high == 1.0
    assert repeat_interval([0.0, 0.01]).low == 0.0
    with pytest.raises(ValueError, match="two repeats"):
        repeat_interval([0.5])


def plug_in_bits(counts: torch.Tensor) -> float:
    share = counts[counts > 0].double() / counts.sum()
    return float(-(share * share.log2()).sum())


@pytest.mark.parametrize(("draws", "tolerance"), [(400_000, 0.002), (40_000, 0.02)])
def test_entropy_of_uniform_draws_is_nearly_unbiased(draws: int, tolerance: float) -> None:
    index = torch.randint(TWO_INPUT_TERNARY.operations, (draws,), generator=named_generator(1, "uniform", "cpu"))
    counts = torch.bincount(index, minlength=TWO_INPUT_TERNARY.operations)
    assert entropy_bits(counts) == pytest.approx(TWO_INPUT_TERNARY.bits, abs=tolerance)
    assert abs(plug_in_bits(counts) - TWO_INPUT_TERNARY.bits) > 10 * tolerance


def test_entropy_of_a_known_uneven_distribution() -> None:
    probabilities = ThresholdDecoder(threshold=0.8).prior_probabilities()
    exact = float(-(probabilities * probabilities.log2()).sum())
    index = probabilities.float().multinomial(400_000, True, generator=named_generator(1, "uneven", "cpu"))
    counts = torch.bincount(index, minlength=TWO_INPUT_TERNARY.operations)
    # The standard error is √(Var log2 p / N), here about 0.003 bits.
    assert entropy_bits(counts) == pytest.approx(exact, abs=0.012)
    assert plug_in_bits(counts) < exact - 0.02


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60).filter(any))
@example([1] * 10 + [300] * 3)  # none met twice, and so many in all that the integral is exact
@settings(max_examples=60)
def test_entropy_agrees_with_the_papers_sums(counts: list[int]) -> None:
    """The two sums as they are printed, term by term; the integral that replaces the second differs by 1/N."""
    total = sum(counts)
    nats = sum(n / total * sum(1 / k for k in range(n, total)) for n in counts if n)
    once, twice = counts.count(1), counts.count(2)
    tail = 0.0
    if once and total > 1:
        missing = 2 * twice / ((total - 1) * once + 2 * twice) if twice else 2 / ((total - 1) * (once - 1) + 2)
        if missing < 1:
            logarithm = -math.log(missing) - sum((1 - missing) ** r / r for r in range(1, total))
            tail = once / total * logarithm * (1 - missing) ** (1 - total)
    allowed = 1e-9 + 2 * tail / total + 2 * (once / total) / total
    assert entropy_bits(torch.tensor(counts)) * math.log(2) == pytest.approx(nats + tail, abs=allowed)


def test_the_entropy_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no draws"):
        entropy_bits(torch.zeros(5, dtype=torch.long))


def test_generators_depend_on_seed_and_name_alone() -> None:
    def first(seed: int, name: str) -> float:
        return float(torch.rand((), generator=named_generator(seed, name, "cpu")))

    assert first(0, "a") == first(0, "a")
    assert len({first(0, "a"), first(1, "a"), first(0, "b"), first(-1, "a")}) == 4
