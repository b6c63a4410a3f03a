"""The space against enumeration by hand."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.operations import (
    OPERATION_COUNT,
    all_operations,
    as_input,
    class_index,
    hamming_distance,
    operation_index,
    operation_table,
)

VALUES = (-1, 0, 1)


def test_all_operations_are_every_table_once_in_index_order():
    # itertools varies the last position fastest; entry 0 is the least significant digit, so reverse.
    expected = [tuple(reversed(digits)) for digits in itertools.product(VALUES, repeat=9)]
    found = [tuple(row) for row in all_operations().tolist()]
    assert len(found) == OPERATION_COUNT == 19_683
    assert found == expected
    assert all_operations().dtype == torch.int8


def test_ends_of_the_index():
    assert operation_table(torch.tensor(0)).tolist() == [-1] * 9
    assert operation_table(torch.tensor(19_682)).tolist() == [1] * 9
    assert int(operation_index(torch.zeros(9))) == sum(3**j for j in range(9))


def test_index_and_table_are_inverse_on_the_whole_space():
    index = torch.arange(OPERATION_COUNT)
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
    with pytest.raises(ValueError, match=r"0 … 19682"):
        operation_table(torch.tensor([0, index]))


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


def test_input_keeps_values():
    assert as_input(all_operations()).dtype == torch.float32
    assert torch.equal(as_input(all_operations()).to(torch.int8), all_operations())
