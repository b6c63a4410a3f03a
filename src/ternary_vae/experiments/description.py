"""One validated description of an experiment: YAML in, typed object out. An experiment is data, as a recipe is."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ternary_vae.descriptions import Location, Section, Switch, find_description, read_yaml, to_yaml, validated
from ternary_vae.recipe import DEFAULT_RECIPE, Epochs, Name, Seed, increasing, recipe_directory

Settings = dict[str, Any]
# Each run has a directory, and each arm a recipe in full: beyond these lie slips of the pen.
MOST_RUNS = 100_000
MOST_SEEDS = 100_000
MOST_ARMS = 10_000
_SEED_RANGE = re.compile(r"\s*(\d{1,18})\s*-\s*(\d{1,18})\s*")


def _spelled_out(seeds: Any) -> Any:
    """`0-9` means 0, 1, …, 9."""
    if isinstance(seeds, list | tuple):
        return seeds
    match = _SEED_RANGE.fullmatch(seeds) if isinstance(seeds, str) else None
    if match is None:
        raise ValueError("expected a list of seeds, such as [0, 1, 2], or a range, such as 0-9")
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError("expected a range from low to high, such as 0-9")
    if last - first >= MOST_SEEDS:
        raise ValueError(f"expected at most {MOST_SEEDS:,} seeds")
    return list(range(first, last + 1))


def _epochs(value: Any) -> Any:
    """A single epoch is a list of one."""
    value = (value,) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of epochs, such as [50, 100]")
    return value


def _benchmarked(value: Any) -> Any:
    if isinstance(value, str) and value not in ("all", "none"):
        raise ValueError("expected all, none or a list of epochs")
    return value if isinstance(value, str) else _epochs(value)


Milestones = Annotated[tuple[Epochs, ...], BeforeValidator(_epochs), AfterValidator(increasing)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_spelled_out), Field(min_length=1, max_length=MOST_SEEDS)]
Values = Annotated[tuple[Any, ...], Field(min_length=1, max_length=MOST_ARMS)]


class ArmDescription(Section, populate_by_name=True):
    """What is compared: a recipe and what differs from it. `set` holds dotted settings, as `train --set`."""

    extends: str = DEFAULT_RECIPE
    description: str = ""
    settings: Settings = Field({}, alias="set")
    epochs: Epochs | None = None


class Experiment(Section, populate_by_name=True):
    """Recipes and named arms, each with every point of the grid and every seed.

    Attributes:
        recipes: recipes by name or path, each an arm of its own name.
        arms: further arms by name.
        settings: (`set` in YAML) dotted settings for every arm; an arm's own come after it.
        grid: dotted setting → values; every arm is run with every combination.
        seeds: a list, or a range such as `0-9`.
        epochs: length of every run; the recipes' own unless given here or in an arm.
        scale_phases: scale phases and schedules to that length, as `train --scale-phases`.
        milestones: epochs at which arms are compared; the recipes' own and the last epoch unless given. The last one
            that the reference shares with another arm, or without a reference any two arms, is where it decides.
        reference: the arm that the others are compared with; without one, each with each.
        benchmarks: which milestones are benchmarked: all, none, or a list of some. A run's end is, unless none are.
        primary: the measures that the experiment decides by, named as in the column `measure` of `results.csv`.
        pages: whether every run gets its own page; those that are benchmarked do unless told otherwise.
    """

    name: Name
    description: str = ""
    recipes: tuple[str, ...] = ()
    arms: dict[Name, ArmDescription] = {}
    settings: Settings = Field({}, alias="set")
    grid: dict[str, Values] = {}
    seeds: Seeds
    epochs: Epochs | None = None
    scale_phases: Switch = False
    milestones: Milestones = ()
    reference: str | None = None
    benchmarks: Annotated[
        Literal["all", "none"] | tuple[Epochs, ...], BeforeValidator(_benchmarked), AfterValidator(increasing)
    ] = "all"
    primary: tuple[str, ...] = ()
    pages: Switch = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.recipes and not self.arms:
            raise ValueError("nothing to run: give recipes, arms or both")
        for what, values in (("recipe", self.recipes), ("seed", self.seeds)):
            twice = sorted(value for value, times in Counter(values).items() if times > 1)  # type: ignore[type-var]
            if twice:
                raise ValueError(f"{what} {twice[0]} is given twice")
        arms = (len(self.recipes) + len(self.arms)) * math.prod(map(len, self.grid.values()))
        if arms > MOST_ARMS:
            raise ValueError(f"{arms:,} arms with all combinations of the grid; expected at most {MOST_ARMS:,}")
        if arms * len(self.seeds) > MOST_RUNS:
            raise ValueError(f"{arms * len(self.seeds):,} runs, arms times seeds; expected at most {MOST_RUNS:,}")
        for key, values in self.grid.items():
            if any(value in values[:at] for at, value in enumerate(values)):
                raise ValueError(f"grid: {key} has a value twice")
        lengths = [None for _ in self.recipes] + [arm.epochs for arm in self.arms.values()]
        if self.scale_phases and self.epochs is None and None in lengths:
            raise ValueError("scale_phases needs epochs, the length to scale the phases to")
        return self

    def to_yaml(self) -> str:
        """The whole description, every default spelled out."""
        return to_yaml(self.model_dump(by_alias=True))


def experiment_directory() -> Path:
    """Where the named experiments live: beside the named recipes."""
    return recipe_directory() / "experiments"


def experiment_names() -> list[str]:
    """Names of the experiments that come with the package."""
    return sorted(path.stem for path in experiment_directory().glob("*.yaml"))


def load_experiment(name_or_path: str) -> tuple[Experiment, Path]:
    """Reads an experiment by name or from a YAML file.

    Returns:
        the experiment, and the file that it was read from.

    Raises:
        UserError: unknown experiment or key (the nearest is named), a value out of range, a seed given twice.
    """
    path = find_description("experiment", name_or_path, experiment_directory())
    return validate_experiment(read_yaml(path, "an experiment"), str(path)), path


def validate_experiment(content: Any, source: str) -> Experiment:
    """Checks an experiment given as plain data; `source` names it in the error.

    Raises:
        UserError: the first thing wrong, in one line.
    """
    return validated(Experiment, content, source, "an experiment", _known_keys)


def _known_keys(location: Location) -> list[str]:
    section = ArmDescription if location[:1] == ("arms",) else Experiment
    return [field.alias or name for name, field in section.model_fields.items()]
