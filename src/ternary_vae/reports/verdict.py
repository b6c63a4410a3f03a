"""A run's verdict as its reports show it: the criteria's judgement, in words."""

from __future__ import annotations

from dataclasses import dataclass, field

from ternary_vae.formats import counted
from ternary_vae.recipe import FULL_COVERAGE_DRAWS
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.criteria import LEVELS, Level, Verdict, judge
from ternary_vae.space import TWO_INPUT_TERNARY

_TITLES = ("Minimum acceptable", "Target", "Stretch goals", "This project's own")
_REACHED = {
    "none": "The plan's minimum is missed",
    "minimum": "The plan's minimum is met, its target is not",
    "target": "The plan's target is met, its stretch goals are not",
    "stretch": "Every level of the plan is met",
}


@dataclass(frozen=True)
class VerdictView:
    """The whole verdict in words; `verdict` is None where no milestone has both records. `levels` are those of the
    plan's section 6 and this project's own demands, by title."""

    headline: str
    counts: str = ""
    levels: dict[str, Level] = field(default_factory=dict)
    verdict: Verdict | None = None


def verdict_of(measured: Measurements) -> VerdictView:
    """Judges a run by its last milestone that has both records."""
    if not measured.complete_milestones:
        return VerdictView("No verdict: no milestone has both its records; measure a checkpoint first.")
    epoch = measured.complete_milestones[-1]
    verdict = judge(measured.isolated[epoch], measured.coupled[epoch], measured.metrics)
    judged = [*(verdict.levels[name] for name in LEVELS), Level(met=verdict.own_met, lines=verdict.own)]
    levels = dict(zip(_TITLES, judged, strict=True))
    return VerdictView(_headline(verdict, measured), _counts(verdict, measured), levels, verdict)


def _headline(verdict: Verdict, measured: Measurements) -> str:
    joined = "and" if (verdict.level == "stretch") == verdict.own_met else "but"
    own = "met" if verdict.own_met else "not all met"
    unfinished = ""
    if verdict.epoch < measured.recipe.epochs:
        unfinished = f" Judged at epoch {verdict.epoch} of {measured.recipe.epochs}."
    other = "" if _of_the_plans_space(measured) else " Of another space than the plan's, its coverage is left out."
    return f"{_REACHED[verdict.level]}, {joined} this project's own demands on one run are {own}.{other}{unfinished}"


def _of_the_plans_space(measured: Measurements) -> bool:
    return measured.recipe.space.as_space() == TWO_INPUT_TERNARY


def _counts(verdict: Verdict, measured: Measurements) -> str:
    if not measured.metrics:
        return ""
    exact = verdict.sustained_reconstruction_epochs
    evaluated = counted(measured.evaluated_epochs, "epoch")
    sentences = [f"Both VAEs were exact on {measured.every_operation} in {exact} of {evaluated}."]
    if any(value is not None for value in measured.column("covered_all_a")):
        draws = measured.full_coverage_draws
        sentence = f"{draws:,} draws of each VAE alone met every operation in {verdict.full_coverage_epochs}"
        if draws == FULL_COVERAGE_DRAWS and _of_the_plans_space(measured):
            sentence += "; a perfectly uniform pair would in about one of seven"
        sentences.append(f"{sentence}.")
    if verdict.guard_events is not None:
        sentences.append(f"Guards fired: {verdict.guard_events}.")
    return " ".join(sentences)
