"""What the final report finds: which promises failed in a run and why, with that run's own figures; what another
recipe does about it; and what the figures do not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ternary_vae.formats import number, percent, table
from ternary_vae.reports.expectations import AT_MILESTONE, PLAN_EPOCHS, THROUGHOUT
from ternary_vae.reports.measurements import Measurements
from ternary_vae.reports.verdict import VerdictView
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord


@dataclass(frozen=True)
class Side:
    """One of the two runs: its measurements and its last milestone with both records."""

    measured: Measurements
    verdict: VerdictView
    epoch: int
    isolated: IsolatedRecord
    coupled: CoupledRecord


def failures(plan: Side) -> str:
    """The causes, each told with what this very run shows of it; a cause without evidence in the run is left out."""
    peak_epoch, peak = max(((epoch, ensemble_at(plan, epoch)) for epoch in plan.measured.complete_milestones),
                           key=lambda pair: pair[1])  # fmt: skip
    name = f"`{plan.measured.recipe.name}`"
    if ensemble(plan) >= 1 and vae_a(plan) >= AT_MILESTONE[PLAN_EPOCHS]["vae_a"].low:
        return f"{name} kept its reconstruction to the end in this run."
    told = [
        f"{name} reached {percent(peak)} as an ensemble at epoch {peak_epoch} and ended at {percent(ensemble(plan))}; "
        f"VAE-A ended at {percent(vae_a(plan))}."
    ]
    causes = filter(None, (_mismatch(plan), _jump(plan), _one_code(plan), _collapse(plan), _idle_controller(plan)))
    return "\n\n".join([*told, "\n".join(f"{number}. {cause}" for number, cause in enumerate(causes, start=1))])


def _mismatch(plan: Side) -> str:
    coupled, recipe = plan.coupled.coupled_reconstruction, plan.measured.recipe
    if recipe.permeability.isolated_share > 0 or coupled.rho < 0.5:
        return ""
    return (
        f"**Trained on one thing, asked for another.** At ρ = {coupled.rho:.2f} a decoder sees "
        f"{percent(1 - coupled.rho, 0)} of its own code while training and all of it at inference. Decoding the mixed "
        f"codes this checkpoint gets {percent(coupled.exact_match_rate_a)} (A) and "
        f"{percent(coupled.exact_match_rate_b)} (B); decoding its own, {percent(vae_a(plan))} and "
        f"{percent(vae_b(plan))}."
    )


def _jump(plan: Side) -> str:
    rho = [value for value in plan.measured.column("rho") if value is not None]
    steps = [(abs(after - before), at + 2) for at, (before, after) in enumerate(pairwise(rho))]
    if not steps or max(steps)[0] < 0.1:
        return ""
    step, epoch = max(steps)
    gate = [value for value in plan.measured.column("gate_open") if value is not None]
    flips = sum(before != after for before, after in pairwise(gate))
    return (
        f"**ρ leaps.** It changes by {step:.2f} from one epoch to the next, at epoch {epoch}. The gate that should let "
        f"it rise step by step opened or closed {flips} times in the run."
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
        f"nothing to complement: {number(complementarity(plan), 3)} at the end."
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
    if not plan.measured.recipe.statenet.enabled:
        return ""
    return (
        "**A controller that cannot learn.** StateNet's corrections leave the graph as plain numbers, so it receives "
        "no gradient and answers at random from first epoch to last."
    )


def remedies(own: Side) -> str:
    recipe = own.measured.recipe
    objective, prior = recipe.objective, recipe.objective.prior_information
    rows = []
    if recipe.permeability.isolated_share > 0:
        rows.append(
            [
                "Trained on one thing, asked for another",
                f"{percent(recipe.permeability.isolated_share, 0)} of each batch is decoded unmixed",
            ]
        )
    if recipe.gradient_balance.open_interval[0] == 0:
        rows.append(["ρ leaps", "nothing closes the gate"])
    if recipe.model.injection == "translated":
        bends = f" with {recipe.model.translation_units} bends" if recipe.model.translation_units else ", linear,"
        rows.append(["Two codes become one", f"a learned map{bends} translates one VAE's code into the other's basis"])
    if recipe.model.middle_value_b:
        rows.append(
            [
                "What is hard for one VAE is hard for the other",
                f"the value in the middle of an axis, the most easily lost, is 0 with VAE-A and "
                f"{recipe.model.middle_value_b} with VAE-B",
            ]
        )
    if prior.weight > 0:
        wide = f"; {percent(prior.widened_share, 0)} of the draws are as wide as the plan's sum at ρ = 0.7"
        rows.append(
            [
                "An easy way out",
                f"information between prior draw and decoded operation is rewarded, weight "
                f"{prior.weight:g}, from joint distributions of {prior.subset_entries} entries"
                + (wide if prior.widened_share else ""),
            ]
        )
    if prior.entropy_weight > 0:
        rows.append(
            [
                "Unequal shares of the prior",
                f"the entropy of the joint distribution of {prior.subset_entries} decoded entries is rewarded, weight "
                f"{prior.entropy_weight:g}",
            ]
        )
    if objective.recognition > 0:
        rows.append(
            [
                "Cells that no code tells apart",
                "each encoder learns to tell from a decoded operation which prior draw it came from",
            ]
        )
    if objective.best_of_two > 0:
        rows.append(
            ["No complementarity", "the ensemble's own loss: each VAE learns most where the other fails under noise"]
        )
    if objective.balancing > 0:
        rows.append(
            ["One VAE ahead", "weight between the two follows how many operations are at home in each, epoch by epoch"]
        )
    if objective.subspace_overlap > 0:
        rows.append(["Two codes become one", "directions that both codes use are a small cost"])
    if objective.mean_share > 0:
        noise = f", under noise of {objective.mean_noise:g}" if objective.mean_noise else ""
        rows.append(
            [
                "A few operations traded for their neighbours",
                f"{objective.mean_share:.0%} of each batch is decoded from posterior means, as in use{noise}",
            ]
        )
    if recipe.optimizer.averaging_epochs > 0:
        rows.append(
            [
                "A model that differs from epoch to epoch",
                f"what is kept is an average of the weights over {recipe.optimizer.averaging_epochs:g} epochs",
            ]
        )
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


def cautions(plan: Side, own: Side) -> str:
    mixed = own.coupled.cross_injected_sampling_rho_07
    spread = mixed.interval.standard_deviation
    by_errors = own.coupled.complementary_coverage.complementarity_score_by_errors
    lines = [
        f"Coverage says nothing about reconstruction: `{plan.measured.recipe.name}` covers {percent(coverage(plan))} "
        f"with {percent(ensemble(plan))} of operations exact. It is counted on decoded (argmax) operations, since "
        "sampling from the softmax rewards a model that ignores its code.",
        f"With {mixed.draws:,} draws a uniform model covers {percent(mixed.coverage_limit)} on average, and no other "
        "covers more on average, though a single measurement may. One run's spread is "
        f"{100 * spread:.2f} points, so a gain of 0.15 points between two single measurements is noise.",
        "Adding ρ·z to a draw widens the prior. With the prior preserved, coverage is "
        f"{percent(mixed.prior_preserving.coverage_rate)} instead of {percent(mixed.coverage_rate)}.",
        "Complementarity by errors alone is "
        + ("0/0 once both VAEs are exact" if by_errors is None else number(by_errors))
        + "; the score used here lets ties be decided by who is exact more often under the same latent noise.",
        "`voting` with two voters and ties to B is B's answer, always; `majority` lets the coupled decodings vote too.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def vae_a(side: Side) -> float:
    return side.isolated.vae_a.reconstruction.exact_match_rate


def vae_b(side: Side) -> float:
    return side.isolated.vae_b.reconstruction.exact_match_rate


def weaker(side: Side, pick: Callable[..., float]) -> float:
    return min(pick(side.isolated.vae_a), pick(side.isolated.vae_b))


def ensemble_at(side: Side, epoch: int) -> float:
    return side.measured.coupled[epoch].ensemble_reconstruction.best_of_two.exact_match_rate


def ensemble(side: Side) -> float:
    return ensemble_at(side, side.epoch)


def coverage(side: Side) -> float:
    return side.coupled.cross_injected_sampling_rho_07.coverage_rate


def complementarity(side: Side) -> float:
    return side.coupled.complementary_coverage.complementarity_score


def epochs_below_alert(side: Side) -> int | None:
    """Epochs with the ensemble below the plan's alert level, from the first on at which it was reached."""
    values = [value for value in side.measured.column("exact_match_best_of_two") if value is not None]
    level = THROUGHOUT["ensemble_alert"].low
    first = next((at for at, value in enumerate(values) if value >= level), None)
    return None if first is None else sum(value < level for value in values[first:])


def perfect_epochs(side: Side) -> int | None:
    pairs = list(zip(side.measured.column("exact_match_a"), side.measured.column("exact_match_b")))
    return sum(a == 1 and b == 1 for a, b in pairs) if pairs else None
