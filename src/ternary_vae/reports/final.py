"""`FINAL_RESOLUTION_REPORT.md`: the plan's promises beside what was measured, for the plan's recipe and for ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.reports.evolution import FIGURE_NAME
from ternary_vae.reports.expectations import AT_MILESTONE, PLAN_EPOCHS, THROUGHOUT, Expected
from ternary_vae.reports.formats import NOTHING, duration, number, percent, table
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.verdict import VerdictView, verdict_of
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory

SUSTAINED_EPOCHS = 20
_BENCHMARK_SECONDS = 900  # the plan's section 9: 15 minutes a checkpoint


@dataclass(frozen=True)
class Side:
    """One of the two runs: its measurements and its last milestone with both records."""

    measured: Measurements
    verdict: VerdictView
    epoch: int
    isolated: IsolatedRecord
    coupled: CoupledRecord


def write_final_report(plan_run: RunDirectory, own_run: RunDirectory, output: str | Path) -> Path:
    """Writes the report from a run of the plan's recipe and one of ours.

    Raises:
        UserError: both are the same run, a run without a milestone that has both records, a damaged record, or an
            unwritable output.
    """
    if plan_run.path.resolve() == own_run.path.resolve():
        raise UserError(f"{plan_run.path}: given twice; name a run of the plan's recipe and another of yours")
    write_text(Path(output), final_markdown(_side(plan_run), _side(own_run)))
    return Path(output)


def final_markdown(plan: Side, own: Side) -> str:
    """The report's text."""
    sections = [
        "# Final resolution report",
        _summary(plan, own),
        "## What was promised, what was measured",
        f"After {plan.epoch} epochs of `{plan.measured.recipe.name}` (seed {plan.measured.seed}) and {own.epoch} epochs "
        f"of `{own.measured.recipe.name}` (seed {own.measured.seed}). ✓ kept, ✗ not kept. Numbers in brackets are "
        "sections of the plan.",
        _promises(plan, own),
        "## What failed, and why",
        _failures(plan),
        "## What the other recipe does instead",
        _remedies(own),
        "## What the figures do not say",
        _cautions(plan, own),
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
            f"{percent(b.exact_match_rate)}, ensemble {percent(_ensemble(side))}, coverage "
            f"{percent(mixed.coverage_rate)} of a possible {percent(mixed.coverage_limit)}, complementarity "
            f"{number(_complementarity(side))}."
        )

    return f"{sentence(plan)}\n\n{sentence(own)}"


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
        ["VAE-A exact (2, 6)", f"{last['vae_a'].text} by the end", *shown(_vae_a, reached(last["vae_a"]), percent)],
        ["VAE-B exact (4)", "100% throughout", *shown(_vae_b, reached(last["vae_b"]), percent)],
        ["Ensemble exact (1, 2, 6)", "100%", *shown(_ensemble, reached(last["ensemble"]), percent)],
        ["Epochs with the ensemble below 99.9% (2)", "none",
         *shown(_alerts, lambda count: count == 0, lambda count: f"{count}")],
        ["Epochs with both VAEs perfect (6)", f"≥ {SUSTAINED_EPOCHS}",
         *shown(_perfect, lambda count: count >= SUSTAINED_EPOCHS, lambda count: f"{count}")],
        ["Coverage, ρ = 0.7 (2, 6)", f"{last['coverage'].text}, stretch 92%",
         *shown(_coverage, reached(last["coverage"]), percent)],
        ["Complementarity (4, 6)", f"{last['complementarity'].text}, stretch 0.70",
         *shown(_complementarity, reached(last["complementarity"]), number)],
        ["Homes A : B (2)", "40:60 to 60:40",
         *shown(lambda side: side.coupled.complementary_coverage.share_a,
                lambda value: share.standing(value) == "within",
                lambda value: f"{100 * value:.0f}:{100 - round(100 * value)}")],
        ["Latent correlation (4)", f"stable, about {coupling.text}",
         *shown(lambda side: side.coupled.latent_coupling.mean_absolute_correlation,
                lambda value: value <= 2 * coupling.low, number)],
        ["Nearest neighbours one entry apart (4)", neighbours.text,
         *shown(lambda side: _lower(side, lambda vae: vae.nearest_neighbor.hamming_1_rate), reached(neighbours), percent)],
        ["Dimensions in effect, of 16 (4)", f"about {dimensions.text}",
         *shown(lambda side: _lower(side, lambda vae: vae.dimensionality.efficiency),
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


def _failures(plan: Side) -> str:
    """The causes, each told with what this very run shows of it; a cause without evidence in the run is left out."""
    peak_epoch, peak = max(((epoch, _ensemble_at(plan, epoch)) for epoch in plan.measured.complete_milestones),
                           key=lambda pair: pair[1])  # fmt: skip
    name = f"`{plan.measured.recipe.name}`"
    if _ensemble(plan) >= 1 and _vae_a(plan) >= AT_MILESTONE[PLAN_EPOCHS]["vae_a"].low:
        return f"{name} kept its reconstruction to the end in this run."
    told = [
        f"{name} reached {percent(peak)} as an ensemble at epoch {peak_epoch} and ended at {percent(_ensemble(plan))}; "
        f"VAE-A ended at {percent(_vae_a(plan))}."
    ]
    causes = filter(None, (_mismatch(plan), _jump(plan), _one_code(plan), _collapse(plan), _idle_controller(plan)))
    return "\n\n".join([*told, "\n".join(f"{number}. {cause}" for number, cause in enumerate(causes, start=1))])


def _mismatch(plan: Side) -> str:
    coupled, recipe = plan.coupled.coupled_reconstruction, plan.measured.recipe
    if recipe.permeability.isolated_share > 0 or coupled.rho < 0.5:
        return ""
    return (
        f"**Trained on one thing, asked for another.** At ρ = {coupled.rho:.2f} a decoder sees {percent(1 - coupled.rho, 0)} "
        "of its own code while training and all of it at inference. Decoding the mixed codes this checkpoint gets "
        f"{percent(coupled.exact_match_rate_a)} (A) and {percent(coupled.exact_match_rate_b)} (B); decoding its own, "
        f"{percent(_vae_a(plan))} and {percent(_vae_b(plan))}."
    )


def _jump(plan: Side) -> str:
    rho = [value for value in plan.measured.column("rho") if value is not None]
    steps = [(abs(after - before), at + 2) for at, (before, after) in enumerate(zip(rho, rho[1:]))]
    if not steps or max(steps)[0] < 0.1:
        return ""
    step, epoch = max(steps)
    gate = [value for value in plan.measured.column("gate_open") if value is not None]
    flips = sum(before != after for before, after in zip(gate, gate[1:]))
    return (
        f"**ρ leaps.** It changes by {step:.2f} from one epoch to the next, at epoch {epoch}. The gate that should let it rise "
        f"step by step opened or closed {flips} times in the run."
    )


def _one_code(plan: Side) -> str:
    by_epoch = [
        (record.latent_coupling.mean_absolute_correlation, epoch) for epoch, record in plan.measured.coupled.items()
    ]
    highest, epoch = max(by_epoch)
    if highest < 2 * THROUGHOUT["latent_coupling"].low or plan.measured.recipe.model.injection != "plain":
        return ""
    return (
        f"**Two codes become one.** Averaging both codes in one basis rewards making them equal: their correlation is "
        f"{highest:.2f} at epoch {epoch}, where the plan wants about {THROUGHOUT['latent_coupling'].text}. That leaves "
        f"nothing to complement: {number(_complementarity(plan))} at the end."
    )


def _collapse(plan: Side) -> str:
    recipe = plan.measured.recipe
    if recipe.objective.prior_information.weight > 0:
        return ""
    bits = [side.information.mutual_information_bits for side in (plan.isolated.vae_a, plan.isolated.vae_b)]
    limit = plan.isolated.vae_a.information.limit_bits
    seen = (
        f"Prior draws carry only {number(bits[0])} (A) and {number(bits[1])} (B) of {number(limit)} bits at the end."
        if min(bits) < 0.9 * limit
        else f"This run stopped short of it (prior draws carry {number(bits[0])} and {number(bits[1])} of "
        f"{number(limit)} bits), but nothing in the recipe stands in its way."
    )
    return (
        "**An easy way out.** All operations are equally likely, so a decoder that ignores its code and answers one "
        "third for everything is already a perfect density model, and β, rising to "
        f"{recipe.beta.end:g}, pays for moving there. {seen}"
    )


def _idle_controller(plan: Side) -> str:
    if not plan.measured.recipe.statenet.enabled or plan.measured.recipe.statenet.learning != "none":
        return ""
    return (
        "**A controller that cannot learn.** StateNet's corrections leave the graph as plain numbers, so it receives no "
        "gradient and answers at random from first epoch to last."
    )


def _remedies(own: Side) -> str:
    recipe = own.measured.recipe
    prior, special = recipe.objective.prior_information, recipe.objective.specialisation
    rows = []
    if recipe.permeability.isolated_share > 0:
        rows.append(
            [
                "Trained on one thing, asked for another",
                f"{percent(recipe.permeability.isolated_share, 0)} of each batch is decoded unmixed",
            ]
        )
    if recipe.permeability.max_step is not None:
        rows.append(
            ["ρ leaps", f"ρ moves by at most {recipe.permeability.max_step:g} an epoch; the gate has hysteresis"]
        )
    if recipe.model.injection == "translated":
        rows.append(["Two codes become one", "a learned linear map translates one VAE's code into the other's basis"])
    if prior.weight > 0:
        rows.append(
            [
                "An easy way out",
                f"information between prior draw and decoded operation is rewarded, weight "
                f"{prior.weight:g}, from joint distributions of {prior.subset_entries} entries",
            ]
        )
    if special.strength > 0:
        rows.append(
            [
                "No complementarity",
                f"each VAE weighs its half of the operations {1 + special.strength:g}, the "
                f"other {1 - special.strength:g}",
            ]
        )
    if recipe.statenet.enabled and recipe.statenet.learning != "none":
        rows.append(["A controller that cannot learn", "StateNet is trained by a one-step hypergradient each epoch"])
    if not rows:
        return f"`{recipe.name}` has none of the known remedies switched on."
    missed = [
        f"{level.title.lower()}: {line.name}, {line.measured} where {line.required} is required"
        for level in own.verdict.levels
        for line in level.lines
        if line.state != "met"
    ]
    open_lines = "\n".join(f"- {line}" for line in missed)
    end = f"Still missed:\n\n{open_lines}" if missed else "No line of the success criteria is missed."
    return table(["Failure", f"`{recipe.name}`"], rows, right_from=9) + "\n\n" + end  # fmt: skip


def _cautions(plan: Side, own: Side) -> str:
    mixed = own.coupled.cross_injected_sampling_rho_07
    spread = mixed.interval.standard_deviation
    by_errors = own.coupled.complementary_coverage.complementarity_score_by_errors
    lines = [
        f"Coverage says nothing about reconstruction: `{plan.measured.recipe.name}` covers {percent(_coverage(plan))} with "
        f"{percent(_ensemble(plan))} of operations exact. It is counted on decoded (argmax) operations, since sampling from "
        "the softmax rewards a model that ignores its code.",
        f"No model can be expected above {percent(mixed.coverage_limit)} with {mixed.draws:,} draws. One run's spread is "
        f"{100 * spread:.2f} points, so a gain of 0.15 points between two single measurements is noise.",
        "Adding ρ·z to a draw widens the prior. With the prior preserved, coverage is "
        f"{percent(mixed.prior_preserving.coverage_rate)} instead of {percent(mixed.coverage_rate)}.",
        "Complementarity by errors alone is "
        + ("0/0 once both VAEs are exact" if by_errors is None else number(by_errors))
        + "; the score used here lets ties be decided by who is exact more often under the same latent noise.",
        "`voting` with two voters and ties to B is B's answer, always; `majority` lets the coupled decodings vote too.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _actions(plan: Side, own: Side) -> str:
    better = own if _ensemble(own) >= _ensemble(plan) else plan
    seeds = [f"ternary-vae train --config {side.measured.recipe.name} --seed {side.measured.seed} "
             f"--epochs {side.measured.epochs} --run-dir {side.measured.directory}" for side in (plan, own)]  # fmt: skip
    return (
        f"- Use `{better.measured.directory}/checkpoints/best.safetensors`, the better of the two.\n"
        f"- Look at each run's page, `reports/index.html`, and figure, `reports/{FIGURE_NAME}`, in "
        f"`{plan.measured.directory}` and `{own.measured.directory}`.\n"
        "- Repeat both runs and this report:\n\n```\n"
        + "\n".join([*seeds, f"ternary-vae report {own.measured.directory} --plan-run {plan.measured.directory}"])
        + "\n```"
    )


def _vae_a(side: Side) -> float:
    return side.isolated.vae_a.reconstruction.exact_match_rate


def _vae_b(side: Side) -> float:
    return side.isolated.vae_b.reconstruction.exact_match_rate


def _lower(side: Side, pick: Callable[..., float]) -> float:
    return min(pick(side.isolated.vae_a), pick(side.isolated.vae_b))


def _ensemble_at(side: Side, epoch: int) -> float:
    return side.measured.coupled[epoch].ensemble_reconstruction.best_of_two.exact_match_rate


def _ensemble(side: Side) -> float:
    return _ensemble_at(side, side.epoch)


def _coverage(side: Side) -> float:
    return side.coupled.cross_injected_sampling_rho_07.coverage_rate


def _complementarity(side: Side) -> float:
    return side.coupled.complementary_coverage.complementarity_score


def _alerts(side: Side) -> int | None:
    """Epochs with the ensemble below the plan's alert level, from the first on at which it was reached."""
    values = [value for value in side.measured.column("exact_match_best_of_two") if value is not None]
    level = THROUGHOUT["ensemble_alert"].low
    first = next((at for at, value in enumerate(values) if value >= level), None)
    return None if first is None else sum(value < level for value in values[first:])


def _perfect(side: Side) -> int | None:
    pairs = list(zip(side.measured.column("exact_match_a"), side.measured.column("exact_match_b")))
    return sum(a == 1 and b == 1 for a, b in pairs) if pairs else None
