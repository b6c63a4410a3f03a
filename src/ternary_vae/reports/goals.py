"""All goals at once, in every seed: what the default recipe must reach and hold through 400 epochs, the worst seed
counting.

The goals go beyond the plan's stretch goals (plan, section 6). Each is judged from what a run wrote down: its rows of
`metrics.jsonl`, every epoch, and the benchmark records of its milestones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, counted, table
from ternary_vae.limits import coverage_limit
from ternary_vae.reports.markdown import markdown
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.figures import GOALS, MEASURES, Expected, Goal, epochs_with
from ternary_vae.space import TWO_INPUT_TERNARY
from ternary_vae.storage.files import write_text


def reached(goal: Goal, run: Measurements) -> float | None:
    """A run's figure for a goal; None where any of it was not measured, which counts as missed."""
    measures = [MEASURES[key] for key in goal.keys]
    if goal.over == "count":
        return epochs_with(run.metrics, *goal.keys)
    if goal.over == "milestones":
        values = [
            measure.read(record)
            for measure in measures
            for epoch, record in (run.isolated if measure.isolated else run.coupled).items()
            if epoch >= goal.first
        ]
    else:
        rows = run.metrics[-1:] if goal.over == "end" else [row for row in run.metrics if row["epoch"] >= goal.first]
        values = [
            measure.read(row) if measure.row else run.value(measure.key, run.epochs)
            for measure in measures
            for row in rows
        ]
    return None if None in values else goal.worst(values)


def goals_table(runs: Sequence[Measurements], every_seed: bool = True) -> list[str]:
    """A Markdown table: each goal, the worst seed first, the mean, and every seed if it is wanted.

    Raises:
        UserError: no run, one that is not complete, or one of another space, whose goals `reports.spaces` has.
    """
    if not runs:
        raise UserError("no runs to judge; name an experiment's directory or several run directories")
    for run in runs:
        if (space := run.recipe.space.as_space()) != TWO_INPUT_TERNARY:
            raise UserError(
                f"{run.directory}: is of {space}, and these goals of {TWO_INPUT_TERNARY}; "
                "judge it with scripts/publish/publish_spaces.py"
            )
        if run.epochs < run.recipe.epochs or len(run.metrics) < run.recipe.epochs:
            done = f"{run.epochs} of {counted(run.recipe.epochs, 'epoch')}"
            raise UserError(f"{run.directory}: {done}; finish it with resume")
    runs = sorted(runs, key=lambda run: run.seed)
    rows = []
    for goal in GOALS:
        values = [reached(goal, run) for run in runs]
        mean = "–" if None in values else goal.measure.value(sum(values) / len(values))
        figures = ["not measured" if value is None else goal.measure.value(value, goal.bounds) for value in values]
        each = [f"{figure} {_mark(goal.bounds, value)}" for figure, value in zip(figures, values)] if every_seed else []
        worst, met = worst_and_met(goal.bounds, values, figures, [run.seed for run in runs])
        rows.append([goal.name, goal.required, worst, met, mean, *each])
    header = ["goal", "required", "worst seed", "met by", "mean"]
    header += [f"seed {run.seed}" for run in runs] if every_seed else []
    return table(header, rows, right_from=2).split("\n")


def worst_and_met(
    bounds: Expected, values: Sequence[float | None], figures: Sequence[str], seeds: Sequence[int]
) -> tuple[str, str]:
    """The worst seed's figure with its mark, and how many seeds meet a goal: `**99.22%** ✓ (seed 0)`, `10 of 10`.

    Args:
        values, figures, seeds: what each run reached, how that is written, and its seed.
    """
    worst = min(range(len(values)), key=lambda index: bounds.margin(values[index]))
    met = sum(map(bounds.met, values))
    return f"**{figures[worst]}** {_mark(bounds, values[worst])} (seed {seeds[worst]})", f"{met} of {len(values)}"


def missed_goals(runs: Sequence[Measurements]) -> list[str]:
    """Goals that not every run meets, with how many do: `… (met by 9 of 10)`."""
    met = {goal.name: sum(goal.bounds.met(reached(goal, run)) for run in runs) for goal in GOALS}
    return [f"{name} (met by {count} of {len(runs)})" for name, count in met.items() if count < len(runs)]


def _mark(bounds: Expected, value: float | None) -> str:
    return "✓" if bounds.met(value) else "✗"


def milestone_tables(plan: Sequence[Measurements], own: Sequence[Measurements]) -> list[str]:
    """Two recipes with many seeds each, as lines of Markdown: for every measure of which the plan expects something a
    table with a row a milestone that all runs have, in which the worst seed comes first, the least where neither more
    nor less is better; a dash where a seed lacks it.

    Raises:
        UserError: no run of either, or no milestone in common.
    """
    if not plan or not own:
        raise UserError("two recipes to set side by side need a run of each; name both experiments' directories")
    epochs = sorted(set.intersection(*(set(run.complete_milestones) for run in (*plan, *own))))
    if not epochs:
        raise UserError(f"{plan[0].directory} and the other runs have no milestone in common that is benchmarked")
    header = ["epoch", "the plan expected"]
    for runs in (plan, own):
        header += [f"`{runs[0].recipe.name}`, worst of {len(runs)}", "mean"]
    lines: list[str] = []
    for measure in (measure for measure in MEASURES.values() if measure.expected):
        rows = []
        worst = max if measure.better < 0 else min
        for epoch in epochs:
            expected = measure.expected_at(epoch, own[0].recipe.schedule_epochs)
            rows.append([f"{epoch}", NOTHING if expected is None else expected.text(measure.unit)])
            for runs in (plan, own):
                values = [run.value(measure.key, epoch) for run in runs]
                known = [] if None in values else [worst(values), sum(values) / len(values)]
                rows[-1] += [measure.value(value) for value in known or (None, None)]
        lines += [f"**{measure.name}**", "", table(header, rows), ""]
    return lines


def write_goals(
    runs: Sequence[Measurements],
    output: Path,
    command: str,
    plan_runs: Sequence[Measurements] = (),
    plan_command: str = "",
) -> Path:
    """Writes the table as a page of its own, with the command that made its runs; and where there are runs of the
    plan's recipe, both recipes milestone by milestone, with the command that made those.

    Raises:
        UserError: as `goals_table` and `milestone_tables`, or the file cannot be written.
    """
    text = markdown(
        "goals",
        goals="\n".join(goals_table(runs)),
        first=runs[0],
        count=len(runs),
        missed=missed_goals(runs),
        limits=[coverage_limit(100_000), coverage_limit(50_000)],
        command=command,
        where=runs[0].facts.get("environment", {}),
        plan=plan_runs,
        plan_command=plan_command,
        beside="\n".join(milestone_tables(plan_runs, runs)) if plan_runs else "",
    )
    write_text(output, text)
    return output
