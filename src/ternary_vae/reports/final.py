"""`FINAL_RESOLUTION_REPORT.md`: the plan's promises beside what was measured, for the plan's recipe and for ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, beside_uniform, code, duration, number, percent, table
from ternary_vae.reports.evolution import FIGURE_NAME
from ternary_vae.reports.expectations import AT_MILESTONE, PLAN_EPOCHS, THROUGHOUT, Expected
from ternary_vae.reports.findings import (
    Side,
    cautions,
    complementarity,
    coverage,
    ensemble,
    epochs_below_alert,
    failures,
    perfect_epochs,
    remedies,
    vae_a,
    vae_b,
    weaker,
)
from ternary_vae.reports.goals import goals_table, missed_goals
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

SUSTAINED_EPOCHS = 20
_BENCHMARK_SECONDS = 900  # the plan's section 9: 15 minutes a checkpoint


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
        UserError: both are the same run, a run without a milestone that has both records, a damaged record, or an
            unwritable output.
    """
    if plan_run.path.resolve() == own_run.path.resolve():
        raise UserError(f"{plan_run.path}: given twice; name a run of the plan's recipe and another of yours")
    write_text(Path(output), final_markdown(_side(plan_run), _side(own_run), seeds, further))
    return Path(output)


def final_markdown(plan: Side, own: Side, seeds: Sequence[Measurements] = (), further: str = "") -> str:
    """The report's text."""
    sections = [
        "# Final resolution report",
        _summary(plan, own),
        *(_worst_first(seeds) if seeds else []),
        further,
        "## What was promised, what was measured",
        f"After {plan.epoch} epochs of `{plan.measured.recipe.name}` (seed {plan.measured.seed}) and {own.epoch} "
        f"epochs of `{own.measured.recipe.name}` (seed {own.measured.seed}). ✓ kept, ✗ not kept. Numbers in brackets "
        "are sections of the plan.",
        _promises(plan, own),
        "## What failed, and why",
        failures(plan),
        "## What the other recipe does instead",
        remedies(own),
        "## What the figures do not say",
        cautions(plan, own),
        "## What to do with this",
        _actions(plan, own),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _side(run: RunDirectory) -> Side:
    measured = measurements_of_run(run)
    if not measured.complete_milestones:
        raise UserError(
            f"{run.path}: no milestone has both its records; measure a checkpoint with `ternary-vae benchmark` first"
        )
    epoch = measured.complete_milestones[-1]
    return Side(measured, verdict_of(measured), epoch, measured.isolated[epoch], measured.coupled[epoch])


def _summary(plan: Side, own: Side) -> str:
    def sentence(side: Side) -> str:
        a, b = side.isolated.vae_a.reconstruction, side.isolated.vae_b.reconstruction
        mixed = side.coupled.cross_injected_sampling_rho_07
        return (
            f"**`{side.measured.recipe.name}`**: {side.verdict.headline} VAE-A {percent(a.exact_match_rate)}, VAE-B "
            f"{percent(b.exact_match_rate)}, ensemble {percent(ensemble(side))}, coverage "
            f"{beside_uniform(mixed.coverage_rate, mixed.coverage_limit)}, complementarity "
            f"{number(complementarity(side), 3)}."
        )

    return f"{sentence(plan)}\n\n{sentence(own)}"


def _worst_first(seeds: Sequence[Measurements]) -> list[str]:
    missed = missed_goals(seeds)
    verdict = f"Missed by at least one seed: {'; '.join(missed)}." if missed else "Every goal is met in every seed."
    return [
        f"## The worst of {len(seeds)} seeds",
        f"One seed is one seed. `{seeds[0].recipe.name}` after {seeds[0].epochs} epochs with seeds "
        f"{', '.join(str(run.seed) for run in sorted(seeds, key=lambda run: run.seed))}: {verdict}",
        "\n".join(goals_table(seeds, every_seed=False)),
    ]


def _promises(plan: Side, own: Side) -> str:
    last = AT_MILESTONE[PLAN_EPOCHS]

    def shown(value: Callable[[Side], float | None], kept: Callable[[float], bool], text: Callable[..., str]):
        def one(side: Side) -> str:
            found = value(side)
            return NOTHING if found is None else f"{text(found)} {'✓' if kept(found) else '✗'}"

        return [one(plan), one(own)]

    def reached(expected: Expected) -> Callable[[float], bool]:
        return lambda value: expected.standing(value) != "below"

    share, cost, coupling = THROUGHOUT["share_a"], THROUGHOUT["inference_overhead"], THROUGHOUT["latent_coupling"]
    neighbours, dimensions = THROUGHOUT["neighbor_consistency"], THROUGHOUT["dimensionality_efficiency"]
    rows = [
        ["VAE-A exact (2, 6)", f"{last['vae_a'].text} by the end", *shown(vae_a, reached(last["vae_a"]), percent)],
        ["VAE-B exact (4)", "100% throughout", *shown(vae_b, reached(last["vae_b"]), percent)],
        ["Ensemble exact (1, 2, 6)", "100%", *shown(ensemble, reached(last["ensemble"]), percent)],
        ["Epochs with the ensemble below 99.9%, once reached (2)", "none",
         *shown(epochs_below_alert, lambda count: count == 0, lambda count: f"{count}")],
        ["Epochs with both VAEs perfect (6)", f"≥ {SUSTAINED_EPOCHS}",
         *shown(perfect_epochs, lambda count: count >= SUSTAINED_EPOCHS, lambda count: f"{count}")],
        ["Coverage, ρ = 0.7 (2, 6)", f"{last['coverage'].text}, stretch 92%",
         *shown(coverage, reached(last["coverage"]), percent)],
        ["Complementarity (4, 6)", f"{last['complementarity'].text}, stretch 0.70",
         *shown(complementarity, reached(last["complementarity"]), partial(number, digits=3))],
        ["Homes A : B (2)", "40:60 to 60:40",
         *shown(lambda side: side.coupled.complementary_coverage.share_a,
                lambda value: share.standing(value) == "within",
                lambda value: f"{100 * value:.0f}:{100 - round(100 * value)}")],
        ["Latent correlation (4)", f"stable, about {coupling.text}",
         *shown(lambda side: side.coupled.latent_coupling.mean_absolute_correlation,
                lambda value: value <= 2 * coupling.low, number)],
        ["Nearest neighbours one entry apart (4)", neighbours.text,
         *shown(lambda side: weaker(side, lambda vae: vae.nearest_neighbor.hamming_1_rate), reached(neighbours),
                percent)],
        ["Dimensions in effect, of 16 (4)", f"about {dimensions.text}",
         *shown(lambda side: weaker(side, lambda vae: vae.dimensionality.efficiency),
                lambda value: value >= 0.8 * dimensions.low, lambda value: percent(value, 0))],
        ["Ensemble's cost in time (1)", "< 5%",
         *shown(lambda side: side.coupled.inference_overhead.time_overhead, lambda value: value < (cost.high or 0),
                lambda value: percent(value, 1))],
        ["Training (9)", "about 40 GPU hours",
         *shown(lambda side: side.measured.facts.get("seconds"), lambda value: value < 40 * 3600, duration)],
        ["Benchmarks of one checkpoint (9)", "15 minutes",
         *shown(lambda side: side.isolated.header.elapsed_seconds + side.coupled.header.elapsed_seconds,
                lambda value: value < _BENCHMARK_SECONDS, duration)],
    ]  # fmt: skip
    header = ["Promise", "Promised", *(f"`{side.measured.recipe.name}`" for side in (plan, own))]
    return table(header, rows, right_from=2)


def _actions(plan: Side, own: Side) -> str:
    better = own if ensemble(own) >= ensemble(plan) else plan
    trainings = [
        f"ternary-vae train --config {run.recipe.name} --seed {run.seed} --epochs {run.epochs} "
        f"--run-dir {quoted(run.directory)}"
        for run in (plan.measured, own.measured)
    ]
    return (
        f"- Use {code(f'{better.measured.directory}/checkpoints/best.safetensors')}, the better of the two.\n"
        f"- Look at each run's page, `reports/index.html`, and figure, `reports/{FIGURE_NAME}`, in "
        f"{code(plan.measured.directory)} and {code(own.measured.directory)}.\n"
        "- Repeat both runs and this report:\n\n```\n"
        + "\n".join(
            [
                *trainings,
                f"ternary-vae report {quoted(own.measured.directory)} --plan-run {quoted(plan.measured.directory)}",
            ]
        )
        + "\n```"
    )
