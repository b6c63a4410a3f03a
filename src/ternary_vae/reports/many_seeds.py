"""Two recipes with many seeds each, milestone by milestone: what the plan expected, and what each gets, the worst seed
first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, number, percent, table
from ternary_vae.reports.expectations import Quantity, expected_at
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord


@dataclass(frozen=True)
class Measure:
    """A figure of a milestone.

    Attributes:
        quantity: what the plan calls it, for what it expected.
        read: the figure, from both records of a milestone.
    """

    title: str
    quantity: Quantity
    read: Callable[[IsolatedRecord, CoupledRecord], float]
    kind: Literal["share", "number"] = "share"

    def shown(self, value: float) -> str:
        return percent(value) if self.kind == "share" else number(value, 3)


MEASURES = (
    Measure("VAE-A alone, exact match", "vae_a", lambda alone, _: alone.vae_a.reconstruction.exact_match_rate),
    Measure("VAE-B alone, exact match", "vae_b", lambda alone, _: alone.vae_b.reconstruction.exact_match_rate),
    Measure(
        "Ensemble (best of two), exact match",
        "ensemble",
        lambda _, both: both.ensemble_reconstruction.best_of_two.exact_match_rate,
    ),
    Measure(
        "Coverage at ρ = 0.7, decoded, 100,000 draws",
        "coverage",
        lambda _, both: both.cross_injected_sampling_rho_07.coverage_rate,
    ),
    Measure(
        "Complementarity",
        "complementarity",
        lambda _, both: both.complementary_coverage.complementarity_score,
        "number",
    ),
)


def milestone_tables(plan: Sequence[Measurements], own: Sequence[Measurements]) -> list[str]:
    """Lines of Markdown: for every measure a table with a row a milestone that all runs have.

    Raises:
        UserError: no run of either, or no milestone in common.
    """
    if not plan or not own:
        raise UserError("two recipes to set side by side need a run of each; name both experiments' directories")
    epochs = sorted(set.intersection(*(set(run.complete_milestones) for run in (*plan, *own))))
    if not epochs:
        raise UserError(f"{plan[0].directory} and the other runs have no milestone in common that is benchmarked")
    lines: list[str] = []
    for measure in MEASURES:
        rows = []
        for epoch in epochs:
            expected = expected_at(epoch, measure.quantity, own[0].epochs)
            rows.append([f"{epoch}", NOTHING if expected is None else expected.text])
            for runs in (plan, own):
                values = [measure.read(run.isolated[epoch], run.coupled[epoch]) for run in runs]
                rows[-1] += [measure.shown(min(values)), measure.shown(sum(values) / len(values))]
        header = ["epoch", "the plan expected"]
        for runs in (plan, own):
            header += [f"`{runs[0].recipe.name}`, worst of {len(runs)}", "mean"]
        lines += [f"**{measure.title}**", "", table(header, rows, right_from=1), ""]
    return lines
