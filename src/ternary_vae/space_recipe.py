"""The default recipe for another space: what follows from how many operations it has, and how long they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ternary_vae.descriptions import to_yaml, validated
from ternary_vae.recipe import DEFAULT_RECIPE, Recipe, TruthTables, load_recipe, set_dotted
from ternary_vae.resolution.structure.ideal import ideal_exact_match, ideal_sigma
from ternary_vae.space import TWO_INPUT_TERNARY, Space

_CELLS = 2187  # 3^7, of the default's subsets
_EPOCH = TWO_INPUT_TERNARY.operations
_BATCHES = {16: 27, 25: 38}  # by entries; 32 otherwise
_SMALL_BATCH = 512
_DRAWS_AN_OPERATION, _EVERY = 5, 5


def recipe_for_space(
    values: int,
    inputs: int,
    *,
    overrides: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    scale_phases: bool = False,
) -> Recipe:
    """The default recipe with the settings that `settings_for_space` says. The recipes of other spaces that come with
    the package are the same but for which epochs they measure.

    Args:
        values, inputs: of the truth tables, from 2 and from 1 on; at most 2^63 operations, such as 2 values of 5 inputs
            or 15 of 1.
        overrides, epochs, seed, scale_phases: as of `load_recipe`.

    Raises:
        UserError: the space is too small or too large to train on, or as `load_recipe`.
    """
    changes = {**settings_for_space(values, inputs), **(overrides or {})}
    return load_recipe(overrides=changes, epochs=epochs, seed=seed, scale_phases=scale_phases)


def recipe_file_for_space(values: int, inputs: int) -> str:
    """`recipe_for_space` as the content of a YAML file, which extends the default recipe and says what follows from the
    space.

    Raises:
        UserError: the space is too small or too large to train on.
    """
    content: dict[str, Any] = {"extends": DEFAULT_RECIPE}
    for key, value in settings_for_space(values, inputs).items():
        set_dotted(content, key, value)
    return to_yaml(content)


def settings_for_space(values: int, inputs: int) -> dict[str, Any]:
    """What the default recipe changes to for a space, by dotted key. Why each is in `docs/explanation/large_spaces.md`:

    - seven bends of the translation for every entry, to a multiple of eight;
    - subsets with no more cells than the default's 3^7, and no more than eight entries or all that there are;
    - with more steps between values to tell apart than the default's, which has two in each of nine entries: more steps
      of smaller batches, half as often with prior draws, which weigh twice as much; β that waits until entries are told
      apart; and translated codes that are drawn to those of the other VAE;
    - noise on means that ideal axes bear as often as those of the default bear its own, where that is less;
    - where operations cannot be listed, prior draws of the prior's own width alone, since nothing else is measured,
      and in the second half moments of them drawn to a uniform model's, which weigh as much as entropy does;
    - there too, with an odd number of values and so a middle of each axis, in the second half two in a hundred of what
      is trained on skewed: codes of operations that answer nothing but the middle lie where no prior draw does, and
      moments of draws cost VAE-A or VAE-B such a constant in six of ten seeds of three inputs;
    - where an axis has more than three levels, some of which are misread at the default's β, one that rises to 0.5, and
      where it has five or more and operations cannot be listed, falls to 0.2 from there;
    - where operations cannot be listed, hidden layers of VAE-A's narrow decoder as many times as wide as an entry has
      steps between values, three times at most. From five values on the learning rate rises over 60 epochs there: at
      once, twice as wide layers were exact on 2.58% after 200 epochs instead of 99.97%;
    - there, from five values on, the same order of values for both VAEs: in another for VAE-B, translated codes jump
      from one end of an axis to the other, where VAE-B coupled misreads some;
    - an epoch of as many operations as the default's, or of a quarter as many where the space has fewer, with β that
      begins at a thousandth of what it rises to: at 0 recognition of prior draws grows beyond 10^12 within such an
      epoch (two Boolean inputs, seed 1; beyond 10^7 in the default's first, seed 0, whose bits are kept). Where
      operations cannot be listed, of 27 batches with 16 entries, of 38 with 25 and of 32 with any other number, which
      is what the goals of time leave;
    - coverage of five draws an operation where the default's draws are fewer, measured after every fifth epoch.

    Raises:
        UserError: the space is too small or too large to train on.
    """
    given = {"values": values, "inputs": inputs}
    space = validated(TruthTables, given, "a recipe for a space", "a space", lambda _: []).as_space()
    recipe, entries = load_recipe(), space.entries
    default = recipe.objective
    prior = default.prior_information
    subset = max(size for size in range(1, min(8, entries) + 1) if values**size <= _CELLS)
    changes = {
        "name": str(space).replace(" ", "_"),
        "description": f"All truth tables of {space}.",
        "space.values": space.values,
        "space.inputs": space.inputs,
        "model.translation_units": max(8, 8 * round(7 * entries / 8)),
        "objective.prior_information.subset_entries": subset,
        "data.epoch_operations": _EPOCH if space.operations >= _EPOCH else math.ceil(_EPOCH / 4),
    }
    more_steps = _steps(space) > _steps(TWO_INPUT_TERNARY)
    if more_steps or space.operations < _EPOCH:
        changes["beta.waiting_share"] = 0.001
    batch = _SMALL_BATCH if more_steps else recipe.optimizer.batch_size
    if more_steps:
        changes |= {
            "optimizer.batch_size": batch,
            "beta.delay_epochs": 30,
            "beta.warmup_epochs": 60,
            "objective.prior_information.every_steps": 2 * prior.every_steps,
            "objective.prior_information.weight": 2 * prior.weight,
            "objective.prior_information.entropy_weight": 2 * prior.entropy_weight,
            "objective.recognition": 2 * default.recognition,
            "objective.translation_error": 0.03,
        }
    noise = ideal_sigma(space, ideal_exact_match(TWO_INPUT_TERNARY, default.mean_noise))
    if noise < default.mean_noise:
        changes["objective.mean_noise"] = round(noise, 2)
    if values > TWO_INPUT_TERNARY.values:
        changes |= {"beta.warm": 0.5, "beta.end": 0.5}
    if not space.is_enumerable():
        changes |= {
            "data.epoch_operations": _BATCHES.get(entries, 32) * batch,
            "objective.prior_information.widened_share": 0.0,
            "objective.prior_information.moment_weight": 2 * prior.entropy_weight,
            "objective.prior_information.moment_delay_epochs": recipe.epochs // 2,
        }
        if values % 2:
            changes |= {"data.skewed_share": 0.02, "data.skewed_delay_epochs": recipe.epochs // 2}
        changes["model.decoder_a_width"] = min(values - 1.0, 3.0)
        if values >= 5:
            changes |= {"optimizer.learning_rate.warmup_epochs": 60, "model.middle_value_b": 0, "beta.end": 0.2}
    elif _DRAWS_AN_OPERATION * space.operations > recipe.evaluation.coverage_draws:
        changes |= {
            "evaluation.coverage_draws": _DRAWS_AN_OPERATION * space.operations,
            "evaluation.every": _EVERY,  # so many: not after every epoch
        }
    return changes


def _steps(space: Space) -> int:
    """Between neighbouring values, in all entries together."""
    return space.entries * (space.values - 1)
