"""Measures of draws against enumeration and distributions whose figures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ternary_vae import UserError, measure_samples, operation_table, random_operations
from ternary_vae.limits import coverage_limit
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.space import Space


def drawn(operations: int, draws: int, name: str) -> torch.Tensor:
    """Tables drawn uniformly from the first operations of the default space."""
    return operation_table(torch.randint(operations, (draws,), generator=named_generator(5, name, "cpu")))


def test_of_a_uniform_model():
    found = measure_samples(drawn(19_683, 400_000, "all"))
    assert found.coverage.draws == 50_000
    assert found.coverage.coverage_limit == coverage_limit(50_000)
    # Five standard deviations of a mean of eight, each the spread of so many distinct draws.
    unmet = 1 - coverage_limit(50_000)
    spread = math.sqrt(unmet * (1 - unmet * (1 + 50_000 / 19_683)) / 19_683 / 8)
    assert found.coverage.coverage_rate == pytest.approx(coverage_limit(50_000), abs=5 * spread)
    assert found.entropy_bits == pytest.approx(math.log2(19_683), abs=0.01)
    assert found.uniformity.low <= 1 <= found.uniformity.high
    assert found.uniformity.largest_pair_deviation < found.uniformity.margin


@pytest.mark.parametrize("kind", ["tensor", "array", "list"])
def test_of_one_that_knows_a_third_of_the_space(kind):
    """VAE or not: all operations whose last entry is −1, equally often."""
    tables = drawn(6_561, 8_000, "a third")
    assert bool((tables[:, 8] == -1).all())
    given = {"tensor": tables, "array": tables.numpy(), "list": tables.tolist()}[kind]
    found = measure_samples(given, parts=4)
    parts = [len({tuple(row) for row in part}) for part in np.split(tables.numpy(), 4)]
    assert found.coverage.unique_operations == sum(parts) / 4
    assert found.coverage.interval.repeats == 4
    assert found.uniformity.low <= 1 / 3 <= found.uniformity.high
    assert found.uniformity.largest_entry_deviation == pytest.approx(2 / 3)
    assert found.entropy_bits == pytest.approx(math.log2(6_561), abs=0.05)


def test_of_a_space_that_cannot_be_listed():
    space = Space(3, 3)
    generator = named_generator(6, "three inputs", "cpu")
    found = measure_samples(random_operations(2_000, space, generator), space, parts=2)
    assert (found.coverage, found.entropy_bits, found.uniformity.coincident_pairs) == (None, None, 0)
    assert found.uniformity.draws == 2_000


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("tables", "parts", "message"),
    [
        (np.zeros((8, 4)), 2, "a truth table has 9 entries"),
        ([[0] * 9, [0] * 8], 2, "expected sequence of length 9"),
        ([["SUM"]], 2, "str"),
        (np.array([[None] * 9] * 8), 2, "object"),
        (np.full((8, 9), 2), 2, "truth table entries must be -1 to 1"),
        (np.zeros((9, 9)), 2, r"tables of shape \(9, 9\) in 2 parts: expected a row a draw, in two parts"),
        (np.zeros((8, 9)), 1, "in 1 parts: expected"),
        (np.zeros((8, 9)), 0, "in 0 parts: expected"),
        (np.zeros((8, 9)), 8, "in 8 parts: expected"),
        (np.zeros((0, 9)), 2, r"tables of shape \(0, 9\) in 2 parts"),
        (np.zeros(9), 2, r"tables of shape \(9,\) in 2 parts"),
        (np.zeros((2, 4, 9)), 2, r"tables of shape \(2, 4, 9\) in 2 parts"),
    ],
)
def test_what_cannot_be_measured(tables, parts, message):
    with pytest.raises(UserError, match=message):
        measure_samples(tables, parts=parts)
