"""`RESOLUTION_EVOLUTION.md`: what was measured at each milestone, beside what the plan expected there."""

from __future__ import annotations

from pathlib import Path

from ternary_vae.formats import NOTHING
from ternary_vae.reports.markdown import markdown
from ternary_vae.reports.measurements import Measurements, command_that_trains
from ternary_vae.resolution.figures import MEASURES, epochs_with, registered
from ternary_vae.space import TWO_INPUT_TERNARY

FIGURE_NAME = "resolution_evolution.png"
_EVENTS_SHOWN = 60
_OF_EACH_VAE = (
    "nearest_neighbours_at_1", "effective_dimensions", "half_sigma", "information", "held_out_exact_match",
)  # fmt: skip


def evolution_markdown(measured: Measurements, output: Path) -> str:
    """The report's text, in which a missing milestone is named; `output` is where it will be written, for the commands
    that repeat it."""
    ensemble, alert = MEASURES["exact_match_best_of_two"], MEASURES["exact_match_best_of_two"].throughout
    assert alert is not None
    below = [
        row["epoch"] for row in measured.metrics if (rate := ensemble.read(row)) is not None and not alert.met(rate)
    ]
    return markdown(
        "evolution",
        run=measured,
        plan_space=TWO_INPUT_TERNARY,
        plan_expects=any(
            MEASURES["exact_match_a"].expected_at(epoch, measured.recipe.schedule_epochs)
            for epoch in measured.every_milestone
        ),
        trained_by=command_that_trains(measured),
        last=max(measured.complete_milestones, default=None),
        epochs=measured.every_milestone,
        figure=FIGURE_NAME,
        output=output,
        nothing=NOTHING,
        secondary=(*_OF_EACH_VAE, *(one.key for one in registered() if one.source != "metrics")),
        epochs_with=epochs_with,
        covered=sum(value is not None for value in measured.column("covered_all_a")),
        below=below,
        events=[event for event in measured.events if event.get("kind") != "milestone"],
        events_shown=_EVENTS_SHOWN,
    )
