"""The split: three parts that share nothing, from the recipe's seed alone."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.operations import TWO_INPUT_TERNARY
from ternary_vae.recipe import load_recipe
from ternary_vae.splits import training_split


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
