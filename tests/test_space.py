"""Spaces against enumeration by hand, and against the indices of ternary operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.operations import all_operations
from ternary_vae.space import Space

SIZES = {  # values, inputs: entries, operations
    (2, 2): (4, 16), (2, 3): (8, 256), (3, 1): (3, 27), (2, 4): (16, 65_536), (3, 2): (9, 19_683),
    (4, 2): (16, 4_294_967_296), (3, 3): (27, 7_625_597_484_987), (2, 5): (32, 4_294_967_296),
    (5, 2): (25, 298_023_223_876_953_125),
}  # fmt: skip
spaces = st.sampled_from([*(Space(*size) for size in SIZES), Space(2, 6), Space(5, 3), Space(36, 1)])


@pytest.mark.parametrize("size", SIZES)
def test_sizes(size):
    space = Space(*size)
    assert (space.entries, space.operations) == SIZES[size]
    assert space.is_enumerable() == (space.operations <= 100_000)
    assert space.is_enumerable(space.operations)
    assert not space.is_enumerable(space.operations - 1)


def test_a_space_is_three_values_and_two_inputs_unless_said_otherwise_and_a_value_itself():
    assert Space() == Space(3, 2)
    assert len({Space(), Space(3, 2), Space(2, 2)}) == 2


def test_ternary_operations_are_those_of_the_networks():
    space = Space()
    assert np.array_equal(space.table(np.arange(19_683)), all_operations().numpy())
    assert torch.from_numpy(space.table(5)).dtype == torch.int8


@pytest.mark.parametrize("size", [(2, 1), (2, 2), (2, 3), (3, 1), (4, 1), (5, 1)])
def test_every_table_once_in_order(size):
    space = Space(*size)
    lowest = {2: 0, 3: -1, 4: 0, 5: -2}[space.values]
    digits = itertools.product(range(space.values), repeat=space.entries)
    expected = [[digit + lowest for digit in reversed(number)] for number in digits]
    assert space.table(range(space.operations)).tolist() == expected
    assert space.index(expected).tolist() == list(range(space.operations))


def test_the_last_input_changes_fastest():
    assert Space(3, 2).arguments().tolist() == [[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert Space(2, 3).arguments().tolist() == [list(bits) for bits in itertools.product((0, 1), repeat=3)]
    assert Space(4, 1).arguments().tolist() == [[0], [1], [2], [3]]


@given(st.data(), spaces)
def test_index_and_table_are_inverse(data, space):
    index = data.draw(st.integers(0, space.operations - 1))
    table = space.table(index)
    classes = [int(value) - space.lowest for value in table]
    assert sum(digit * space.values**entry for entry, digit in enumerate(classes)) == index
    assert space.index(table) == index
    assert space.index(np.stack([table, table]).reshape(2, 1, -1)).tolist() == [[index], [index]]
    for one in (space.index(table), space.index([table])):
        assert one.dtype == (np.int64 if space.operations <= 2**63 else object)
        assert np.all(one - space.operations == index - space.operations)


def test_batches_of_any_shape():
    space = Space(3, 3)
    index = np.arange(24).reshape(2, 3, 4)
    assert space.table(index).shape == (2, 3, 4, 27)
    assert np.array_equal(space.index(space.table(index)), index)
    assert space.table([]).shape == (0, 27)
    assert space.table(np.int8(1)).tolist() == space.table(1).tolist()


@pytest.mark.parametrize("size", [(1, 2), (37, 1), (3, 0), (3, 7), (2, 10**9), (-3, 2)])
def test_no_space(size):
    with pytest.raises(UserError, match="a space of"):
        Space(*size)


def given_as(values, inputs):
    """A space of what a caller gave, past the check of types that tests have."""
    space = object.__new__(Space)
    for name, value in (("values", values), ("inputs", inputs)):
        object.__setattr__(space, name, value)
    space.__post_init__()
    return space


@pytest.mark.parametrize("number", [np.int8, np.uint8, np.int64])
def test_numbers_of_numpy_count_without_a_limit(number):
    space = given_as(number(6), number(2))
    assert (space.operations, space.entries, space.highest) == (6**36, 36, 5)
    assert not space.is_enumerable()
    assert space == Space(6, 2)
    assert given_as(number(3), number(2)).table(19_682).tolist() == [1] * 9


@pytest.mark.parametrize(
    ("values", "inputs", "says"),
    [
        (3.0, 2, "3.0 values"),
        ("3", 2, "'3' values"),
        (None, 2, "None values"),
        (2, 1.5, "1.5 inputs"),
        (3, True, "True "),
    ],
)
def test_what_is_no_whole_number_makes_no_space(values, inputs, says):
    with pytest.raises(UserError, match=f"a space of {says}.*: expected a whole number"):
        given_as(values, inputs)


@pytest.mark.parametrize("index", [-1, 19_683, 10**30, 0.5, True, [0, 19_683]])
def test_no_index(index):
    with pytest.raises(UserError, match="expected 0 to 19682"):
        Space().table(index)
    with pytest.raises(UserError, match="expected 0 to 19682"):
        Space().table(np.asarray(index, dtype=object))


@pytest.mark.parametrize("table", [[0] * 8, [2] * 9, [0.5] * 9, 0])
def test_no_table(table):
    with pytest.raises(UserError, match="truth table"):
        Space().index(table)
