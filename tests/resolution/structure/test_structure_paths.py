"""Straight lines: against ideal axes, whose values change at known places, and a slow count."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.resolution.structure.codes import AxisCode
from ternary_vae.resolution.structure.paths import operations_between, paths
from ternary_vae.space import Space


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=6))
def test_operations_between_are_counted_as_in_sets(lines: list[list[int]]) -> None:
    tables = torch.tensor(lines, dtype=torch.int8)[:, :, None].expand(-1, -1, 2)
    expected = [len(set(line) - {line[0], line[-1]}) for line in lines]
    assert operations_between(tables).tolist() == expected


def test_lines_between_ideal_axes() -> None:
    """All operations of one entry. A value changes where its axis is cut: from −1 to 1 at 0.303 and 0.697 of the way,
    from 0 to 1 at 0.395, and back at 0.605. The nine pairs are equally likely, within five standard errors."""
    space, steps = Space(3, 1), 999
    pairs = 400
    found = paths(AxisCode(space), torch.Generator().manual_seed(0), pairs, steps)
    assert found.between_rate == 1
    cut, level = 0.4307273, 1.0907993
    values, crossings = (-1, 0, 1), {}
    for first, second in itertools.product(values, repeat=2):
        places = (
            {(side * cut - first * level) / ((second - first) * level) for side in (-1, 1)} if first != second else ()
        )
        crossings[first, second] = sorted(place for place in places if 0 < place < 1)
    drawn = torch.Generator().manual_seed(0)
    ends = [torch.randint(3, (pairs, 3), generator=drawn) - 1 for _ in range(2)]
    between, single, changes = 0, 0, 0
    for first, second in zip(*(each.tolist() for each in ends)):
        places = sorted(place for pair in zip(first, second) for place in crossings[pair])
        different = set(places)
        between += max(0, len(different) - 1)
        changes += len(different)
        single += sum(places.count(place) == 1 for place in different)
    assert found.operations_between == pytest.approx(between / pairs)
    assert found.single_entry_rate == pytest.approx(single / changes)
    assert found.mean_hamming == pytest.approx(float((ends[0] != ends[1]).sum(dim=1).double().mean()))


def test_a_line_that_changes_halfway_is_a_quarter_uneven() -> None:
    """With two values all entries change at one half: nothing lies between, and the mean distance from even is 1/4."""
    found = paths(AxisCode(Space(2, 2)), torch.Generator().manual_seed(0), pairs=200, steps=1000)
    assert found.operations_between == 0
    assert found.unevenness == pytest.approx(0.25, abs=1e-3)
