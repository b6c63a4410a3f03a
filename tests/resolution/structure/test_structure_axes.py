"""What axes carry: ideal axes, the same turned, values in another order, and a code that is no sum over entries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ternary_vae.operations import random_operations
from ternary_vae.resolution.structure.axes import axes, explained, explained_of_sample, level_means, level_orders
from ternary_vae.resolution.structure.codes import AxisCode, RandomOrthogonalCode
from ternary_vae.space import Space

SPACE = Space()
ALL = torch.from_numpy(SPACE.table(np.arange(SPACE.operations)))
LEVEL_VARIANCE = 2 / 3 * (3 * stats.norm.pdf(stats.norm.ppf(1 / 3))) ** 2


def test_ideal_axes_are_an_entry_each() -> None:
    points = torch.nn.functional.pad(AxisCode(SPACE).encode(ALL), (3, 4))
    found = axes(ALL, points, SPACE)
    assert found.active_units == 9
    assert found.variances == pytest.approx([0] * 3 + [LEVEL_VARIANCE] * 9 + [0] * 4, abs=1e-6)
    assert np.array(found.carried) == pytest.approx(np.pad(np.eye(9), ((3, 4), (0, 0))), abs=1e-9)
    assert (found.one_entry_share, found.additive_share) == pytest.approx((1, 1))
    assert found.variance_an_entry == pytest.approx(LEVEL_VARIANCE, abs=1e-6)
    assert found.largest_cosine == pytest.approx(0, abs=1e-9)
    for entry, levels in enumerate(found.entries):
        assert (levels.dimension, levels.order) == (entry + 3, [-1, 0, 1])
        assert (levels.aligned_share, levels.line_share) == pytest.approx((1, 1))
        assert levels.levels == pytest.approx([-1.0908, 0, 1.0908], abs=1e-4)


def test_axes_that_are_turned_are_still_lines_at_right_angles() -> None:
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    found = axes(ALL, AxisCode(SPACE).encode(ALL) @ turn[:9], SPACE)
    assert found.one_entry_share < 0.6
    assert found.additive_share == pytest.approx(1)
    assert found.largest_cosine == pytest.approx(0, abs=1e-9)
    for levels in found.entries:
        assert levels.aligned_share < 0.8
        assert levels.line_share == pytest.approx(1)
        assert levels.levels == pytest.approx([-1.0908, 0, 1.0908], abs=1e-4)


def test_corners_of_a_triangle_lie_on_no_line() -> None:
    """Of an equilateral triangle's variance any line holds one half."""
    points = RandomOrthogonalCode(SPACE, 18, torch.Generator().manual_seed(0)).encode(ALL)
    assert [levels.line_share for levels in axes(ALL, points, SPACE).entries] == pytest.approx([0.5] * 9)


def test_what_a_sample_explains_by_chance_is_taken_off() -> None:
    """Of 2,000 operations of 27 entries with random points 2.7% are explained by chance. Over seeds the rest has a
    standard deviation of 0.1%."""
    generator = torch.Generator().manual_seed(0)
    space = Space(3, 3)
    tables = random_operations(2_000, space, generator)
    points = torch.randn(2_000, 30, generator=generator, dtype=torch.float64)
    levels, variance = level_means(tables, points, space), points.var(dim=0, correction=0)
    alone = explained(levels)
    assert float(alone.sum() / variance.sum()) == pytest.approx(54 / 2_000, abs=4e-3)
    left = explained_of_sample(alone, variance, len(tables), space)
    assert float(left.sum() / variance.sum()) == pytest.approx(0, abs=4e-3)
    assert torch.equal(explained_of_sample(alone, variance, space.operations, space), alone)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [1, 0, 2]])
def test_the_order_of_values_on_an_axis_is_found(order: list[int]) -> None:
    orders = torch.tensor(order).expand(9, -1)
    for sign in (1, -1):
        points = sign * AxisCode(SPACE, orders).encode(ALL)
        assert torch.equal(level_orders(level_means(ALL, points, SPACE)), orders)


def test_what_only_two_entries_together_explain_is_not_additive() -> None:
    points = torch.stack([ALL[:, 0] * ALL[:, 1], ALL[:, 2]], dim=1).double()
    found = axes(ALL, points, SPACE)
    assert found.carried[0] == pytest.approx([0] * 9, abs=1e-9)
    assert found.carried[1][2] == pytest.approx(1)
    assert found.additive_share == pytest.approx((2 / 3) / (2 / 3 + 4 / 9))


def test_a_unit_is_active_above_the_threshold() -> None:
    signs = ALL[:, :3].double() * torch.tensor([0.1, 0.12, 0.13]) / (2 / 3) ** 0.5
    assert axes(ALL, signs, SPACE).variances == pytest.approx([0.01, 0.0144, 0.0169])
    assert axes(ALL, signs * 0.99, SPACE).active_units == 2


def test_a_code_that_never_varies_carries_nothing() -> None:
    found = axes(ALL, torch.ones(len(ALL), 4, dtype=torch.float64), SPACE)
    assert (found.active_units, found.additive_share, found.one_entry_share) == (0, 0, 0)
    assert found.carried == [[0.0] * 9] * 4
