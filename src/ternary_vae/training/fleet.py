"""Many runs at once: runs of one shape, of different seeds and settings, trained step by step as one batched program.

Each run keeps its own trainer, with its own schedules, guards, random numbers and controller. Only the heavy part of a
step is shared: the objective, its gradient and the optimizer run on stacked weights. What a run becomes agrees with
the same run alone up to the rounding of sums; the same runs together give the same bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.objective import Controls, ForwardPass, Noise, draw_noise, total_loss, weighed
from ternary_vae.objective.weighting import averaged_norms, counts, loss_scales
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.parallel import on_one_core
from ternary_vae.training.denormals import flushed_denormals
from ternary_vae.training.stacked import Stack
from ternary_vae.training.steps import EpochPlan, take_steps
from ternary_vae.training.trainer import Trainer

LARGEST_BATCH_ON_A_CPU = 1280
_OF_THE_STEP = ("learning_rate", "learning_rate_factor_a")  # controls that the objective does not use
_OF_LATENTS = ("rho", "temperature_a", "temperature_b")  # controls that multiply whole latents


class Fleet:
    """Several runs, trained together epoch by epoch.

    Runs that have the same shape in an epoch are computed together, the others one by one; what makes a shape is in
    `shape`, and may change from epoch to epoch (a guard switches a term on, a restored run lags behind).

    Args:
        trainers: any runs.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        self._stacks: dict[tuple[int, ...], Stack] = {}

    def train_epoch(self, only: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Trains every run one epoch, on one core if on a CPU.

        Args:
            only: places of the runs to train, in the order of `trainers`; all unless given.

        Returns:
            their rows for the log, in the same order, as `Trainer.train_epoch`.
        """
        places = range(len(self.trainers)) if only is None else only
        rows: dict[int, dict[str, Any]] = {}
        by_recipe: dict[Hashable, list[int]] = {}
        for place in places:
            trainer = self.trainers[place]
            if pays_together(trainer.recipe, trainer.device):
                by_recipe.setdefault((trainer.device, recipe_shape(trainer.recipe)), []).append(place)
            else:
                rows[place] = trainer.train_epoch()
        stacks: dict[tuple[int, ...], Stack] = {}
        for candidates in by_recipe.values():
            if len(candidates) == 1:
                rows[candidates[0]] = self.trainers[candidates[0]].train_epoch()
            else:
                rows |= self._train_candidates(candidates, stacks)
        self._stacks = stacks
        return [rows[place] for place in places]

    def _train_candidates(
        self, places: Sequence[int], stacks: dict[tuple[int, ...], Stack]
    ) -> dict[int, dict[str, Any]]:
        """Trains runs whose recipes have one shape."""
        rows: dict[int, dict[str, Any]] = {}
        device = self.trainers[places[0]].device
        with on_one_core(device):
            plans = {place: self.trainers[place].begin_epoch() for place in places}
            groups: dict[Hashable, list[int]] = {}
            for place, plan in plans.items():
                groups.setdefault(shape(self.trainers[place], plan), []).append(place)
            for group in map(tuple, groups.values()):
                trainers = [self.trainers[place] for place in group]
                with flushed_denormals(device):
                    if len(group) == 1:
                        rows[group[0]] = trainers[0].train_steps()
                        continue
                    stacks[group] = stack = self._stacks.get(group) or _stack(trainers)
                    rows |= zip(group, _Together(trainers, stack.adopt()).train())
        return rows


def pays_together(recipe: Recipe, device: torch.device) -> bool:
    """Whether runs of a recipe gain by being computed together: on an accelerator always; on a CPU where batches are so
    small that calling an operation costs more than doing it (`benchmarks/batched_seeds.py`)."""
    return device.type != "cpu" or recipe.optimizer.batch_size <= LARGEST_BATCH_ON_A_CPU


def shape(trainer: Trainer, plan: EpochPlan) -> Hashable:
    """What runs must have in common to be computed together in an epoch: sizes, which terms there are, and the
    settings that the objective and the optimizer read as numbers. Seeds, schedules (ρ, β, λ, temperatures, learning
    rates), averaging, guards, controllers and evaluation may differ."""
    return (
        *recipe_shape(trainer.recipe),
        tuple(map(len, plan.batches)),
        tuple((term.name, counts(weight)) for term, weight in plan.terms),
        plan.with_prior,
    )


def recipe_shape(recipe: Recipe) -> tuple[Hashable, ...]:
    """The part of `shape` that a recipe alone determines: runs that differ in it are never computed together."""
    parts = (
        recipe.model.model_dump_json(),
        recipe.optimizer.model_dump_json(exclude={"learning_rate", "averaging_epochs"}),
        recipe.objective.model_dump_json(),
        recipe.gradient_balance.model_dump_json(),
    )
    return (
        recipe.data.train_share, recipe.permeability.isolated_share, recipe.beta.free_bits, *parts,
    )  # fmt: skip


def _stack(trainers: Sequence[Trainer]) -> Stack:
    return Stack([trainer.model for trainer in trainers], [trainer.optimizer for trainer in trainers])


class _Together:
    """An epoch of runs of one shape that has begun."""

    def __init__(self, trainers: Sequence[Trainer], stack: Stack) -> None:
        self.trainers, self.stack = trainers, stack
        self.leader, self.recipe = trainers[0], trainers[0].recipe
        plan = self.leader.plan
        controls = stacked_controls([trainer.plan.controls for trainer in trainers], self.leader.device)
        self.plan = replace(
            plan,
            controls=controls,
            terms=weighed([term for term, _ in plan.terms], controls, self.recipe.objective),
            batches=tuple(map(torch.stack, zip(*(trainer.plan.batches for trainer in trainers)))),
        )
        self.gradient_norms = torch.stack([trainer.gradient_norms for trainer in trainers], dim=1)

    def train(self) -> list[dict[str, Any]]:
        self.stack.model.train()
        sums = take_steps(self, self.plan)
        for run, trainer in enumerate(self.trainers):
            trainer.gradient_norms = self.gradient_norms[:, run].clone()
        return [
            trainer.finish_epoch({name: of_runs[run] for name, of_runs in sums.items()})
            for run, trainer in enumerate(self.trainers)
        ]

    def draw(self, batches: Int[Tensor, "runs n"], with_prior: bool) -> Noise:
        """As `Trainer.draw`, each run from its own generator."""
        generators = [trainer.generator for trainer in self.trainers]
        return draw_noise(batches.shape[1], self.recipe.objective, generators, self.leader.device, with_prior)

    def step(self, batches: Int[Tensor, "runs n"], noise: Noise) -> dict[str, Float[Tensor, " runs"]]:
        """As `Trainer.step`."""
        recipe, leader = self.recipe, self.leader
        forward = ForwardPass(
            self.stack.model, leader.inputs[batches], leader.classes[batches], noise, self.plan.controls,
            recipe.objective, loss_scales(self.gradient_norms, recipe.gradient_balance),
            recipe.permeability.isolated_share, recipe.beta.free_bits,
        )  # fmt: skip
        loss, terms = total_loss(forward, self.plan.terms)
        gradients = torch.autograd.grad(loss.sum(), self.stack.weights)
        norms = self.stack.step(gradients, recipe.optimizer.gradient_clip)
        self.gradient_norms = averaged_norms(norms[:2], self.gradient_norms, recipe.gradient_balance)
        return {name: value.detach() for name, value in terms.items()}

    def average(self, number: int) -> None:
        """As `Trainer.average`; runs whose averages move alike move at once."""
        alike: dict[float, list[tuple[Tensor, Tensor]]] = {}
        for trainer, weights in zip(self.trainers, self.stack.rows):
            if trainer.averaged_row is not None:
                alike.setdefault(trainer.averaging_share(number), []).append((trainer.averaged_row, weights))
        for share, rows in alike.items():
            averages, weights = zip(*rows)
            torch._foreach_lerp_(averages, weights, share)


def stacked_controls(controls: Sequence[Controls], device: torch.device) -> Controls:
    """The controls of several runs as one, with a tensor for each that the objective reads; those that are 0 in every
    run stay numbers."""
    names = [field.name for field in fields(Controls) if field.name not in _OF_THE_STEP]
    values = {name: [float(getattr(each, name)) for each in controls] for name in names}
    stacked = {name: torch.tensor(each, device=device) for name, each in values.items() if any(each)}
    return replace(
        controls[0], **{name: value[:, None, None] if name in _OF_LATENTS else value for name, value in stacked.items()}
    )
