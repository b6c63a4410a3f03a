"""Everything a report is made from: one run's records, metrics and events, checked to belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ternary_vae.errors import UserError
from ternary_vae.recipe import FULL_COVERAGE_DRAWS, PHASE_NAMES, Recipe, load_recipe, recipe_names
from ternary_vae.resolution.figures import MEASURES, looked_up
from ternary_vae.resolution.intervals import Bounds
from ternary_vae.resolution.records import (
    CoupledRecord,
    Header,
    IsolatedRecord,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.resolution.structure.records import StructureRecord, read_structure_record
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

Record = TypeVar("Record", IsolatedRecord, CoupledRecord, StructureRecord)
_TERMS_OF_EVERY_RUN = ("loss", "reconstruction_a", "reconstruction_b", "kl_a", "kl_b")


class PhaseSpan(NamedTuple):
    """A phase on the axis of completed epochs."""

    number: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """As the plan calls it."""
        return PHASE_NAMES[self.number - 1]


@dataclass(frozen=True)
class Measurements:
    """One run as its reports see it.

    Attributes:
        recipe: gives the phases; the run's own where there is a run directory.
        epochs: last completed epoch, the end of every time axis.
        isolated, coupled: benchmark records by milestone.
        missing: benchmark files that should be there and are not, by milestone.
        structure: structure records by epoch, of those that `ternary-vae structure` has measured.
        metrics, events: rows of `metrics.jsonl` and `events.jsonl`; empty without a run directory.
        facts: `run.json`; empty without a run directory.
        directory: the run directory, or where the records were read.
        note: what a reader must know about where these figures come from.
    """

    recipe: Recipe
    seed: int
    epochs: int
    isolated: dict[int, IsolatedRecord]
    coupled: dict[int, CoupledRecord]
    missing: dict[int, list[str]]
    directory: Path
    structure: dict[int, StructureRecord] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def title(self) -> str:
        """Recipe and seed."""
        return f"{self.recipe.name}, seed {self.seed}"

    @property
    def milestones(self) -> list[int]:
        """Milestones with at least one record."""
        return sorted(self.isolated.keys() | self.coupled.keys())

    @property
    def every_milestone(self) -> list[int]:
        """Milestones with a record or without one that should be there."""
        return sorted({*self.milestones, *self.missing})

    @property
    def complete_milestones(self) -> list[int]:
        """Milestones with both records."""
        return sorted(self.isolated.keys() & self.coupled.keys())

    @property
    def phases(self) -> list[PhaseSpan]:
        """The phases that the run has entered, clipped to it. A run past its schedule stays in the last."""
        spans = [PhaseSpan(number, *phase.epochs) for number, phase in enumerate(self.recipe.phases, start=1)]
        spans[-1] = spans[-1]._replace(last=max(spans[-1].last, self.epochs))
        return [span._replace(last=min(span.last, self.epochs)) for span in spans if span.first < self.epochs]

    def phase_at(self, epoch: int) -> int:
        """Number of the phase whose training the milestone `epoch` completes."""
        return self.recipe.phase_at(max(0, epoch - 1))

    def value(self, key: str, epoch: int) -> float | None:
        """A measure as the records of a milestone have it; None where it was not measured."""
        return MEASURES[key].of_milestone(self.isolated.get(epoch), self.coupled.get(epoch))

    def shown(self, key: str, epoch: int) -> str:
        """A measure of a milestone as people read it, or a dash."""
        return MEASURES[key].value(self.value(key, epoch))

    def against_plan(self, key: str, epoch: int, more: str = "") -> str:
        """A measure of a milestone, `more` about it, and what the plan expected there: `100% (60–75% ✓)`."""
        measure, value = MEASURES[key], self.value(key, epoch)
        expected = measure.expected_at(epoch, self.recipe.schedule_epochs)
        if expected is None:
            return measure.value(value) + more
        mark = "" if value is None else (" ✗" if expected.standing(value) == "below" else " ✓")
        return f"{measure.value(value, beside=expected)}{more} ({expected.text(measure.unit)}{mark})"

    def pair(self, key: str, epoch: int) -> str:
        """A measure of each VAE at a milestone: `8.60 / 8.61`."""
        return f"{self.shown(f'{key}_a', epoch)} / {self.shown(f'{key}_b', epoch)}"

    def part(self, key: str, epoch: int) -> Any:
        """The part of a milestone's record in which a measure lies, see `Measure.part`; None without the record."""
        record = self._record(key, epoch)
        return None if record is None else MEASURES[key].part(record)

    def bounds(self, key: str, epoch: int) -> Bounds | None:
        """The 95% interval of a measure at a milestone, see `Measure.bounds`; None without the record."""
        record = self._record(key, epoch)
        return None if record is None else MEASURES[key].bounds(record)

    def in_context(self, key: str, epoch: int) -> str:
        """A measure at a milestone with what is known beside it, see `Measure.in_context`."""
        return MEASURES[key].in_context(self._record(key, epoch))

    def _record(self, key: str, epoch: int) -> IsolatedRecord | CoupledRecord | None:
        return (self.isolated if MEASURES[key].isolated else self.coupled).get(epoch)

    @property
    def every_operation(self) -> str:
        """What an epoch's exact match is of: of a space that cannot be listed, a sample of its own."""
        return "every operation" + ("" if self.recipe.space.as_space().is_enumerable() else " drawn")

    @property
    def full_coverage_draws(self) -> int:
        """Prior draws of each VAE by which the log says whether every operation was met."""
        return self.recipe.evaluation.full_coverage_draws or FULL_COVERAGE_DRAWS

    @property
    def terms(self) -> list[str]:
        """Names of the terms of the objective that were computed in any epoch, whoever has defined them: those that
        every run is trained for first, then in the order of the log."""
        logged = (name for row in self.metrics for name in row.get("terms") or {})
        names = dict.fromkeys((*_TERMS_OF_EVERY_RUN, *logged))
        return [name for name in names if any(value is not None for value in self.column(f"terms.{name}"))]

    @property
    def evaluated_epochs(self) -> int:
        """Epochs that the log has an evaluation of."""
        return sum(value is not None for value in self.column("exact_match_a"))

    @property
    def guards_fired(self) -> int | None:
        """How often a guard fired, by whichever log tells more: either may have been lost and begun anew. None if
        unknown."""
        by_events = [sum(event.get("kind") == "guard" for event in self.events)] if self.events else []
        by_epochs = [count for count in self.column("guard_events")[-1:] if count is not None]
        return max(by_events + by_epochs, default=None)

    def column(self, name: str) -> list[Any]:
        """One value a row of the metrics; None where absent. `name` may be dotted."""
        return [looked_up(row, name) for row in self.metrics]


def measurements_of_run(run: RunDirectory) -> Measurements:
    """Reads what a run left behind.

    Raises:
        UserError: no run there, no benchmark records at all, a damaged record, or records of another run among them.
    """
    recipe, facts = run.recipe(), run.facts()
    metrics = run.metrics(whole=facts.get("status") == "completed")
    recorded = {_epoch_of(path) for path in run.benchmarks.glob("*_resolution_*.json")} - {None}
    epochs = max([int(row["epoch"]) for row in metrics] or [*(epoch or 0 for epoch in recorded), 1])
    expected = {milestone for milestone in recipe.evaluation.milestones if milestone <= epochs}
    isolated, coupled, missing = _read_records(
        sorted(expected | recorded),
        run.isolated_record,
        run.coupled_record,  # type: ignore[operator]
    )
    if not isolated and not coupled:
        raise UserError(
            f"{run.benchmarks}: holds no benchmark records; measure the run's checkpoints first "
            f"(`{command_that_measures(run)}`)"
        )
    structure = _read_structure(run)
    _require_one_run(
        [*isolated.values(), *coupled.values(), *structure.values()],
        run.path,
        fingerprint=recipe.fingerprint(),
        seed=int(facts["seed"]),
    )
    return Measurements(
        recipe=recipe,
        seed=int(facts["seed"]),
        epochs=epochs,
        isolated=isolated,
        coupled=coupled,
        missing=missing,
        directory=run.path,
        structure=structure,
        metrics=metrics,
        events=run.events(),
        facts=facts,
    )


def measurements_of_records(directory: str | Path, epochs: Sequence[int]) -> Measurements:
    """Reads `manifold_resolution_{N}.json` and `coupled_resolution_{N}.json` for the given epochs, as the plan's
    analysis scripts do. Phases come from the recipe that the records name.

    Raises:
        UserError: no record for any of the epochs, a damaged record, or records of more than one run.
    """
    directory = Path(directory)
    isolated, coupled, missing = _read_records(
        sorted(set(epochs)),
        lambda epoch: directory / f"manifold_resolution_{epoch}.json",
        lambda epoch: directory / f"coupled_resolution_{epoch}.json",
    )
    records = [*isolated.values(), *coupled.values()]
    if not records:
        raise UserError(
            f"{directory}: holds no manifold_resolution_N.json or coupled_resolution_N.json for epochs "
            f"{', '.join(map(str, epochs))}; name the directory of the benchmark records with --input"
        )
    _require_one_run(records, directory)
    header = records[0].header
    recipe, note = _recipe_named(header)
    return Measurements(
        recipe=recipe,
        seed=header.training_seed,
        epochs=max(1, *isolated, *coupled),
        isolated=isolated,
        coupled=coupled,
        missing=missing,
        directory=directory,
        note=note,
    )


def _epoch_of(path: Path) -> int | None:
    number = path.stem.rpartition("_")[2]
    return int(number) if number.isdecimal() else None


def _read_records(
    epochs: Iterable[int], isolated_path: Callable[[int], Path], coupled_path: Callable[[int], Path]
) -> tuple[dict[int, IsolatedRecord], dict[int, CoupledRecord], dict[int, list[str]]]:
    isolated: dict[int, IsolatedRecord] = {}
    coupled: dict[int, CoupledRecord] = {}
    missing: dict[int, list[str]] = {}
    for epoch in epochs:
        for path, read, records in (
            (isolated_path(epoch), read_isolated_record, isolated),
            (coupled_path(epoch), read_coupled_record, coupled),
        ):
            if not path.exists():
                missing.setdefault(epoch, []).append(path.name)
                continue
            records[epoch] = _of_epoch(epoch, path, read(path))  # type: ignore[index]
    for epoch in isolated.keys() & coupled.keys():
        if isolated[epoch].header.checkpoint_hash != coupled[epoch].header.checkpoint_hash:
            raise UserError(
                f"{isolated_path(epoch)} and {coupled_path(epoch).name} were measured from different checkpoints; "
                "measure both from one"
            )
    return isolated, coupled, missing


def _read_structure(run: RunDirectory) -> dict[int, StructureRecord]:
    paths = {_epoch_of(path): path for path in run.benchmarks.glob("structure_*.json")}
    return {
        epoch: _of_epoch(epoch, paths[epoch], read_structure_record(paths[epoch]))
        for epoch in sorted(epoch for epoch in paths if epoch is not None)
    }


def _of_epoch(epoch: int, path: Path, record: Record) -> Record:
    if record.header.epoch != epoch:
        raise UserError(
            f"{path}: was measured at epoch {record.header.epoch}, its name says {epoch}; name it "
            f"{path.name.replace(str(epoch), str(record.header.epoch))}"
        )
    return record


def _require_one_run(
    records: Sequence[IsolatedRecord | CoupledRecord | StructureRecord],
    where: Path,
    fingerprint: str | None = None,
    seed: int | None = None,
) -> None:
    first = records[0].header
    wanted = (fingerprint or first.recipe_fingerprint, first.training_seed if seed is None else seed)
    for record in records:
        header = record.header
        if (header.recipe_fingerprint, header.training_seed) != wanted:
            reference = "this run" if fingerprint else f"epoch {first.epoch}"
            raise UserError(
                f"{where}: mixed runs: the record of epoch {header.epoch} is of recipe {header.recipe} "
                f"({header.recipe_fingerprint}), seed {header.training_seed}, but {reference} is "
                f"({wanted[0]}), seed {wanted[1]}; keep the records of one run in one directory"
            )


def _recipe_named(header: Header) -> tuple[Recipe, str]:
    if header.recipe not in recipe_names():
        return load_recipe(), f"Recipe {header.recipe} is not one of this program's; phases are the default recipe's."
    recipe = load_recipe(header.recipe)
    variant = f"These records come from a variant of recipe {header.recipe}; phases are the recipe's own."
    return recipe, "" if recipe.fingerprint() == header.recipe_fingerprint else variant


def training_command(recipe: Recipe) -> str | None:
    """The command that trains a recipe of the package, its length aside; None where the recipe is another."""
    if recipe.name not in recipe_names():
        return None
    if load_recipe(recipe.name, seed=recipe.seed).fingerprint() != recipe.fingerprint():
        return None
    return f"ternary-vae train --config {recipe.name} --seed {recipe.seed}"


def command_that_trains(measured: Measurements) -> str:
    """The command that trains a run again, its length and directory aside."""
    recipe = quoted(measured.directory / "recipe.yaml")
    if started_from := measured.facts.get("started_from"):
        return f"ternary-vae resume {quoted(started_from)} --config {recipe}"
    return training_command(measured.recipe) or f"ternary-vae train --config {recipe}"


def command_that_measures(run: RunDirectory, checkpoint: int | str = "latest") -> str:
    """The command that measures a checkpoint of a run, named as `RunDirectory.checkpoint` takes it."""
    return f"ternary-vae benchmark {quoted(run.checkpoint(checkpoint))} --output {quoted(run.benchmarks)}"
