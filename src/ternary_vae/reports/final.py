"""`FINAL_RESOLUTION_REPORT.md`: the plan's promises beside what was measured, for the plan's recipe and for ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, duration, shares_of_both
from ternary_vae.reports.evolution import FIGURE_NAME
from ternary_vae.reports.goals import goals_table, missed_goals
from ternary_vae.reports.markdown import markdown
from ternary_vae.reports.measurements import (
    Measurements,
    command_that_measures,
    command_that_trains,
    measurements_of_run,
)
from ternary_vae.reports.verdict import VerdictView, verdict_of
from ternary_vae.resolution.figures import CRITERIA, MEASURES, PLAN_EPOCHS, Expected, epochs_with
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.space import TWO_INPUT_TERNARY
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory

_BENCHMARK_SECONDS = 900  # the plan's section 9: 15 minutes a checkpoint
_TRAINING_SECONDS = 40 * 3600


@dataclass(frozen=True)
class Side:
    """One of the two runs: its measurements and its last milestone with both records."""

    run: Measurements
    verdict: VerdictView
    epoch: int

    @property
    def isolated(self) -> IsolatedRecord:
        return self.run.isolated[self.epoch]

    @property
    def coupled(self) -> CoupledRecord:
        return self.run.coupled[self.epoch]

    def value(self, key: str) -> float | None:
        """A measure at the last milestone."""
        return self.run.value(key, self.epoch)

    def shown(self, key: str) -> str:
        """A measure at the last milestone as people read it."""
        return self.run.shown(key, self.epoch)

    def weaker(self, key: str) -> float | None:
        """The lower of both VAEs in a measure."""
        return min((value for side in "ab" if (value := self.value(f"{key}_{side}")) is not None), default=None)

    def of_milestones(self, key: str, over: Callable[[list[float]], float]) -> float | None:
        """What `over` makes of a measure at all milestones that have it, such as the largest."""
        values = [value for at in self.run.complete_milestones if (value := self.run.value(key, at)) is not None]
        return over(values) if values else None

    @property
    def peak(self) -> int:
        """The milestone at which the ensemble was best."""
        return max(self.run.complete_milestones, key=lambda at: self.run.value("exact_match_best_of_two", at) or 0.0)

    @property
    def most_correlated(self) -> int:
        """The milestone at which the two codes were most alike."""
        return max(self.run.coupled, key=lambda at: (self.run.value("latent_correlation", at), at))

    @property
    def largest_step(self) -> tuple[float, int]:
        """By how much ρ changed at most from one epoch to the next, and at which; nothing without a log."""
        rows = [row for row in self.run.metrics if row.get("rho") is not None]
        steps = ((abs(after["rho"] - before["rho"]), after["epoch"]) for before, after in pairwise(rows))
        return max(steps, default=(0.0, 0))

    @property
    def gate_flips(self) -> int:
        """How often the gate of phase 3 opened or closed."""
        gate = [value for value in self.run.column("gate_open") if value is not None]
        return sum(before != after for before, after in pairwise(gate))

    def epochs_below_alert(self) -> int | None:
        """Epochs with the ensemble below the plan's alert level, from the first on at which it was reached."""
        ensemble = MEASURES["exact_match_best_of_two"]
        alert = ensemble.throughout or Expected(None)
        met = [alert.met(value) for row in self.run.metrics if (value := ensemble.read(row)) is not None]
        return met[met.index(True) :].count(False) if True in met else None


@dataclass(frozen=True)
class Promise:
    """What the plan promised.

    Attributes:
        read: what came of it in a run; None where it was not measured.
        kept: whether that keeps the promise.
        shown: a value in words.
    """

    name: str
    promised: str
    read: Callable[[Side], float | None]
    kept: Callable[[float], bool]
    shown: Callable[[float], str]

    def kept_by(self, side: Side) -> str:
        """What a run made of it: `100% ✓`."""
        value = self.read(side)
        return NOTHING if value is None else f"{self.shown(value)} {'✓' if self.kept(value) else '✗'}"


def write_final_report(
    plan_run: RunDirectory,
    own_run: RunDirectory,
    output: str | Path,
    seeds: Sequence[Measurements] = (),
    further: str = "",
) -> Path:
    """Writes the report from a run of the plan's recipe and one of ours; with runs of ours of many seeds, whose worst
    are named first, where there are any, and a paragraph of `further` reading after them.

    Raises:
        UserError: both are the same run, one of another space than the plan's or without a milestone that has both
            records, a damaged record, or an unwritable output.
    """
    if plan_run.path.resolve() == own_run.path.resolve():
        raise UserError(f"{plan_run.path}: given twice; name a run of the plan's recipe and another of yours")
    plan, own = _side(plan_run), _side(own_run)
    text = markdown(
        "final",
        plan=plan,
        own=own,
        better=max((own, plan), key=lambda side: side.value("exact_match_best_of_two") or 0.0),
        seeds=seeds,
        missed=missed_goals(seeds),
        goals="\n".join(goals_table(seeds, every_seed=False)) if seeds else "",
        further=further,
        promises=_promises(),
        criteria=CRITERIA,
        figure=FIGURE_NAME,
        trained_by=command_that_trains,
    )
    write_text(Path(output), text)
    return Path(output)


def _side(run: RunDirectory) -> Side:
    measured = measurements_of_run(run)
    if (space := measured.recipe.space.as_space()) != TWO_INPUT_TERNARY:
        raise UserError(f"{run.path}: is of {space}, and the plan's promises of {TWO_INPUT_TERNARY}; name another run")
    if not measured.complete_milestones:
        raise UserError(
            f"{run.path}: no milestone has both its records; measure a checkpoint first "
            f"(`{command_that_measures(run)}`)"
        )
    return Side(measured, verdict_of(measured), measured.complete_milestones[-1])


def _promises() -> list[Promise]:
    def of_measure(
        key: str, expected: Expected, promised: str, kept: Callable[[float], bool] | None = None, weaker: bool = False
    ) -> Promise:
        measure = MEASURES[f"{key}_a" if weaker else key]
        return Promise(
            f"{measure.head.removesuffix(', A')} ({expected.section})",
            promised,
            (lambda side: side.weaker(key)) if weaker else lambda side: side.value(key),
            kept or (lambda value: expected.standing(value) != "below"),
            measure.value,
        )

    def over_milestones(
        key: str,
        expected: Expected,
        promised: str,
        over: Callable[[list[float]], float],
        which: str,
        kept: Callable[[float], bool] | None = None,
    ) -> Promise:
        name = f"{MEASURES[key].head}, {which} ({expected.section})"
        promise = of_measure(key, expected, promised, kept)
        return replace(promise, name=name, read=lambda side: side.of_milestones(key, over))

    a, b, ensemble, coverage, score = (
        MEASURES[key].expected[PLAN_EPOCHS]
        for key in (
            "exact_match_a", "exact_match_b", "exact_match_best_of_two", "coverage_rho_07", "complementarity_score",
        )
    )  # fmt: skip
    share, coupling, neighbours, dimensions, cost = (
        MEASURES[key].throughout or Expected(None)
        for key in (
            "share_a", "latent_correlation", "nearest_neighbours_at_1_a", "dimensionality_efficiency_a",
            "time_overhead",
        )
    )  # fmt: skip
    most, least = 2 * (coupling.low or 0.0), 0.8 * (dimensions.low or 0.0)  # what counts as "about"
    stretch = {key: Expected(low).text(MEASURES[key].unit)[2:] for key, low in CRITERIA["stretch"].items()}
    homes = of_measure("share_a", share, "40:60 to 60:40", share.met)
    return [
        of_measure("exact_match_a", a, f"{a.text()} by the end"),
        over_milestones("exact_match_b", b, "100% throughout", min, "lowest of any milestone"),
        of_measure("exact_match_best_of_two", ensemble, "100%"),
        Promise("Epochs with the ensemble below 99.9%, once reached (2)", "none", Side.epochs_below_alert,
                lambda count: count == 0, "{:g}".format),
        Promise("Epochs with both VAEs perfect (6)", f"≥ {stretch['epochs_both_exact']}",
                lambda side: epochs_with(side.run.metrics, "epochs_both_exact"),
                Expected(CRITERIA["stretch"]["epochs_both_exact"]).met, "{:g}".format),
        of_measure("coverage_rho_07", coverage, f"{coverage.text()}, stretch {stretch['coverage_rho_07']}"),
        of_measure(
            "complementarity_score", score, f"{score.text('score')}, stretch {stretch['complementarity_score']}"
        ),
        replace(homes, shown=shares_of_both),
        over_milestones("latent_correlation", coupling,
                        f"stable, about {coupling.text('score')}; here up to {most:.2f}", max,
                        "largest of any milestone", lambda value: value <= most),
        of_measure("nearest_neighbours_at_1", neighbours, neighbours.text(), weaker=True),
        of_measure("dimensionality_efficiency", dimensions, f"about {dimensions.text()}; here at least {least:.0%}",
                   lambda value: value >= least, weaker=True),
        over_milestones("time_overhead", cost, f"< {cost.text()[2:]}", median, "median of the milestones",
                        lambda value: value < (cost.high or 0.0)),
        Promise("Training (9)", "about 40 GPU hours", lambda side: side.run.facts.get("seconds"),
                lambda seconds: seconds < _TRAINING_SECONDS, duration),
        Promise("Benchmarks of one checkpoint (9)", "15 minutes",
                lambda side: side.isolated.header.elapsed_seconds + side.coupled.header.elapsed_seconds,
                lambda seconds: seconds < _BENCHMARK_SECONDS, duration),
    ]  # fmt: skip
