"""Exact intervals against scipy's, their definitions and counted chances."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ternary_vae.resolution.intervals import clopper_pearson, poisson_interval, smaller_over_larger


@given(st.integers(2, 400), st.data())
def test_the_interval_of_a_share_is_scipys(trials: int, data: st.DataObject) -> None:
    """Where some succeed and some do not; of others see below."""
    successes = data.draw(st.integers(1, trials - 1))
    low, high = clopper_pearson(successes, trials)
    exact = stats.binomtest(successes, trials).proportion_ci(method="exact")
    assert (low, high) == (pytest.approx(exact.low, abs=1e-12), pytest.approx(exact.high, abs=1e-12))


@pytest.mark.parametrize("trials", [1, 30, 100_000])
def test_where_all_succeed_the_interval_has_one_side(trials: int) -> None:
    low, high = clopper_pearson(trials, trials)
    assert low**trials == pytest.approx(0.05, rel=1e-6)  # the share at which so many successes are one in twenty
    assert high == 1
    assert clopper_pearson(0, trials) == (0, pytest.approx(1 - low, rel=1e-6))


@given(st.integers(0, 300))
def test_the_interval_of_a_poisson_number_inverts_its_distribution(count: int) -> None:
    low, high = poisson_interval(count)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, rel=1e-6)
    assert low == 0 if count == 0 else stats.poisson.sf(count - 1, low) == pytest.approx(0.025, rel=1e-6)


@given(st.tuples(st.integers(0, 300), st.integers(0, 300)).filter(any))
def test_the_interval_of_a_ratio_is_that_of_the_smaller_share(counts: tuple[int, int]) -> None:
    """The share of the smaller count lies where that of either would; its odds are the ratio, up to 1."""
    first, second = counts
    low, high = smaller_over_larger(first, second)
    assert (low, high) == pytest.approx(tuple(smaller_over_larger(second, first)), abs=1e-9)
    assert 0 <= low <= min(first, second) / max(first, second) <= high + 1e-12 <= 1 + 1e-12
    fewest, most = clopper_pearson(min(first, second), first + second)
    if most < 0.5:
        assert (low, high) == (pytest.approx(fewest / (1 - fewest)), pytest.approx(most / (1 - most)))
    else:
        assert high == 1


def test_the_interval_of_a_ratio_holds_it_in_95_of_100() -> None:
    """Every outcome of 60 homes of which 40% are in A, weighted with its chance: exact intervals are conservative."""
    chances = stats.binom.pmf(range(61), 60, 0.4)
    held = sum(
        chance for first, chance in enumerate(chances)
        if (found := smaller_over_larger(first, 60 - first)).low <= 0.4 / 0.6 <= found.high
    )  # fmt: skip
    assert 0.95 <= held < 1
