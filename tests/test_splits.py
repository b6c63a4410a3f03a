"""The split: three parts that share nothing, from the recipe's seed alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.operations import TWO_INPUT_TERNARY, operation_index
from ternary_vae.recipe import load_recipe
from ternary_vae.space import Space
from ternary_vae.splits import drawn_operations, hashed, training_split


@pytest.mark.parametrize(
    ("train", "validation", "sizes"),
    [
        (0.8, 0.1, (15_746, 1_968, 1_969)),
        (1.0, 0.0, (19_683, 0, 0)),
        (0.5, 0.5, (9_842, 9_841, 0)),  # both shares round up; the total does not grow
        (1e-9, 0.0, (1, 0, 19_682)),
    ],
)
def test_parts_have_the_rounded_sizes_and_are_the_whole_space(
    train: float, validation: float, sizes: tuple[int, int, int]
) -> None:
    overrides = {"data.train_share": train, "data.validation_share": validation}
    split = training_split(load_recipe("resolution", overrides=overrides))
    assert tuple(map(len, split)) == sizes
    assert torch.equal(torch.cat(split).sort().values, torch.arange(TWO_INPUT_TERNARY.operations))


def test_the_split_depends_on_the_seed_alone() -> None:
    recipe = load_recipe("ternary_v5_5")
    torch.manual_seed(1)
    first = training_split(recipe)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert all(torch.equal(one, other) for one, other in zip(first, training_split(recipe)))
    assert torch.equal(state, torch.get_rng_state())
    other = training_split(load_recipe("ternary_v5_5", seed=7))
    assert not torch.equal(first.train, other.train)


# ------------------------------------------------------------------ spaces that cannot be listed

LARGE = {"space.values": 3, "space.inputs": 3, "data.train_share": 0.3, "data.validation_share": 0.4}


def test_a_large_space_is_not_split_by_a_permutation():
    with pytest.raises(UserError, match="a split by permutation: the space of 3 values and 3 inputs has 7"):
        training_split(load_recipe(overrides=LARGE))


@pytest.mark.parametrize(("part", "low", "high"), [("train", 0, 0.3), ("validation", 0.3, 0.7), ("test", 0.7, 1)])
def test_drawn_operations_are_those_whose_hash_lies_in_their_part(part, low, high):
    recipe = load_recipe(overrides=LARGE, seed=5)
    tables = drawn_operations(recipe, 2000, torch.Generator().manual_seed(1), part)
    assert tables.shape == (2000, 27)
    place = hashed(operation_index(tables, Space(3, 3)), 5)
    assert float(place.min()) >= low - 1e-12
    assert float(place.max()) < high + 1e-12
    # Every value as often in every entry: five standard errors.
    shares = torch.stack([(tables == value).double().mean(dim=0) for value in (-1, 0, 1)])
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / 3), atol=5 * (2 / 9 / 2000) ** 0.5, rtol=0)


def test_as_many_are_drawn_as_asked_for_where_few_are_kept():
    recipe = load_recipe(overrides=LARGE | {"data.train_share": 0.01})
    generator = torch.Generator().manual_seed(1)
    assert [len(drawn_operations(recipe, count, generator)) for count in range(1, 30)] == list(range(1, 30))


@pytest.mark.parametrize("train_share", [1.0, 0.7])
def test_a_share_of_what_is_drawn_is_skewed(train_share):
    """Counted by constant operations, of which uniform draws have none: of skewed ones 5.45% are constant."""
    changes = LARGE | {"data.train_share": train_share, "data.validation_share": 0.0}
    recipe = load_recipe(overrides=changes, seed=3)
    constants = torch.tensor([[-1], [0], [1]]).expand(3, 27)
    known = hashed(operation_index(constants, Space(3, 3)), recipe.seed) < train_share
    assert known.any()
    of_constants = 0.3 * 0.0545 * float(known.double().mean())
    expected = of_constants / (of_constants + (1 - 0.3 * 0.0545) * train_share)
    tables = drawn_operations(recipe, 40_000, torch.Generator().manual_seed(1), skewed_share=0.3)
    constant = (tables == tables[:, :1]).all(dim=1)
    # Five standard errors.
    assert float(constant.double().mean()) == pytest.approx(expected, abs=5 * (expected / 40_000) ** 0.5)
    assert all(part.any() for part in constant.chunk(10))  # among the others, not after them
    plain = drawn_operations(recipe, 40_000, torch.Generator().manual_seed(1))
    assert not (plain == plain[:, :1]).all(dim=1).any()


def test_a_part_without_operations_cannot_be_drawn_from():
    with pytest.raises(ValueError, match="no validation operations"):
        drawn_operations(load_recipe("resolution"), 1, torch.Generator(), "validation")


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(0, 2**63 - 1))
def test_the_hash_is_splitmix64_in_python_integers(indices, seed):
    def finalised(number):
        number = (number * 0x9E3779B97F4A7C15 + seed) % 2**64
        number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        number = ((number ^ number >> 27) * 0x94D049BB133111EB) % 2**64
        return (number ^ number >> 31) >> 11

    assert hashed(torch.tensor(indices), seed).tolist() == [finalised(index) / 2**53 for index in indices]


def test_the_hash_spreads_neighbours_evenly():
    counts = torch.histc(hashed(torch.arange(100_000), 42), 50, 0, 1)
    # χ² of 49 degrees of freedom exceeds 100 once in 30,000 seeds.
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 100
