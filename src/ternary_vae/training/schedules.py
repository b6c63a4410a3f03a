"""Schedules: pure functions of the recipe and the epoch (plan, sections 2 and 3; `epoch` counts from 0).

What depends on the run's past (whether the gradient-balance gate is open, where ρ was) is an argument,
never hidden state.
"""

from __future__ import annotations

import math

from ternary_vae.recipe import Data, GradientBalance, Lambdas, Phase, PriorInformation, Recipe


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Scheduled rate of AdamW, before StateNet's correction."""
    settings = recipe.optimizer.learning_rate
    if settings.kind == "steps":
        return settings.steps[max(start for start in settings.steps if start <= epoch)]
    if epoch < settings.warmup_epochs:
        return settings.peak * (epoch + 1) / settings.warmup_epochs
    span = max(1, recipe.schedule_epochs - settings.warmup_epochs)
    progress = min(1.0, (epoch - settings.warmup_epochs) / span)
    return settings.floor + (settings.peak - settings.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def batch_size(recipe: Recipe, epoch: int) -> int:
    """Operations a step."""
    first = recipe.optimizer.first_batches
    return first.size if epoch < first.epochs else recipe.optimizer.batch_size


def prior_draws_every(recipe: Recipe, epoch: int) -> int:
    """Steps from one that has prior draws to the next: as many operations apart, whatever the size of batches."""
    whole_batches = recipe.optimizer.batch_size // batch_size(recipe, epoch)
    return recipe.objective.prior_information.every_steps * max(1, whole_batches)


def steps_before(recipe: Recipe, epoch: int, operations: int) -> int:
    """Optimizer steps of all epochs before this one, of as many `operations` each."""
    return sum(-(-operations // batch_size(recipe, before)) for before in range(epoch))


def permeability_target(recipe: Recipe, epoch: int, gate_open: bool) -> float:
    """ρ that the phase asks for. A gated phase asks for its ramp while the gate is open, else for its
    start."""
    phase = _phase(recipe, epoch)
    if phase.gradient_balance_gate and not gate_open:
        return phase.start_rho
    first, end = phase.epochs
    progress = min(1.0, (epoch - first) / (phase.ramp_epochs or end - first))
    return phase.start_rho + (phase.end_rho - phase.start_rho) * progress


def permeability(recipe: Recipe, target: float) -> float:
    """ρ really used: the target within its bounds."""
    return clamp(target, (0.0, recipe.permeability.max))


def gate_is_open(settings: GradientBalance, ratio: float) -> bool:
    """The gradient-balance gate: open while the ratio B/A is inside the interval."""
    low, high = settings.open_interval
    return low < ratio < high


def temperature_a(recipe: Recipe, epoch: int, boost: float = 1.0) -> float:
    """Noise scale of VAE-A: linear decrease plus a cosine cycle, whose amplitude phase 4 boosts. `boost`
    multiplies the boosted amplitude (a guard may raise it)."""
    settings = recipe.temperature
    base = _linear(settings.a_start, settings.a_end, epoch / recipe.schedule_epochs)
    boosted = _phase(recipe, epoch).temperature_boost
    amplitude = settings.a_boost_amplitude * boost if boosted else settings.a_cycle_relative_amplitude * base
    cycle = math.cos(2 * math.pi * (epoch % settings.cycle_epochs) / settings.cycle_epochs)
    return max(settings.minimum, base + amplitude * cycle)


def temperature_b(recipe: Recipe, epoch: int) -> float:
    """Noise scale of VAE-B: linear decrease after a lag; phase 4 holds it where the recipe says."""
    settings = recipe.temperature
    if _phase(recipe, epoch).temperature_boost and settings.b_boosted is not None:
        return settings.b_boosted
    progress = max(0, epoch - settings.b_lag_epochs) / recipe.schedule_epochs
    return max(settings.minimum, _linear(settings.b_start, settings.b_end, progress))


def beta_a(recipe: Recipe, epoch: int) -> float:
    """Weight of VAE-A's KL divergence."""
    settings = recipe.beta
    since = max(0, epoch - settings.delay_epochs)
    if since < settings.warmup_epochs:
        return max(settings.warm * settings.waiting_share, settings.warm * since / settings.warmup_epochs)
    span = max(1, recipe.schedule_epochs - settings.delay_epochs - settings.warmup_epochs)
    return _linear(settings.warm, settings.end, (since - settings.warmup_epochs) / span)


def beta_b(recipe: Recipe, epoch: int) -> float:
    """Weight of VAE-B's KL divergence."""
    if epoch < recipe.beta.b_delay_epochs:
        return 0.0
    return recipe.beta.b_ratio * beta_a(recipe, epoch)


def moment_weight(settings: PriorInformation, epoch: int) -> float:
    """Weight of the moments of prior draws."""
    return settings.moment_weight if epoch >= settings.moment_delay_epochs else 0.0


def skewed_share(settings: Data, epoch: int) -> float:
    """Share of an epoch's operations that are skewed, where they are drawn."""
    return settings.skewed_share if epoch >= settings.skewed_delay_epochs else 0.0


def lambda_3(settings: Lambdas, epoch: int) -> float:
    """Weight of entropy alignment, a cosine cycle."""
    angle = 2 * math.pi * (epoch % settings.lambda3_period) / settings.lambda3_period
    return settings.lambda3_middle + settings.lambda3_amplitude * math.cos(angle + settings.lambda3_phase)


def adapted_lambdas(
    settings: Lambdas, lambda1: float, lambda2: float, ratio: float, balance: GradientBalance
) -> tuple[float, float]:
    """λ1 and λ2 moved one step against the imbalance: the VAE whose gradients dominate is the one still
    learning, and gets more weight (v5.5 checkpoints show this direction: λ1 rises while B's gradients
    vanish)."""
    low, high = balance.open_interval
    step = settings.step if ratio < low else -settings.step if ratio > high else 0.0
    return clamp(lambda1 + step, settings.bounds), clamp(lambda2 - step, settings.bounds)


def clamp(value: float, bounds: tuple[float, float]) -> float:
    """`value` kept within `bounds`."""
    return min(max(value, bounds[0]), bounds[1])


def _phase(recipe: Recipe, epoch: int) -> Phase:
    return tuple(recipe.phases)[recipe.phase_at(epoch) - 1]


def _linear(start: float, end: float, progress: float) -> float:
    return start + (end - start) * min(1.0, progress)
