"""Arithmetic of codes: what is wanted by Python's own arithmetic, what ideal axes give in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ternary_vae.operations import random_operations
from ternary_vae.resolution.structure.arithmetic import (
    affine_map,
    arithmetic,
    negated,
    pairs_in_range,
    sum_cut,
    sum_modulo,
    symmetries,
)
from ternary_vae.resolution.structure.codes import AxisCode, RandomOrthogonalCode
from ternary_vae.space import Space

PAIRS = 5_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def values(space: Space) -> range:
    return range(space.lowest, space.lowest + space.values)


@pytest.mark.parametrize("space", [Space(2, 1), Space(3, 1), Space(4, 1), Space(5, 1)])
def test_sums_of_single_values(space: Space) -> None:
    for first, second in itertools.product(values(space), repeat=2):
        one, other = (torch.tensor([[value]], dtype=torch.int8) for value in (first, second))
        wrapped = int(sum_modulo(one, other, space))
        assert wrapped in values(space)
        assert (wrapped - first - second) % space.values == 0
        assert int(sum_cut(one, other, space)) == min(max(first + second, space.lowest), values(space)[-1])
    for place, value in enumerate(values(space)):
        assert int(negated(torch.tensor([[value]], dtype=torch.int8), space)) == values(space)[-1 - place]


@pytest.mark.parametrize("space", [Space(3, 2), Space(4, 1)])
def test_pairs_in_range_are_uniform_among_those(space: Space) -> None:
    """Each of the allowed pairs of values comes as often as any other, within five standard errors."""
    first, second = pairs_in_range(space, 20_000, generator())
    allowed = [pair for pair in itertools.product(values(space), repeat=2) if sum(pair) in values(space)]
    total, share = first.numel(), 1 / len(allowed)
    for one, other in allowed:
        count = int(((first == one) & (second == other)).sum())
        assert abs(count - total * share) < 5 * math.sqrt(total * share * (1 - share))
    assert set((first + second).unique().tolist()) == set(values(space))


@pytest.mark.parametrize("space", [Space(2, 2), Space(3, 2), Space(4, 2), Space(5, 1)])
def test_ideal_axes_add_what_needs_no_wrap_around(space: Space) -> None:
    """Of three levels 7/9 of the entries, and (7/9)^9 = 10.4% of the tables of nine. Within five standard errors."""
    found = arithmetic(AxisCode(space), generator(), PAIRS)
    if space.values == 3:
        assert found.sum_in_range.exact_rate == found.sum_cut.exact_rate == 1
        ideal = 7 / 9  # of nine sums of −1, 0 and 1 two leave the range
        error = 5 * math.sqrt(ideal * (1 - ideal) / (PAIRS * space.entries))
        assert found.sum_modulo.entry_rate == pytest.approx(ideal, abs=error)
        whole = ideal**space.entries
        assert found.sum_modulo.exact_rate == pytest.approx(whole, abs=5 * math.sqrt(whole * (1 - whole) / PAIRS))
    assert found.negation.exact_rate == 1


def test_axes_with_another_value_in_the_middle_do_not_add() -> None:
    """0, 1, −1 from left to right: z(f) + z(g) − z(0) is one step further than 0 for a 1 and two for a −1, so that of
    the seven pairs in range only those with a 0 are right, and negation exchanges 0 and −1."""
    space = Space()
    found = arithmetic(AxisCode(space, torch.tensor([[1, 2, 0]]).expand(9, -1)), generator(), PAIRS)
    assert found.sum_in_range.entry_rate == pytest.approx(5 / 7, abs=5 * math.sqrt(10 / 49 / (9 * PAIRS)))
    assert found.negation.entry_rate == 0


@pytest.mark.parametrize("space", [Space(3, 2), Space(2, 3), Space(3, 1)])
def test_symmetries_are_what_they_are_called(space: Space) -> None:
    tables = random_operations(5, space, generator())
    known = symmetries(space)
    assert ("inputs_exchanged" in known) == (space.inputs > 1)
    numbers = [tuple(row) for row in space.arguments().tolist()]
    turned = {value: place for place, value in zip(values(space), reversed(values(space)))}
    raised = {value: values(space)[(place + 1) % space.values] for place, value in enumerate(values(space))}
    for table in tables:
        function = dict(zip(numbers, table.tolist()))
        expected = {
            "inputs_exchanged": [function[(b, a, *rest)] for a, b, *rest in numbers] if space.inputs > 1 else [],
            "inputs_negated": [function[tuple(turned[value] for value in inputs)] for inputs in numbers],
            "first_input_raised": [function[(raised[a], *rest)] for a, *rest in numbers],
            "answer_negated": [turned[function[inputs]] for inputs in numbers],
            "answer_raised": [raised[function[inputs]] for inputs in numbers],
        }
        for name, change in known.items():
            assert change(table[None])[0].tolist() == expected[name], name


def test_symmetries_of_ideal_axes() -> None:
    """Whatever moves entries is linear. Raising the answer takes −1, 0, 1 to 0, 1, −1: the best line through these
    has slope −1/2, and what it answers is cut to 1, 0, −1, of which one in three is right."""
    found = arithmetic(AxisCode(Space()), generator(), PAIRS).affine_maps
    for name in ("inputs_exchanged", "inputs_negated", "first_input_raised", "answer_negated"):
        assert (found[name].explained, found[name].exact_rate) == pytest.approx((1, 1))
    assert found["answer_raised"].explained == pytest.approx(1 / 4, abs=0.02)
    judged = 9 * found["answer_raised"].judged_on
    assert found["answer_raised"].entry_rate == pytest.approx(1 / 3, abs=5 * math.sqrt(2 / 9 / judged))


def test_every_symmetry_is_linear_in_corners_of_triangles() -> None:
    found = arithmetic(RandomOrthogonalCode(Space(), 18, generator()), generator(), PAIRS)
    assert all(each.exact_rate == 1 for each in found.affine_maps.values())
    assert found.sum_modulo.exact_rate < 0.1


def test_dimensions_that_never_vary_do_no_harm() -> None:
    class Padded(AxisCode):
        def encode(self, tables):
            return torch.nn.functional.pad(super().encode(tables), (0, 3))

        def decode(self, points):
            return super().decode(points[:, :9])

    tables = torch.from_numpy(Space().table(np.arange(0, 19_683, 7)))
    found = affine_map(Padded(Space()), tables, symmetries(Space())["inputs_exchanged"])
    assert found.exact_rate == 1
    assert found.fitted_on + found.judged_on == len(tables)
