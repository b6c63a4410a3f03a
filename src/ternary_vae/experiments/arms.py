"""From a description to what is run: every arm's recipe in full, and every run of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError, nearest
from ternary_vae.experiments.description import ArmDescription, Experiment
from ternary_vae.recipe import Recipe, load_recipe

# Thousands of runs would each leave a copy of their encodings; no figure depends on it, and `set` can turn it on.
_SETTINGS_OF_EXPERIMENTS = {"cache.enabled": False}


@dataclass(frozen=True)
class Arm:
    """One side of the comparisons.

    Attributes:
        recipe: in full, for any seed.
        milestones: completed epochs at which it is compared.
    """

    name: str
    recipe: Recipe
    milestones: tuple[int, ...]


@dataclass(frozen=True)
class PlannedRun:
    """One arm with one seed."""

    arm: str
    recipe: Recipe

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @property
    def name(self) -> str:
        """Name of its run directory."""
        return f"{self.arm}-seed{self.seed}"


def arms_of(experiment: Experiment, source: Path | str = "experiment") -> list[Arm]:
    """Every arm with its recipe, in the order of the description.

    Args:
        source: the experiment's file; a recipe file may lie beside it.

    Raises:
        UserError: an unknown recipe or setting, two arms of one name, a reference or a milestone that no arm has.
    """
    arms = [
        _arm(experiment, name, description, point, Path(source))
        for name, description in _described(experiment)
        for name, point in _with_grid(experiment, name)
    ]
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{source}: two arms are named {twice[0]!r}; give one of them another name")
    if experiment.reference is not None and experiment.reference not in names:
        raise UserError(
            f"{source}: reference {experiment.reference!r} is no arm; {nearest(experiment.reference, names)}"
        )
    longest = max(arm.recipe.epochs for arm in arms)
    for epoch in experiment.milestones:
        if epoch > longest:
            raise UserError(
                f"{source}: milestone {epoch} comes after the end of every run; the longest has {longest} epochs"
            )
    return arms


def planned_runs(experiment: Experiment, arms: Sequence[Arm]) -> list[PlannedRun]:
    """Every run, all arms of a seed before the next seed: whatever is done when somebody stops can be compared."""
    return [
        PlannedRun(arm.name, arm.recipe.model_copy(update={"seed": seed})) for seed in experiment.seeds for arm in arms
    ]


def _described(experiment: Experiment) -> Iterator[tuple[str, ArmDescription]]:
    for recipe in experiment.recipes:
        yield Path(recipe).stem if recipe.endswith((".yaml", ".yml")) else recipe, ArmDescription(extends=recipe)
    yield from experiment.arms.items()


def _with_grid(experiment: Experiment, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """An arm's name and settings at every point of the grid."""
    alone = len(experiment.recipes) + len(experiment.arms) == 1
    for values in itertools.product(*experiment.grid.values()):
        point = dict(zip(experiment.grid, values))
        told = [f"{_short(key, experiment)}-{_word(key, value, experiment)}" for key, value in point.items()]
        yield "-".join(told if alone and told else [name, *told]), point


def _short(key: str, experiment: Experiment) -> str:
    last = [other.rpartition(".")[2] for other in experiment.grid]
    short = key.rpartition(".")[2]
    return short if last.count(short) == 1 else key


def _word(key: str, value: Any, experiment: Experiment) -> str:
    """A value as part of a name; by its place in the list where it has no short one."""
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,24}", text) else f"n{experiment.grid[key].index(value) + 1}"


def _arm(experiment: Experiment, name: str, description: ArmDescription, point: dict[str, Any], source: Path) -> Arm:
    beside = source.parent / description.extends
    recipe_name = str(beside) if beside.is_file() else description.extends
    settings = _SETTINGS_OF_EXPERIMENTS | experiment.settings | description.settings | point | {"name": name}
    if description.description:
        settings["description"] = description.description
    epochs = description.epochs or experiment.epochs
    try:
        recipe = load_recipe(
            recipe_name, overrides=settings, epochs=epochs, scale_phases=experiment.scale_phases and epochs is not None
        )
    except UserError as failure:
        raise UserError(f"{source}: arm {name!r}: {failure}") from None
    milestones = tuple(
        epoch for epoch in experiment.milestones or recipe.evaluation.milestones if 1 <= epoch <= recipe.epochs
    )
    chosen = experiment.benchmarks
    benchmarked = milestones if isinstance(chosen, str) else tuple(epoch for epoch in chosen if epoch <= recipe.epochs)
    evaluation = recipe.evaluation.model_copy(update={"milestones": benchmarked})
    return Arm(name, recipe.model_copy(update={"evaluation": evaluation}), milestones)
