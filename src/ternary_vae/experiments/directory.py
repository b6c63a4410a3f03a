"""An experiment's directory: what lies where, and that it does not change once runs have started.

experiment.yaml, arms/             the description and every arm's recipe in full, as the runs started
runs/ARM-seedN/                    ordinary run directories
failures/ARM-seedN.txt             why a run failed, until it succeeds
additions.jsonl                    seeds and arms that were added after a report had been written
cluster.log                        what a cluster said
experiment.lock                    the lease of the process that runs the experiment, or what a killed one left
results.csv, comparisons.csv       every figure of every run; every comparison
report.md, index.html, figures     what follows
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ternary_vae.descriptions import read_yaml
from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import Arm, PlannedRun
from ternary_vae.experiments.description import Experiment, validate_experiment
from ternary_vae.recipe import Recipe, validate_recipe
from ternary_vae.storage.files import read_json_lines, reported, write_text
from ternary_vae.storage.lease import Lease
from ternary_vae.storage.runs import RunDirectory

_MAY_CHANGE = {"description", "pages"}
_MAY_GROW = {"seeds", "recipes", "arms", "grid"}


class ExperimentDirectory:
    """Paths of one experiment. Creating the object touches nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.experiment_file = self.path / "experiment.yaml"
        self.arms = self.path / "arms"
        self.runs = self.path / "runs"
        self.failures = self.path / "failures"
        self.comparisons_file = self.path / "comparisons.csv"
        self.additions_file = self.path / "additions.jsonl"
        self.log_file = self.path / "cluster.log"
        self.stop_file = self.path / ".stop"
        self.lock_file = self.path / "experiment.lock"

    def run(self, planned: PlannedRun) -> RunDirectory:
        return RunDirectory(self.runs / planned.name)

    def failure_file(self, planned: PlannedRun) -> Path:
        return self.failures / f"{planned.name}.txt"

    def freeze(self, experiment: Experiment, arms: Sequence[Arm], source: Path) -> None:
        """Writes down what the experiment is, or checks that it is what its runs started with. Seeds and arms may be
        added, and the description reworded. Anything else would mix two experiments, leave out runs after their
        results were seen, or choose afterwards what decides. As long as no run has started, everything may change.

        Raises:
            UserError: the description or an arm's recipe has changed otherwise, or lies where its copy belongs.
        """
        if self.experiment_file.exists():
            if self.has_runs():
                self.require_same(experiment, arms, source)
                if self.comparisons_file.exists():
                    self._note_additions(experiment, arms)
            else:
                # What is written there is the program's own, of this experiment, or the user's.
                if source.resolve() == self.experiment_file.resolve():
                    raise UserError(f"{source}: lies where the experiment's own copy belongs; name another --directory")
                if (name := self.experiment().name) != experiment.name:
                    raise UserError(f"{self.path}: holds experiment {name!r}; name another --directory")
                for path in self.arms.glob("*.yaml"):
                    path.unlink()
        # The description first: whatever else lies in a directory without one is not an experiment's.
        write_text(self.experiment_file, experiment.to_yaml())
        for arm in arms:
            write_text(self._arm_file(arm.name), arm.recipe.to_yaml())

    def _note_additions(self, experiment: Experiment, arms: Sequence[Arm]) -> None:
        """Writes down what is added now that there has been a report."""
        before = set(self.experiment().seeds)
        seeds = [seed for seed in experiment.seeds if seed not in before]
        names = [arm.name for arm in arms if not self._arm_file(arm.name).exists()]
        if seeds or names:
            lines = [*self.additions(), {"seeds": seeds, "arms": names}]
            write_text(self.additions_file, "".join(f"{json.dumps(line)}\n" for line in lines))

    def additions(self) -> list[dict[str, Any]]:
        """Seeds and arms that were added after a report had been written, each time as `seeds` and `arms`.

        Raises:
            UserError: damaged lines.
        """
        added = read_json_lines(self.additions_file)
        for number, row in enumerate(added, start=1):
            there = all(isinstance(row.get(key), list) for key in ("seeds", "arms"))
            if not (there and {int} >= set(map(type, row["seeds"])) and {str} >= set(map(type, row["arms"]))):
                raise UserError(f"{self.additions_file}: row {number} has no seeds and arms; restore the file")
        return added

    def has_runs(self) -> bool:
        """Whether there is any run, or anything else where runs are."""
        return self.runs.is_dir() and any(self.runs.iterdir())

    def experiment(self) -> Experiment:
        """The experiment as its runs started.

        Raises:
            UserError: if the directory holds none.
        """
        if not self.experiment_file.exists():
            raise UserError(f"{self.path}: holds no experiment (no experiment.yaml)")
        content = read_yaml(self.experiment_file, "an experiment")
        return validate_experiment(content, str(self.experiment_file))

    def require_same(self, experiment: Experiment, arms: Sequence[Arm], source: Path) -> None:
        """Checks that an experiment is the one in this directory, as `freeze`.

        Raises:
            UserError: it has changed.
        """
        both = (self.experiment(), experiment)
        old, new = (one.model_dump(mode="json", by_alias=True, exclude=_MAY_CHANGE) for one in both)
        for key, value in old.items():
            if key in _MAY_GROW:
                gone = [item for item in value if item not in new[key]]
                if gone:  # values of a grid are missed as arms
                    raise self._changed(source, f"{key} no longer has {gone[0]}")
            elif new[key] != value:
                raise self._changed(source, f"{key} was {value}, now {new[key]}")
        self._require_same_arms(arms, source)

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Keeps a second command, on this machine or another, out of the directory until the block ends, or this
        process does, however it dies.

        Raises:
            UserError: if another process works in it, or it is the directory of something else.
        """
        with reported("read", self.path):
            others = self.path.exists() and (
                not self.path.is_dir() or any(self.lock_file.name not in entry.name for entry in self.path.iterdir())
            )
        if others and not self.experiment_file.exists():
            raise UserError(f"{self.path}: is not empty and holds no experiment; name another --directory")
        with reported("write", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with Lease(self.lock_file, "is running this experiment") as lease:
            yield lease

    def _arm_file(self, name: str) -> Path:
        return self.arms / f"{name}.yaml"

    def _require_same_arms(self, arms: Sequence[Arm], source: Path) -> None:
        by_name = {arm.name: arm.recipe for arm in arms}
        for path in sorted(self.arms.glob("*.yaml")):
            try:
                before = validate_recipe(read_yaml(path, "a recipe"), str(path))
            except UserError as failure:
                hint = "finish it with the version of this program that it began with, or name another --directory"
                raise UserError(f"{failure}; {hint}") from None
            if path.stem not in by_name:
                raise self._changed(source, f"there is no arm {path.stem} any more")
            difference = first_difference(before, by_name[path.stem])
            if difference:
                raise self._changed(source, f"arm {path.stem}: {difference}")

    def _changed(self, source: Path, what: str) -> UserError:
        hint = "change it back, or name another --directory"
        return UserError(f"{source}: changed since its runs began in {self.path}: {what}; {hint}")


def first_difference(before: Recipe, now: Recipe) -> str:
    """The first setting in which two recipes differ, seed and description aside: `optimizer.batch_size was 64, now
    768`; empty if there is none."""
    old, new = (_flat(one.model_dump(mode="json", exclude={"seed", "description", "cache"})) for one in (before, now))
    for key in [*old, *new]:
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key)}, now {new.get(key)}"
    return ""


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    return {
        name: item
        for key, part in value.items()
        for name, item in _flat(part, f"{prefix}.{key}" if prefix else str(key)).items()
    }
