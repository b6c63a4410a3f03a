"""The space against enumeration by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.operations import (
    all_operations,
    as_classes,
    class_index,
    hamming_distance,
    measured_operations,
    operation_index,
    operation_table,
    random_operations,
    skewed_operations,
)
from ternary_vae.space import TWO_INPUT_TERNARY, Space

VALUES = (-1, 0, 1)


def test_all_operations_are_every_table_once_in_index_order():
    # itertools varies the last position fastest; entry 0 is the least significant digit, so reverse.
    expected = [tuple(reversed(digits)) for digits in itertools.product(VALUES, repeat=9)]
    actual = [tuple(row) for row in all_operations().tolist()]
    assert len(actual) == TWO_INPUT_TERNARY.operations == 19_683
    assert actual == expected
    assert all_operations().dtype == torch.int8


def test_ends_of_the_index():
    assert operation_table(torch.tensor(0)).tolist() == [-1] * 9
    assert operation_table(torch.tensor(19_682)).tolist() == [1] * 9
    assert int(operation_index(torch.zeros(9))) == sum(3**j for j in range(9))


def test_index_and_table_are_inverse_on_the_whole_space():
    index = torch.arange(TWO_INPUT_TERNARY.operations)
    assert torch.equal(operation_index(operation_table(index)), index)
    assert torch.equal(class_index(all_operations().long() + 1), index)


@given(st.lists(st.sampled_from(VALUES), min_size=9, max_size=9))
def test_index_is_the_sum_of_digits_by_powers_of_three(table):
    expected = sum((value + 1) * 3**j for j, value in enumerate(table))
    for dtype in (torch.int8, torch.int64, torch.float32):
        tensor = torch.tensor(table, dtype=dtype)
        assert int(operation_index(tensor)) == expected
    assert operation_table(torch.tensor(expected)).tolist() == table


def test_batches_of_any_shape():
    index = torch.arange(24).reshape(2, 3, 4)
    assert operation_table(index).shape == (2, 3, 4, 9)
    assert torch.equal(operation_index(operation_table(index)), index)
    assert operation_table(torch.zeros(0, dtype=torch.long)).shape == (0, 9)


@pytest.mark.parametrize(
    "tables",
    [torch.zeros(2, 8), torch.full((1, 9), 2), torch.full((9,), 0.5), torch.full((9,), torch.nan)],
    ids=["eight entries", "two", "half", "NaN"],
)
def test_index_refuses_what_is_no_truth_table(tables):
    with pytest.raises(ValueError, match="truth table"):
        operation_index(tables)


@pytest.mark.parametrize("index", [-1, 19_683])
def test_table_refuses_an_index_outside(index):
    with pytest.raises(ValueError, match=r"0 … 19,682"):
        operation_table(torch.tensor([0, index]))


def test_a_space_whose_indices_no_tensor_holds():
    for space in (Space(2, 6), Space(3, 4)):
        for function in (operation_index, operation_table):
            with pytest.raises(ValueError, match="do not fit a tensor's signed 64 bits"):
                function(torch.zeros(space.entries, dtype=torch.int8), space)


INTEGERS = [
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64
]  # fmt: skip


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("space", [Space(), Space(4, 2), Space(3, 3)], ids=str)
def test_a_table_is_the_same_of_every_integer_type(dtype, space):
    indices = [0, 5, 127, min(torch.iinfo(dtype).max, space.operations - 1)]
    tables = operation_table(torch.tensor(indices, dtype=dtype), space)
    assert np.array_equal(tables.numpy(), space.table(indices))


@pytest.mark.parametrize("index", [5.0, 0.5, torch.nan, True, 5j])
def test_table_refuses_what_is_no_integer(index):
    with pytest.raises(ValueError, match=r"is an integer in 0 … 19,682, got torch\."):
        operation_table(torch.tensor([index]))


@given(
    st.lists(st.sampled_from(VALUES), min_size=9, max_size=9),
    st.lists(st.sampled_from(VALUES), min_size=9, max_size=9),
)
def test_hamming_distance_counts_differing_entries(first, second):
    expected = sum(a != b for a, b in zip(first, second))
    assert int(hamming_distance(torch.tensor(first), torch.tensor(second, dtype=torch.int8))) == expected


def test_every_operation_has_eighteen_neighbours():
    distances = hamming_distance(all_operations()[7_000], all_operations())
    assert torch.bincount(distances)[:2].tolist() == [1, 18]


def test_input_keeps_three_values():
    assert torch.equal(TWO_INPUT_TERNARY.as_input(all_operations()), all_operations())


SPACES = st.sampled_from([Space(*each) for each in ((2, 1), (2, 2), (2, 5), (3, 1), (3, 3), (4, 2), (5, 2), (7, 1))])


@given(SPACES)
def test_input_is_spread_evenly_from_minus_one_to_one(space):
    values = torch.arange(space.values) + space.lowest
    expected = torch.linspace(-1, 1, space.values, dtype=torch.double)
    torch.testing.assert_close(space.as_input(values.double()), expected)
    assert torch.equal(as_classes(values, space), torch.arange(space.values))


@given(SPACES, st.data())
def test_index_and_table_of_any_space_are_those_of_numpy(space, data):
    indices = data.draw(st.lists(st.integers(0, space.operations - 1), min_size=1, max_size=5))
    tables = operation_table(torch.tensor(indices), space)
    assert np.array_equal(tables.numpy(), space.table(indices))
    assert operation_index(tables, space).tolist() == indices


@pytest.mark.parametrize("draw", [random_operations, skewed_operations])
@given(SPACES, st.integers(0, 2**31))
def test_operations_drawn_are_of_their_space(draw, space, seed):
    tables = draw(7, space, torch.Generator().manual_seed(seed))
    assert tables.shape == (7, space.entries)
    assert tables.min() >= space.lowest
    assert tables.max() < space.lowest + space.values


def test_random_operations_are_uniform():
    space = Space(2, 2)
    tables = random_operations(16_000, space, torch.Generator().manual_seed(5))
    counts = torch.bincount(operation_index(tables, space), minlength=16)
    # χ² of 15 degrees of freedom exceeds 50 once in 100,000 seeds.
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 50


@pytest.mark.parametrize("space", [Space(2, 2), Space(3, 1)])
def test_skewed_operations_are_as_often_met_as_their_distribution_says(space):
    """Against the Dirichlet-multinomial distribution in closed form, operation by operation."""
    count = 40_000
    tables = skewed_operations(count, space, torch.Generator().manual_seed(5))
    found = torch.bincount(operation_index(tables, space), minlength=space.operations)

    def odds(table):
        times = [table.tolist().count(space.lowest + value) for value in range(space.values)]
        half = space.values / 2
        logarithm = math.lgamma(half) - math.lgamma(half + space.entries)
        return math.exp(logarithm + sum(math.lgamma(0.5 + n) - math.lgamma(0.5) for n in times))

    expected = count * torch.tensor([odds(table) for table in all_operations(space=space)])
    assert float(expected.sum()) == pytest.approx(count)
    # χ² of 15 or 26 degrees of freedom exceeds 70 once in 100,000 seeds.
    assert float(((found - expected) ** 2 / expected).sum()) < 70


def test_what_cannot_be_listed_is_measured_on_a_sample():
    space = Space(3, 3)
    operations = measured_operations(space, 50, torch.Generator().manual_seed(1))
    assert torch.equal(operation_table(operations.indices, space), operations.tables)
    assert len(set(operations.indices.tolist())) == 50
    few = operations.rows(slice(0, 3))
    assert torch.equal(few.indices, operations.indices[:3])
    with pytest.raises(UserError, match="listing every operation: the space of 3 values and 3 inputs has 7"):
        all_operations(space=space)
    with pytest.raises(UserError, match="the space of 2 values and 10 inputs has 179,769,313,"):
        all_operations(space=Space(2, 10))
    whole = measured_operations(Space(2, 2), 50, torch.Generator())
    assert whole.indices.tolist() == list(range(16))
