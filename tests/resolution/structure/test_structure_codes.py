"""Codes of known structure: levels in closed form, decoding that undoes encoding, distances that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from ternary_vae.operations import hamming_distance, random_operations
from ternary_vae.resolution.structure.codes import AxisCode, RandomOrthogonalCode, right
from ternary_vae.resolution.structure.ideal import normal_levels
from ternary_vae.space import Space

SPACES = (Space(2, 2), Space(3, 1), Space(3, 2), Space(4, 1), Space(5, 1), Space(3, 3))


@pytest.mark.parametrize("values", [2, 3, 4, 7])
def test_levels_are_the_means_of_equally_likely_parts_of_a_normal(values: int) -> None:
    cuts, levels = normal_levels(values)
    ends = [-np.inf, *cuts.tolist(), np.inf]
    for low, high, level in zip(ends, ends[1:], levels.tolist()):
        assert stats.norm.cdf(high) - stats.norm.cdf(low) == pytest.approx(1 / values)
        mean, _ = integrate.quad(lambda x: x * stats.norm.pdf(x), low, high)
        assert level == pytest.approx(values * mean, abs=1e-7)


@given(space=st.sampled_from(SPACES), seed=st.integers(0, 2**32), extra=st.integers(0, 3))
def test_decoding_undoes_encoding(space: Space, seed: int, extra: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tables = random_operations(50, space, generator)
    orders = torch.rand(space.entries, space.values, generator=generator).argsort(dim=1)
    wide = RandomOrthogonalCode(space, space.entries * (space.values - 1) + extra, generator)
    for code in (AxisCode(space), AxisCode(space, orders), wide):
        found = right(code.decode(code.encode(tables)), tables)
    assert (found.entry_rate, found.exact_rate) == (1, 1)


def test_an_axis_holds_its_values_in_the_order_given() -> None:
    orders = torch.tensor([[1, 2, 0]]).expand(9, -1)
    points = AxisCode(Space(), orders).encode(torch.tensor([[0] * 9, [1] * 9, [-1] * 9], dtype=torch.int8))
    assert points[:, 4].tolist() == pytest.approx([-1.0907, 0, 1.0907], abs=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_in_a_random_orthogonal_code_distance_is_the_root_of_hamming_distance(space: Space) -> None:
    """Any two corners of a simplex are equally far apart: √(2q) with variance 1 in each dimension."""
    generator = torch.Generator().manual_seed(0)
    code = RandomOrthogonalCode(space, space.entries * (space.values - 1), generator)
    first, second = (random_operations(200, space, generator) for _ in range(2))
    apart = (code.encode(first) - code.encode(second)).norm(dim=1)
    assert torch.allclose(apart, (2 * space.values * hamming_distance(first, second).double()).sqrt())


def test_every_dimension_of_a_random_orthogonal_code_has_variance_one() -> None:
    space = Space()
    tables = torch.from_numpy(space.table(np.arange(space.operations)))
    points = RandomOrthogonalCode(space, 16, torch.Generator().manual_seed(1)).encode(tables)
    assert torch.allclose(torch.cov(points.T, correction=0), torch.eye(16, dtype=torch.float64), atol=1e-9)


def test_with_room_to_spare_a_random_orthogonal_code_has_variance_one_in_the_mean() -> None:
    space = Space(2, 2)
    tables = torch.from_numpy(space.table(np.arange(space.operations)))
    points = RandomOrthogonalCode(space, 7, torch.Generator().manual_seed(1)).encode(tables)
    assert float(points.var(dim=0, correction=0).mean()) == pytest.approx(1)
