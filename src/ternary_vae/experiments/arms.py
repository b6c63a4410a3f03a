"""From a description to what is run: every arm's recipe in full, and every run of it."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError, nearest
from ternary_vae.experiments.description import ArmDescription, Experiment, Settings
from ternary_vae.formats import counted, listed
from ternary_vae.recipe import NAME, Recipe, load_recipe

# Thousands of runs would each leave a copy of their encodings; no figure depends on it, and `set` can turn it on.
_SETTINGS_OF_EXPERIMENTS = {"cache.enabled": False}


_OF_WINDOWS = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)  # devices, whatever follows a dot


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
        UserError: an unknown recipe or setting, one that the experiment itself decides, two arms of one name, a
            reference or a milestone that no arm has, or no milestone at which arms can be compared.
    """
    arms = [
        _arm(experiment, name, description, point, Path(source))
        for name, description in _described(experiment)
        for name, point in _with_grid(experiment, name)
    ]
    names = [arm.name for arm in arms]
    _require_files_of_their_own(names, source)
    if experiment.reference is not None and experiment.reference not in names:
        raise UserError(
            f"{source}: reference {experiment.reference!r} is no arm; {nearest(experiment.reference, names)}"
        )
    longest = max(arm.recipe.epochs for arm in arms)
    for epoch in experiment.milestones:
        if epoch > longest:
            raise UserError(
                f"{source}: milestone {epoch} comes after the end of every run; the longest has "
                f"{counted(longest, 'epoch')}"
            )
    compared = {epoch for arm in arms for epoch in (*arm.milestones, arm.recipe.epochs)}
    for epoch in () if isinstance(experiment.benchmarks, str) else experiment.benchmarks:
        if epoch not in compared:
            raise UserError(
                f"{source}: benchmarks: {epoch} is no milestone, so nothing would be compared there; "
                f"milestones are {listed(sorted(compared))}"
            )
    deciding_milestone(experiment, arms, source)
    return arms


def deciding_milestone(experiment: Experiment, arms: Sequence[Arm], source: Path | str = "experiment") -> int:
    """Where the experiment decides: the last milestone that the reference shares with another arm, or without a
    reference any two arms; of a single arm, its last.

    Raises:
        UserError: if there is none.
    """
    counts = Counter(epoch for arm in arms for epoch in arm.milestones)
    reached = [arm.milestones for arm in arms if experiment.reference in (None, arm.name)]
    shared = {epoch for epochs in reached for epoch in epochs if counts[epoch] >= min(2, len(arms))}
    if not shared:
        who = "no two arms share" if experiment.reference is None else "the reference and no other arm share"
        raise UserError(f"{source}: nothing can be compared: {who} a milestone; give some that every arm reaches")
    return max(shared)


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
    for values in itertools.product(*experiment.grid.values()):
        point = dict(zip(experiment.grid, values))
        yield "-".join([name, *(f"{_short(key, experiment)}-{_word(value)}" for key, value in point.items())]), point


def _short(key: str, experiment: Experiment) -> str:
    last = [other.rpartition(".")[2] for other in experiment.grid]
    short = key.rpartition(".")[2]
    return short if last.count(short) == 1 else key


def _word(value: Any) -> str:
    """A value as part of a name, whatever other values there are; a long or unwritable one by its first letters and its
    content's hash."""
    text = str(value)
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,24}", text):
        return text
    letters = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-")[:16]
    return f"{letters}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")


def _require_free(settings: Settings, epochs: int | None) -> None:
    """Refuses settings that the experiment itself decides: they would be overwritten, and their arms be one.

    Raises:
        UserError: naming what says it instead.
    """
    decided = {"seed": "seeds", "name": "an arm's name", "evaluation.milestones": "milestones and benchmarks"}
    if epochs is not None:
        decided["epochs"] = "epochs, of the experiment or of an arm"
    for key, value in settings.items():
        inside = {f"{key}.{name}" for name in value} if isinstance(value, dict) else set()
        for taken in sorted(decided.keys() & {key, *inside}):
            raise UserError(f"{taken!r} cannot be set or be in a grid: it is given by {decided[taken]}")


def _require_files_of_their_own(names: Sequence[str], source: Path | str) -> None:
    """Refuses arms whose files would be one, or none, on a file system that the experiment may be moved to.

    Raises:
        UserError: naming an arm.
    """
    taken: dict[str, str] = {}
    for name in names:
        other = taken.get(name.lower())
        if other == name:
            raise UserError(f"{source}: two arms are named {name!r}; give one of them another name")
        if other is not None:
            raise UserError(
                f"{source}: arms {other!r} and {name!r} differ only in case, which is one name on many file systems; "
                f"give one of them another name"
            )
        if _OF_WINDOWS.fullmatch(name.partition(".")[0]):
            raise UserError(f"{source}: arm {name!r}: no file can have its name on Windows; give it another name")
        taken[name.lower()] = name


def _in_turn(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in the order in which they are applied: a later layer's come after all of an earlier one's."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key in layer:
            merged.pop(key, None)
        merged |= layer
    return merged


def _arm(experiment: Experiment, name: str, description: ArmDescription, point: dict[str, Any], source: Path) -> Arm:
    beside = source.parent / description.extends
    recipe_name = str(beside) if beside.is_file() else description.extends
    chosen_settings = _in_turn(experiment.settings, description.settings, point)
    settings = _in_turn(_SETTINGS_OF_EXPERIMENTS, chosen_settings, {"name": name})
    if description.description:
        settings["description"] = description.description
    epochs = description.epochs or experiment.epochs
    try:
        if not re.fullmatch(NAME, name):
            raise UserError(
                "its name becomes part of file names and may hold letters, digits, '_', '.' and '-' alone; give it "
                "another under arms: {NAME: {extends: FILE}}"
            )
        _require_free(chosen_settings, epochs)
        recipe = load_recipe(recipe_name, overrides=settings, epochs=epochs, scale_phases=experiment.scale_phases)
    except UserError as failure:
        raise UserError(f"{source}: arm {name!r}: {failure}") from None
    given = experiment.milestones or recipe.evaluation.milestones
    kept = tuple(epoch for epoch in given if 1 <= epoch <= recipe.epochs)
    milestones = kept if experiment.milestones else tuple(sorted({*kept, recipe.epochs}))
    chosen = experiment.benchmarks
    benchmarked = kept if isinstance(chosen, str) else tuple(epoch for epoch in chosen if epoch <= recipe.epochs)
    evaluation = recipe.evaluation.model_copy(update={"milestones": benchmarked})
    recipe = recipe.model_copy(update={"evaluation": evaluation})
    for epoch in milestones:
        if not recipe.is_evaluated(epoch):
            raise UserError(
                f"{source}: arm {name!r} is not measured at milestone {epoch}: evaluation.every is "
                f"{evaluation.every}, and it is not benchmarked there; change one of the three"
            )
    return Arm(name, recipe, milestones)
