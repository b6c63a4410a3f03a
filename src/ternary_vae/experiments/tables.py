"""The tables of an experiment's report and page, as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ternary_vae.experiments.results import Comparison, Results
from ternary_vae.formats import NOTHING, cell, duration, number, table
from ternary_vae.resolution.figures import Measure

BETTER, WORSE, DIFFERENT = "▲", "▼", "≠"
MARKS = f"After correction: {BETTER} better than {{}}, {WORSE} worse, {DIFFERENT} different; unmarked: not told apart."


@dataclass(frozen=True)
class Table:
    """Cells as people read them; columns from `right_from` on are figures."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    right_from: int = 1

    def markdown(self) -> str:
        return table([cell(name) for name in self.header], [list(map(cell, row)) for row in self.rows], self.right_from)


def deciding_table(results: Results) -> Table:
    """Every comparison that decides, measure by measure, with what it could have seen."""
    reference, rows = results.experiment.reference, []
    for one in results.deciding:
        measure, summary, digits = one.measure, one.paired.summary, one.measure.digits_for(one.spread)
        interval = NOTHING
        if summary.low is not None and summary.high is not None:
            interval = measure.span(summary.low, summary.high, digits)
        p = NOTHING if one.p_corrected is None else "<0.001" if one.p_corrected < 0.001 else number(one.p_corrected, 3)
        rows.append(
            (measure.title, results.label(one), measure.difference(summary.mean, digits), interval, p, verdict(one),
             _detectable(one))
        )  # fmt: skip
    family = max((one.family for one in results.deciding), default=0)
    against = f"Compared with {reference}" if reference else "Compared"
    first = ("Measure", against, "Difference", "95% interval", "p, corrected")
    seen = "Could have seen: alone" + (f" · among {family}" if family else "")
    return Table((*first, "Verdict", seen), rows, right_from=2)


def verdict(one: Comparison) -> str:
    """`better`, `worse` or `different` where the difference stands after correction; else `equal`, `always higher` or
    `always lower` (by the same in every seed, which leaves nothing to judge by), or `not told apart`."""
    summary = one.paired.summary
    if one.winner:
        return "better" if one.winner == one.arm else "worse"
    if one.certain:
        return "different"
    if summary.deviation == 0:
        return "equal" if summary.mean == 0 else "always higher" if summary.mean > 0 else "always lower"
    return "not told apart"


def _detectable(one: Comparison) -> str:
    """What the comparison could have seen, alone and among all that decide."""
    alone, corrected = one.paired.detectable, one.detectable_corrected
    if alone is None or corrected is None:
        return NOTHING
    measure, digits = one.measure, one.measure.digits_for(alone)
    if corrected > measure.room(one.means[1]):
        return f"{measure.size(alone, digits) if alone <= measure.room(one.means[1]) else 'beyond'} · beyond the scale"
    return f"{measure.size(alone, digits).removesuffix(measure.unit_word)} · {measure.size(corrected, digits)}"


def wins_table(results: Results) -> Table:
    """What decides, at a glance: arms below each other, their means and marks in every deciding measure."""
    marked = _marked_means(results)
    rows = [(arm.name, *(marked(arm.name, measure) for measure in results.primary)) for arm in results.arms]
    return Table(("Arm", *(measure.title for measure in results.primary)), rows)


def arms_table(results: Results) -> Table:
    """Every measure at the last milestone: means of all arms, marked where one differs from the reference."""
    marked = _marked_means(results)
    rows = [
        (measure.title, *(marked(arm.name, measure) for arm in results.arms))
        for measure in results.measures_at(results.last)
    ]
    return Table(("Measure", *(arm.name for arm in results.arms)), rows)


def _marked_means(results: Results) -> Callable[[str, Measure], str]:
    reference = results.experiment.reference
    comparisons = {
        (one.arm, one.measure.key): one for one in results.comparisons if one.epoch == results.last and not one.aside
    }

    def marked(arm: str, measure: Measure) -> str:
        summary = results.summary(arm, results.last, measure.key)
        mean = NOTHING if summary is None else measure.value(summary.mean)
        one = comparisons.get((arm, measure.key)) if reference else None
        if one is None or not one.certain:
            return mean
        return f"{mean} {_mark(one)}"

    return marked


def milestones_table(results: Results, measure: Measure) -> Table:
    """Means of every arm at every milestone, and their spread over seeds."""
    rows = []
    for epoch in results.milestones:
        summaries = [results.summary(arm.name, epoch, measure.key) for arm in results.arms]
        if any(summaries):
            spreads = [
                NOTHING
                if one is None
                else measure.value(one.mean) + ("" if one.deviation is None else f" ± {measure.size(one.deviation)}")
                for one in summaries
            ]
            rows.append((str(epoch), *spreads))
    return Table(("Epoch", *(arm.name for arm in results.arms)), rows)


def differences_table(results: Results, measure: Measure) -> Table:
    """Every arm's difference from the reference at every milestone, with its 95% interval; empty without a
    reference."""
    reference = results.experiment.reference
    comparisons = {(one.arm, one.epoch): one for one in results.comparisons if one.measure is measure and not one.aside}
    names = [arm.name for arm in results.arms if reference and arm.name != reference]
    rows = []
    for epoch in results.milestones:
        differences = [_difference(comparisons.get((name, epoch))) for name in names]
        if any(each != NOTHING for each in differences):
            rows.append((str(epoch), *differences))
    return Table(("Epoch", *names), rows)


def _difference(one: Comparison | None) -> str:
    if one is None:
        return NOTHING
    measure, summary, digits = one.measure, one.paired.summary, one.measure.digits_for(one.spread)
    text = measure.difference(summary.mean, digits)
    if summary.low is not None and summary.high is not None:
        text += f" [{measure.span(summary.low, summary.high, digits)}]"
    return f"{text} {_mark(one)}" if one.certain else text


def _mark(one: Comparison) -> str:
    """Of a difference that stands after correction."""
    return {"better": BETTER, "worse": WORSE}.get(verdict(one), DIFFERENT)


def seeds_table(results: Results, measures: Sequence[Measure]) -> Table:
    """Mean, interval and spread of every arm, its worst seed and its best; lowest and highest where no direction is
    better."""
    rows = []
    for measure in measures:
        for arm in results.arms:
            values = results.of(arm.name, results.last, measure.key)
            summary = results.summary(arm.name, results.last, measure.key)
            if summary is None:
                continue
            ends = sorted(values, key=lambda seed: values[seed] * (measure.better or 1))
            shown = [f"{measure.value(values[seed])} (seed {seed})" for seed in (ends[0], ends[-1])]
            if len(set(values.values())) == 1 and len(values) > 1:
                shown = [f"{measure.value(summary.mean)} (all)"] * 2
            spread = NOTHING if summary.deviation is None else measure.size(summary.deviation)
            rows.append(
                (measure.title, arm.name, str(summary.count), measure.value(summary.mean),
                 measure.interval(summary.low, summary.high), spread, *shown)
            )  # fmt: skip
    worst, best = ("Worst", "Best") if all(one.better for one in measures) else ("Worst or lowest", "Best or highest")
    header = ("Measure", "Arm", "Seeds", "Mean", "95% interval of the mean", "Spread of seeds", worst, best)
    return Table(header, rows, right_from=2)


def runs_table(results: Results) -> Table:
    """Every run, how it ended and what it took."""
    rows = []
    for run in results.execution.runs:
        facts = results.facts.get(run.name, {})
        why = results.execution.failed.get(run.name, "")
        complete = run.name in results.execution.complete
        status = "complete" if complete else f"failed: {why}" if why else str(facts.get("status", "not begun"))
        values = [
            measure.value(results.of(run.arm, results.last, measure.key).get(run.seed)) for measure in results.primary
        ]
        rows.append((run.name, status, duration(facts.get("seconds")), *values))
    return Table(("Run", "Status", "Time", *(measure.title for measure in results.primary)), rows, right_from=2)
