"""A recipe for any space that can be trained on, as data, as a file and from the command line."""

from __future__ import annotations

import math

import pytest

from ternary_vae import UserError, load_recipe, recipe_for_space
from ternary_vae.space_recipe import recipe_file_for_space
from ternary_vae.terminal import quoted
from ternary_vae.training.epoch import Trainer

SPACES = [
    *((2, inputs) for inputs in range(1, 6)), *((3, inputs) for inputs in range(1, 4)),
    *((values, 2) for values in (4, 5)), *((values, 1) for values in range(4, 16)),
]  # fmt: skip


@pytest.mark.parametrize(("values", "inputs"), SPACES)
def test_every_space_has_one_and_its_file_says_the_same(values, inputs, tmp_path):
    recipe = recipe_for_space(values, inputs)
    assert recipe.space.as_space().operations <= 2**63
    path = tmp_path / "mine.yaml"
    path.write_text(recipe_file_for_space(values, inputs), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


def test_larger_spaces_are_too_large():
    """The next value of each number of inputs has more than 2^63 operations, and the next input of two values."""
    largest = {inputs: max(values for values, of in SPACES if of == inputs) for inputs in range(1, 6)}
    for inputs, values in largest.items():
        assert (values + 1) ** ((values + 1) ** inputs) > 2**63
        with pytest.raises(
            UserError, match=f"a recipe for a space: space: {values + 1} values and {inputs} inputs? have more op"
        ):
            recipe_for_space(values + 1, inputs)
    with pytest.raises(UserError, match="2 values and 6 inputs have more operations"):
        recipe_for_space(2, 6)


def test_that_of_the_default_space_is_the_default_with_its_epoch_spelled_out():
    own = recipe_for_space(3, 2, seed=4, epochs=8, scale_phases=True, overrides={"name": "resolution"})
    default = load_recipe(seed=4, epochs=8, scale_phases=True, overrides={"data.epoch_operations": 19_683})
    assert own.model_copy(update={"description": default.description}) == default


@pytest.mark.parametrize("space", [(2, 1), (6, 1), (7, 1), (15, 1)])
def test_recipes_of_spaces_without_a_published_one_train(space):
    few = {"data.epoch_operations": 512, "optimizer.batch_size": 256, "objective.prior_information.draws": 128}
    trainer = Trainer(recipe_for_space(*space, epochs=8, scale_phases=True, overrides=few))
    before = [weight.clone() for weight in trainer.model.parameters()]
    row = trainer.train_epoch()
    assert math.isfinite(row["terms"]["loss"])
    assert any((weight != old).any() for weight, old in zip(trainer.model.parameters(), before))


def test_the_command_prints_the_file_and_refuses_in_one_line(run_command, tmp_path):
    assert run_command("recipe", 7, 1) == (0, recipe_file_for_space(7, 1), "")
    path = tmp_path / "seven.yaml"
    code, out, _ = run_command("recipe", 7, 1, "-o", path)
    assert (code, path.read_text(encoding="utf-8")) == (0, recipe_file_for_space(7, 1))
    assert out.strip() == f"wrote {path}; train it with: ternary-vae train --config {quoted(path)}"
    code, _, told = run_command("recipe", 5, 1, "-o", path)
    assert (code, path.read_text(encoding="utf-8")) == (2, recipe_file_for_space(7, 1))
    assert told.strip() == f"ternary-vae: {path}: is there already and is not overwritten; name another file"
    code, out, told = run_command("recipe", 1, 2)
    assert (code, out) == (2, "")
    assert (
        told.strip()
        == "ternary-vae: a recipe for a space: values: Input should be greater than or equal to 2 (given: 1)"
    )
