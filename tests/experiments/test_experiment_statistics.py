"""Paired statistics against published and closed-form answers, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ternary_vae.experiments.statistics import compare_pairs, detectable_difference, holm, paired_power, summarise

# Student's own example (The probable error of a mean, Biometrika 6, 1908, 1–25): additional hours of sleep of ten
# patients under two drugs. Mean difference 1.58, standard deviation 1.23, t = 4.06 with 9 degrees of freedom.
FIRST_DRUG = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND_DRUG = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def test_students_sleep_data() -> None:
    actual = compare_pairs(SECOND_DRUG, FIRST_DRUG)
    assert actual.summary.mean == pytest.approx(1.58)
    assert actual.summary.deviation == pytest.approx(1.230, abs=5e-4)
    assert actual.summary.mean / actual.summary.deviation * math.sqrt(10) == pytest.approx(4.0621, abs=5e-5)
    assert actual.p == pytest.approx(0.002833, abs=5e-7)
    assert (actual.summary.low, actual.summary.high) == (
        pytest.approx(0.7001, abs=5e-5),
        pytest.approx(2.4599, abs=5e-5),
    )
    assert actual.p == pytest.approx(stats.ttest_rel(SECOND_DRUG, FIRST_DRUG).pvalue, rel=1e-12)
    assert compare_pairs(FIRST_DRUG, SECOND_DRUG).p == actual.p


def test_two_pairs_in_closed_form() -> None:
    # One degree of freedom is the Cauchy distribution: differences 1 and 3 have t = 2, p = 1 − 2·atan(2)/π.
    actual = compare_pairs([1.0, 3.0], [0.0, 0.0])
    assert actual.p == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert actual.summary.high - 2 == pytest.approx(math.tan(math.pi * 0.475))


def test_one_pair_has_a_difference_and_no_more() -> None:
    actual = compare_pairs([0.9], [0.4])
    assert (actual.summary.count, actual.summary.mean) == (1, pytest.approx(0.5))
    assert (actual.summary.low, actual.summary.high, actual.p, actual.detectable) == (None, None, None, None)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.25, 2 * 0.5**5)])
def test_no_spread_is_judged_by_sign_flips_and_has_no_interval(shift: float, p: float) -> None:
    actual = compare_pairs([1.0] * 5, [1.0 - shift] * 5)
    assert actual.p == p
    assert (actual.summary.low, actual.summary.high, actual.detectable) == (None, None, None)


def test_rounding_is_no_spread() -> None:
    """Counts that differ by as much in every pair: as shares of 19,683, each difference is rounded its own way."""
    random = np.random.default_rng(5)
    for count in (2, 3, 5):
        for _ in range(200):
            second = random.integers(0, 19_000, count)
            shift = int(random.integers(1, 600))
            actual = compare_pairs([int(one + shift) / 19_683 for one in second], [int(one) / 19_683 for one in second])
            assert (actual.summary.low, actual.p) == (None, 2 * 0.5**count)
            assert actual.summary.mean == pytest.approx(shift / 19_683, rel=1e-10)
    # Among equal values a difference of a single operation is one.
    assert compare_pairs([0.5, 0.5 + 1 / 19_683], [0.5, 0.5]).summary.low is not None


def test_values_without_partner_and_nothing_at_all() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        compare_pairs([1.0], [])
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draws = np.random.default_rng(11).normal(0.3, 1.0, (4000, 5))
    held = sum(one.low <= 0.3 <= one.high for one in map(summarise, draws.tolist()))
    # Binomial spread of a share of 95% over 4,000 is 0.34 points; four of them.
    assert held / 4000 == pytest.approx(0.95, abs=0.014)


@pytest.mark.parametrize(
    ("count", "effect", "power"),
    # Sample sizes for a paired t test, two-sided 5%, power 80% (G*Power 3, matched pairs): d = 0.5 needs 34, 1.0 needs
    # 10; nine are too few.
    [(34, 0.5, 0.8078), (10, 1.0, 0.8031), (9, 1.0, 0.7480)],
)
def test_power_of_known_sizes(count: int, effect: float, power: float) -> None:
    assert paired_power(effect, count) == pytest.approx(power, abs=5e-4)


@pytest.mark.parametrize(("count", "effect"), [(2, 3.0), (5, 0.0), (5, 1.7), (10, 0.4)])
def test_power_is_the_noncentral_t_tail(count: int, effect: float) -> None:
    critical, shift = stats.t.isf(0.025, count - 1), effect * math.sqrt(count)
    tails = stats.nct.sf(critical, count - 1, shift) + stats.nct.cdf(-critical, count - 1, shift)
    assert paired_power(effect, count) == pytest.approx(tails, abs=1e-6)


def test_the_detectable_difference_is_detected_four_times_in_five() -> None:
    difference = detectable_difference(0.5, 5)
    draws = np.random.default_rng(12).normal(difference, 0.5, (4000, 5))
    seen = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.026)  # four binomial spreads
    assert detectable_difference(1.0, 5) == pytest.approx(2 * difference)
    with pytest.raises(ValueError, match="no power"):
        detectable_difference(1.0, 1)


def test_holm_on_a_worked_example() -> None:
    # By hand: 4·0.005, then 3·0.01, then 2·0.03, then 1·0.04, which must not be less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_claims_nothing_false_nineteen_times_in_twenty() -> None:
    generator = np.random.default_rng(13)
    false_claims = 0
    for _ in range(2000):
        common = generator.normal(size=(5, 1))
        values = 0.7 * common + 0.7 * generator.normal(size=(5, 8))  # eight measures that depend on each other
        p_values = stats.ttest_1samp(values, 0.0, axis=0).pvalue
        false_claims += min(holm(p_values.tolist())) < 0.05
    assert 0 < false_claims / 2000 < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)
