"""Figures of all runs as one table, and the comparisons that follow from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ternary_vae.errors import UserError, nearest
from ternary_vae.experiments.arms import Arm, deciding_milestone
from ternary_vae.experiments.description import Experiment
from ternary_vae.experiments.execution import Execution
from ternary_vae.experiments.statistics import (
    LEVEL,
    Paired,
    Summary,
    compare_pairs,
    detectable_difference,
    holm,
    summarise,
)
from ternary_vae.formats import csv_text
from ternary_vae.resolution.figures import MEASURES, Measure
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.storage.runs import RunDirectory

PRIMARY_BENCHMARKED = ("exact_match_a", "exact_match_b", "coverage_rho_07", "complementarity_score")
PRIMARY_UNBENCHMARKED = ("exact_match_a", "exact_match_b", "coverage", "complementarity")
_REPAIR = "restore the file, or move the run away and give the same command again"


class Figure(NamedTuple):
    """One measure of one run at one epoch."""

    arm: str
    seed: int
    epoch: int
    measure: str
    value: float


@dataclass(frozen=True)
class Comparison:
    """One arm against another in one measure at one milestone.

    Attributes:
        seeds: those that both arms have.
        means: of the two arms over those seeds.
        decides: whether it belongs to the family by which the experiment decides: primary measures at the last
            milestone. All other comparisons are a family of their own.
        aside: whether neither arm is the experiment's reference. What decides is looked at for such pairs too, as a
            third family.
        family: number of comparisons in its family.
        p_corrected: for that number; None where there is no p.
        detectable_corrected: as `paired.detectable`, at the strictest level that the correction asks for.
    """

    arm: str
    against: str
    epoch: int
    measure: Measure
    seeds: tuple[int, ...]
    means: tuple[float, float]
    paired: Paired
    decides: bool
    aside: bool = False
    family: int = 0
    p_corrected: float | None = None
    detectable_corrected: float | None = None

    @property
    def spread(self) -> float | None:
        """Half the width of the interval."""
        summary = self.paired.summary
        return None if summary.low is None or summary.high is None else (summary.high - summary.low) / 2

    @property
    def constant(self) -> bool:
        """Whether the arms differ by exactly as much in every seed, of at least two."""
        return self.paired.summary.deviation == 0 and self.paired.summary.mean != 0

    @property
    def certain(self) -> bool:
        """Whether the difference stands after correction."""
        return self.p_corrected is not None and self.p_corrected < LEVEL

    @property
    def winner(self) -> str | None:
        """The better arm, where the difference stands and one direction is better."""
        lead = self.paired.summary.mean * self.measure.better
        if not self.certain or not lead:
            return None
        return self.arm if lead > 0 else self.against


@dataclass(frozen=True)
class Results:
    """Everything that a report says.

    Attributes:
        figures: of every run, complete or not.
        last: the milestone that decides, see `arms.deciding_milestone`.
        facts: `run.json` by name of the run; empty for runs not started.
        curves: values of all seeds in every epoch, by arm and primary measure; measures of the epoch log only.
    """

    experiment: Experiment
    arms: list[Arm]
    figures: list[Figure]
    primary: list[Measure]
    milestones: list[int]
    last: int
    comparisons: list[Comparison]
    execution: Execution
    facts: dict[str, dict[str, Any]]
    curves: dict[tuple[str, str], dict[int, list[float]]] = field(repr=False)
    values: dict[tuple[str, int, str], dict[int, float]] = field(repr=False)

    @property
    def deciding(self) -> list[Comparison]:
        """Comparisons that decide, measure by measure."""
        deciding = [one for one in self.comparisons if one.decides]
        return sorted(deciding, key=lambda one: self.primary.index(one.measure))

    def label(self, one: Comparison) -> str:
        """What a row or a line of a comparison is called: the arm alone where all are compared with the reference."""
        return one.arm if self.experiment.reference else f"{one.arm} – {one.against}"

    def differences(self, one: Comparison) -> list[float]:
        """By seed, in the unit that people read."""
        first, second = (self.of(name, one.epoch, one.measure.key) for name in (one.arm, one.against))
        return [one.measure.factor * (first[seed] - second[seed]) for seed in one.seeds]

    def of(self, arm: str, epoch: int, measure: str) -> dict[int, float]:
        """Values by seed."""
        return self.values.get((arm, epoch, measure), {})

    def summary(self, arm: str, epoch: int, measure: str) -> Summary | None:
        values = self.of(arm, epoch, measure)
        return summarise(list(values.values())) if values else None

    def curve(self, arm: str, measure: Measure) -> dict[int, list[float]]:
        """Values of all seeds by epoch: every epoch where it is logged, else the milestones."""
        if measure.source == "metrics" and (arm, measure.key) in self.curves:
            return self.curves[arm, measure.key]
        by_epoch = {epoch: list(self.of(arm, epoch, measure.key).values()) for epoch in self.milestones}
        return {epoch: values for epoch, values in by_epoch.items() if values}

    def measures_at(self, epoch: int) -> list[Measure]:
        """Measures that any arm has at an epoch, in the order of MEASURES."""
        keys = {key for _, at, key in self.values if at == epoch}
        return [measure for key, measure in MEASURES.items() if key in keys]


def primary_measures(experiment: Experiment, arms: Sequence[Arm], source: Path | str = "experiment") -> list[Measure]:
    """What the experiment decides by.

    Raises:
        UserError: an unknown measure, or one that is not measured where the experiment decides.
    """
    last = deciding_milestone(experiment, arms, source)
    there = [arm for arm in arms if last in arm.milestones]
    benchmarked = experiment.benchmarks != "none" and all(last in arm.recipe.benchmarked for arm in there)
    try:
        chosen = measures_named(experiment.primary or (PRIMARY_BENCHMARKED if benchmarked else PRIMARY_UNBENCHMARKED))
    except UserError as failure:
        raise UserError(f"{source}: {failure}") from None
    for measure in chosen:
        if measure.source != "metrics" and not benchmarked:
            raise UserError(
                f"{source}: primary: {measure.key} is measured by benchmarks alone, and epoch {last}, where the "
                "experiment decides, is not benchmarked; add it to benchmarks, or choose another measure"
            )
    return chosen


def measures_named(keys: tuple[str, ...]) -> list[Measure]:
    """Measures by key.

    Raises:
        UserError: an unknown key (the nearest is named).
    """
    known = [key for key, measure in MEASURES.items() if measure.compared]
    for key in keys:
        if key not in known:
            raise UserError(f"primary: unknown measure {key!r}; {nearest(key, known)}")
    return [MEASURES[key] for key in keys]


def measured_values(
    run: RunDirectory, rows: Sequence[dict[str, Any]], epochs: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Every measure that a run has, by epoch; what was not measured is absent.

    Args:
        rows: of the run's metrics.

    Raises:
        UserError: a damaged record.
        ValueError: a row in which something measured is no number.
    """
    by_epoch = {row["epoch"]: row for row in rows}
    measured: dict[int, dict[str, float]] = {}
    for epoch in epochs:
        isolated, coupled = run.isolated_record(epoch), run.coupled_record(epoch)
        sources: dict[str, dict[str, Any] | IsolatedRecord | CoupledRecord | None] = {
            "metrics": by_epoch.get(epoch),
            "isolated": read_isolated_record(isolated) if isolated.exists() else None,
            "coupled": read_coupled_record(coupled) if coupled.exists() else None,
        }
        values = {key: measure.read(sources[measure.source]) for key, measure in MEASURES.items() if measure.compared}
        measured[epoch] = {key: value for key, value in values.items() if value is not None}
    return measured


def gather(experiment: Experiment, execution: Execution) -> Results:
    """Reads every run and compares the arms.

    Raises:
        UserError: an unknown primary measure, or a damaged file of a run.
    """
    milestones = {arm.name: arm.milestones for arm in execution.arms}
    primary = primary_measures(experiment, execution.arms, execution.source)
    last = deciding_milestone(experiment, execution.arms, execution.source)
    figures: list[Figure] = []
    curves: dict[tuple[str, str], dict[int, list[float]]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for run in execution.runs:
        directory = execution.directory.run(run)
        facts[run.name] = directory.facts() if directory.exists else {}
        rows = directory.metrics(whole=run.name in execution.complete)
        try:
            for epoch, by_key in measured_values(directory, rows, milestones[run.arm]).items():
                figures += [Figure(run.arm, run.seed, epoch, key, value) for key, value in by_key.items()]
            for measure in primary:
                if measure.source == "metrics":
                    curve = curves.setdefault((run.arm, measure.key), {})
                    for row in rows:
                        if (value := measure.read(row)) is not None:
                            curve.setdefault(row["epoch"], []).append(value)
        except ValueError as damage:
            raise UserError(f"{directory.metrics_file}: damaged: {damage}; {_REPAIR}") from None
    values: dict[tuple[str, int, str], dict[int, float]] = {}
    for figure in figures:
        values.setdefault((figure.arm, figure.epoch, figure.measure), {})[figure.seed] = figure.value
    epochs = sorted(set(itertools.chain(*milestones.values())))
    comparisons = _corrected(list(_comparisons(experiment, execution.arms, values, primary, epochs, last)))
    return Results(
        experiment, execution.arms, figures, primary, epochs, last, comparisons, execution, facts, curves, values
    )


def figures_csv(figures: Sequence[Figure]) -> str:
    """One line a figure."""
    return csv_text(Figure._fields, figures)


def comparisons_csv(comparisons: Sequence[Comparison], describe: Callable[[Comparison], str]) -> str:
    """One line a comparison; differences are arm less against, in the measure's own unit (shares from 0 to 1).

    Args:
        describe: a comparison as a sentence.
    """
    header = (
        "arm", "against", "epoch", "measure", "pairs", "mean", "mean_against", "difference", "low", "high",
        "standard_deviation", "p", "p_corrected", "family", "decides", "detectable", "detectable_corrected", "sentence",
    )  # fmt: skip

    def row(one: Comparison) -> tuple[Any, ...]:
        summary = one.paired.summary
        return (
            one.arm, one.against, one.epoch, one.measure.key, summary.count, *one.means, summary.mean, summary.low,
            summary.high, summary.deviation, one.paired.p, one.p_corrected, one.family, one.decides,
            one.paired.detectable, one.detectable_corrected, describe(one),
        )  # fmt: skip

    return csv_text(header, map(row, comparisons))


def _comparisons(
    experiment: Experiment,
    arms: Sequence[Arm],
    values: dict[tuple[str, int, str], dict[int, float]],
    primary: Sequence[Measure],
    epochs: Sequence[int],
    last: int,
) -> Iterator[Comparison]:
    names = [arm.name for arm in arms]
    reference = experiment.reference
    each_with_each = [(b, a) for a, b in itertools.combinations(names, 2)]
    pairs = [(name, reference) for name in names if name != reference] if reference else each_with_each
    others = [pair for pair in each_with_each if reference not in pair] if reference else []
    for epoch in epochs:
        for key, measure in MEASURES.items():
            primary_here = epoch == last and measure in primary
            for arm, against in [*pairs, *(others if primary_here else [])]:
                one, other = (values.get((name, epoch, key), {}) for name in (arm, against))
                seeds = tuple(seed for seed in one if seed in other)
                if not seeds:
                    continue
                first, second = [one[seed] for seed in seeds], [other[seed] for seed in seeds]
                means = summarise(first).mean, summarise(second).mean
                paired, aside = compare_pairs(first, second), bool(reference) and reference not in (arm, against)
                yield Comparison(arm, against, epoch, measure, seeds, means, paired, primary_here and not aside, aside)


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """Each family by itself: what decides, the same for pairs without the reference, and all that was looked at."""
    judged: dict[int, Comparison] = {}
    for kind in ((True, False), (False, True), (False, False)):
        family = [at for at, one in enumerate(comparisons) if (one.decides, one.aside) == kind]
        tested = [at for at in family if comparisons[at].paired.p is not None]
        corrected = dict(zip(tested, holm([comparisons[at].paired.p or 0.0 for at in tested])))
        for at in family:
            summary, detectable = comparisons[at].paired.summary, None
            if summary.deviation:
                detectable = detectable_difference(summary.deviation, summary.count, LEVEL / len(tested))
            judged[at] = replace(
                comparisons[at], family=len(tested), p_corrected=corrected.get(at), detectable_corrected=detectable
            )
    return [judged[at] for at in range(len(comparisons))]
