"""Two recipes with many seeds each, milestone by milestone: what the plan expected, and what each gets, the worst seed
first."""

from __future__ import annotations

from collections.abc import Sequence

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, table
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.figures import MEASURES


def milestone_tables(plan: Sequence[Measurements], own: Sequence[Measurements]) -> list[str]:
    """Lines of Markdown: for every measure of which the plan expects something a table with a row a milestone that all
    runs have.

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
        for epoch in epochs:
            expected = measure.expected_at(epoch, own[0].epochs)
            rows.append([f"{epoch}", NOTHING if expected is None else expected.text(measure.unit)])
            for runs in (plan, own):
                values = [value for run in runs if (value := run.value(measure.key, epoch)) is not None]
                mean = sum(values) / len(values) if values else None
                rows[-1] += [measure.value(min(values, default=None)), measure.value(mean)]
        lines += [f"**{measure.name}**", "", table(header, rows), ""]
    return lines
