"""Distances: against scipy, Python's whole numbers, and codes whose distances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ternary_vae.operations import hamming_distance, random_operations
from ternary_vae.resolution.structure.codes import AxisCode, Code, RandomOrthogonalCode
from ternary_vae.resolution.structure.distances import (
    adic_distance,
    changed,
    class_distance,
    distances,
    other_order,
    rank_correlations,
    ranks,
    without_group_means,
)
from ternary_vae.resolution.structure.records import Distances
from ternary_vae.space import Space

ALL = torch.from_numpy(Space().table(np.arange(19_683)))
PAIRS = 50_000
ERROR = 5 / PAIRS**0.5
"""Five standard errors of a correlation of 0."""


def measured(code: Code, tables: torch.Tensor = ALL) -> Distances:
    return distances(code, tables, code.encode(tables), torch.Generator().manual_seed(0), PAIRS, numberings=6)


class TreeCode(AxisCode):
    """Entry j weighs 3^(−j): operations are near that have the same first entries."""

    def encode(self, tables: torch.Tensor) -> torch.Tensor:
        return tables.double() * 3.0 ** -torch.arange(self.space.entries)


@given(space=st.sampled_from([Space(2, 2), Space(3, 2), Space(4, 2), Space(3, 3)]), data=st.data())
def test_the_adic_distance_is_that_of_the_indices(space: Space, data: st.DataObject) -> None:
    """By dividing the difference of two indices as often as it goes."""
    one, other = (data.draw(st.integers(0, space.operations - 1)) for _ in range(2))
    difference, valuation = one - other, 0
    while difference and difference % space.values == 0:
        difference, valuation = difference // space.values, valuation + 1
    expected = float(space.values) ** -valuation if difference else 0.0
    first, second = (torch.from_numpy(space.table(index)[None]) for index in (one, other))
    assert float(adic_distance(first, second, space.values)) == expected


def test_another_order_of_digits_is_the_index_of_tables_with_entries_in_that_order() -> None:
    generator = torch.Generator().manual_seed(3)
    first, second = (random_operations(500, Space(), generator) for _ in range(2))
    order = torch.randperm(9, generator=generator).tolist()
    expected = adic_distance(first[:, order], second[:, order], 3)
    assert torch.equal(adic_distance(first, second, 3, order), expected)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_ranks_are_scipys(numbers: list[int]) -> None:
    assert ranks(torch.tensor(numbers)).tolist() == stats.rankdata(numbers).tolist()


def test_rank_correlation_is_scipys() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(500, generator=generator, dtype=torch.float64)
    second = (first + torch.randn(500, generator=generator, dtype=torch.float64)).round()
    expected = stats.spearmanr(first.numpy(), second.numpy()).statistic
    found = rank_correlations(first, [second, torch.ones(500)], torch.zeros(500, dtype=torch.long))
    assert found[0] == pytest.approx((expected, expected))
    assert found[1] == (0, 0)


def test_what_a_third_quantity_explains_is_taken_out() -> None:
    """Two that depend on each other through a third alone, and not in a straight line, correlate; given it, they do
    not. One that depends on the other itself still does."""
    generator = torch.Generator().manual_seed(0)
    third = torch.randint(6, (PAIRS,), generator=generator)
    one, other = ((third - 3).square() + 0.3 * torch.randn(PAIRS, generator=generator) for _ in range(2))
    (whole, left), (_, own) = rank_correlations(one, [other, one + other], third)
    assert whole > 0.9
    assert abs(left) < ERROR
    assert own > 0.5


def test_group_means_by_hand() -> None:
    left = without_group_means(torch.tensor([1.0, 3.0, 10.0]).double(), torch.tensor([4, 4, 0]))
    assert left.tolist() == [-1, 1, 0]


@given(space=st.sampled_from([Space(2, 2), Space(3, 2), Space(4, 2)]), data=st.data())
def test_so_many_entries_are_changed(space: Space, data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    differing = data.draw(st.integers(0, space.entries))
    tables = random_operations(20, space, generator)
    found = changed(tables, differing, space, generator)
    assert hamming_distance(tables, found).tolist() == [differing] * 20
    assert np.isin(found.numpy(), np.arange(space.values) + space.lowest).all()


def test_class_distance_by_hand() -> None:
    first, second = (torch.tensor([row], dtype=torch.int8) for row in ([-1, 0, 1, 1], [1, 0, 0, -1]))
    assert class_distance(first, second).tolist() == [5]


def test_a_random_orthogonal_code_knows_hamming_distance_and_nothing_else() -> None:
    """Its distances are the roots of Hamming distances, up to rounding."""
    found = measured(RandomOrthogonalCode(Space(), 18, torch.Generator().manual_seed(0)))
    assert found.hamming == pytest.approx(1)
    assert found.class_steps_given_hamming == found.adic_given_hamming == 0
    assert found.adic > 0.2
    assert [point.mean for point in found.by_hamming] == pytest.approx([(6 * h) ** 0.5 for h in range(1, 10)])
    assert all(point.standard_deviation < 1e-9 for point in found.by_hamming)


def test_ideal_axes_know_how_many_steps_values_are_apart_and_no_numbering() -> None:
    """Of one changed entry two thirds are one step of 1.0908 and one third are two."""
    found = measured(AxisCode(Space()))
    assert found.class_steps_given_hamming > 0.95 > found.class_steps > found.hamming > 0.5
    assert abs(found.adic_given_hamming) < ERROR
    assert (
        max(map(abs, found.adic_given_hamming_other_digit_orders.model_dump(include={"least", "most"}).values()))
        < ERROR
    )
    first = found.by_hamming[0]
    assert first.mean == pytest.approx(1.0908 * 4 / 3, abs=5 * first.standard_deviation / first.pairs**0.5)
    assert (first.low, first.high) == pytest.approx((1.0908, 2.1815), abs=1e-3)


def test_a_tree_of_digits_knows_its_own_numbering_and_no_other() -> None:
    found = measured(TreeCode(Space()))
    assert found.adic_given_hamming > 0.7
    assert found.adic_given_hamming > found.adic_given_hamming_other_digit_orders.most + 0.1
    shuffled = found.adic_given_hamming_random_numbering
    assert shuffled.repeats == 6
    assert max(abs(shuffled.least), abs(shuffled.most)) < ERROR


@pytest.mark.parametrize("space", [Space(2, 1), Space(3, 1), Space(2, 2)], ids=str)
def test_in_a_short_table_too_a_tree_of_digits_knows_no_other_order_as_well_as_its_own(space: Space) -> None:
    """Of two, three or four entries a random order is often their own."""
    found = measured(TreeCode(space), torch.from_numpy(space.table(np.arange(space.operations))))
    assert found.adic_given_hamming > found.adic_given_hamming_other_digit_orders.most + 0.02
    assert found.adic_given_hamming_other_digit_orders.repeats == 6


@pytest.mark.parametrize("entries", [2, 3, 9])
def test_another_order_has_every_entry_and_is_never_their_own(entries: int) -> None:
    generator = torch.Generator().manual_seed(0)
    orders = {tuple(other_order(entries, generator)) for _ in range(200)}
    own = tuple(range(entries))
    assert own not in orders
    assert {tuple(sorted(order)) for order in orders} == {own}
    assert len(orders) == min(200, math.factorial(entries) - 1)


def test_without_its_part_in_hamming_distance_the_adic_distance_still_correlates_with_nothing() -> None:
    """Which is why that part is taken out: the whole correlation of ideal axes is far from 0."""
    found = measured(AxisCode(Space()))
    assert found.adic > 0.2
    assert found.adic == pytest.approx(found.adic_other_digit_orders.mean, abs=0.02)
    assert abs(found.adic_random_numbering.mean) < ERROR
