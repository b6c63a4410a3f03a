"""The noise that ideal axes bear: in closed form for three values, drawn for others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from known_decoders import THIRD, ThresholdDecoder
from scipy import stats

from ternary_vae.operations import random_operations
from ternary_vae.resolution.structure.codes import AxisCode
from ternary_vae.resolution.structure.ideal import ideal_exact_match, ideal_half_sigma, ideal_sigma
from ternary_vae.resolution.structure.noise import noise
from ternary_vae.space import Space


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.3, 0.4, 1.0])
def test_nine_ideal_axes_of_three_levels(sigma: float) -> None:
    expected = ThresholdDecoder().exact_rate(sigma, centre=3 * stats.norm.pdf(THIRD))
    assert ideal_exact_match(Space(), sigma) == pytest.approx(expected)


def test_figures_of_nine_ideal_axes() -> None:
    assert [round(ideal_exact_match(Space(), sigma), 3) for sigma in (0, 0.2, 0.3, 0.4)] == [1, 0.907, 0.575, 0.295]
    assert ideal_half_sigma(Space()) == pytest.approx(0.3225, abs=1e-4)


@pytest.mark.parametrize("space", [Space(3, 3), Space(4, 2), Space(2, 2)])
def test_noise_that_ideal_axes_bear_as_often(space: Space) -> None:
    """As often as nine axes of three levels bear 0.3: less with more entries or values, more with fewer."""
    share = ideal_exact_match(Space(), 0.3)
    sigma = ideal_sigma(space, share)
    assert ideal_exact_match(space, sigma) == pytest.approx(share)
    assert (sigma < 0.3) == (space.entries > 9)


def test_noise_that_drowns_everything_leaves_chance() -> None:
    for space in (Space(2, 2), Space(3, 1), Space(5, 1)):
        assert ideal_exact_match(space, 1e9) == pytest.approx(space.values**-space.entries)


def test_negative_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        ideal_exact_match(Space(), -0.1)


@pytest.mark.parametrize("space", [Space(2, 2), Space(3, 2), Space(4, 1), Space(5, 1)])
def test_ideal_axes_under_drawn_noise(space: Space) -> None:
    """Within five standard errors at every σ."""
    generator = torch.Generator().manual_seed(0)
    tables = random_operations(20_000, space, generator)
    code = AxisCode(space)
    found = noise(code, tables, code.encode(tables), generator)
    for measured, ideal in zip(found.measured.points, found.ideal_axes.points):
        error = math.sqrt(ideal.exact_match_rate * (1 - ideal.exact_match_rate) / len(tables))
        assert abs(measured.exact_match_rate - ideal.exact_match_rate) <= 5 * error + 1e-12
    half = found.ideal_axes.half_sigma
    assert half is not None
    assert ideal_exact_match(space, half) == pytest.approx(0.5)
    if half < found.measured.points[-1].sigma:
        assert found.measured.half_sigma == pytest.approx(half, rel=0.05)


def test_what_is_wrong_without_noise_counts_as_wrong() -> None:
    class Deaf(AxisCode):
        def decode(self, points):
            return torch.zeros(len(points), 9, dtype=torch.int8)

    tables = torch.from_numpy(Space().table(np.arange(19_683)))
    code = Deaf(Space())
    found = noise(code, tables, code.encode(tables), torch.Generator().manual_seed(0))
    assert {point.exact_match_rate for point in found.measured.points} == {1 / 19_683}
    assert found.measured.half_sigma is None


def test_a_space_so_small_that_half_is_lost_late_is_looked_at_further() -> None:
    tables = torch.from_numpy(Space(2, 1).table(np.arange(4)))
    code = AxisCode(Space(2, 1))
    found = noise(code, tables, code.encode(tables), torch.Generator().manual_seed(0))
    assert found.measured.points[-1].sigma >= 2 * ideal_half_sigma(Space(2, 1)) > 1
