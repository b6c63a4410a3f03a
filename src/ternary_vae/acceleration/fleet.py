"""The one way in: how the epochs of one or several runs are trained.

On one core if on a CPU, so that bits do not depend on their number, with denormal numbers flushed; on an accelerator
with recorded steps; several runs of one shape, of different seeds and settings, step by step as one batched program.

Each run keeps its own trainer, with its own schedules, guards, random numbers and controller. Only the heavy part of a
step is shared: the objective, its gradient and the optimizer run on stacked weights. What a run becomes agrees with
the same run alone up to the rounding of sums; the same runs together give the same bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from ternary_vae.acceleration.denormals import flushed_denormals
from ternary_vae.acceleration.parallel import on_one_core
from ternary_vae.acceleration.recorded import take_steps
from ternary_vae.acceleration.stacked import Stack
from ternary_vae.objective import Controls, weighed
from ternary_vae.objective.weighting import counts
from ternary_vae.recipe import Recipe
from ternary_vae.training.epoch import Steps, Trainer

LARGEST_BATCH_ON_A_CPU = 1280
_OF_THE_STEP = ("learning_rate", "learning_rate_factor_a")  # controls that the objective does not use
_OF_LATENTS = ("rho", "temperature_a", "temperature_b")  # controls that multiply whole latents


class Fleet:
    """One or several runs, trained together epoch by epoch.

    Runs that have the same shape in an epoch are computed together, the others one by one; what makes a shape is in
    `shape`, and may change from epoch to epoch (a guard switches a term on, a restored run lags behind).

    Args:
        trainers: any runs.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        self._stacks: dict[tuple[int, ...], Stack] = {}

    def train_epoch(self, only: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Trains every run one epoch.

        Args:
            only: places of the runs to train, in the order of `trainers`; all unless given.

        Returns:
            their rows for the log, in the same order, as `Trainer.train_epoch`.
        """
        places = list(range(len(self.trainers)) if only is None else only)
        if len(places) == 1:
            trainer = self.trainers[places[0]]
            with on_one_core(trainer.device), flushed_denormals(trainer.device):
                return [trainer.train_epoch(take_steps)]
        groups: dict[Hashable, list[int]] = {}
        for place in places:
            trainer = self.trainers[place]
            with on_one_core(trainer.device):
                trainer.plan_epoch()
            together = pays_together(trainer.recipe, trainer.device)
            groups.setdefault(shape(trainer) if together else place, []).append(place)
        rows: dict[int, dict[str, Any]] = {}
        stacks: dict[tuple[int, ...], Stack] = {}
        for group in map(tuple, groups.values()):
            device = self.trainers[group[0]].device
            with on_one_core(device), flushed_denormals(device):
                rows |= zip(group, self._train(group, stacks))
        self._stacks = stacks
        return [rows[place] for place in places]

    def _train(self, group: tuple[int, ...], stacks: dict[tuple[int, ...], Stack]) -> list[dict[str, Any]]:
        """Trains runs of one shape, whose epochs are planned."""
        trainers = [self.trainers[place] for place in group]
        if len(trainers) == 1:
            return [trainers[0].close_epoch(take_steps(trainers[0].steps()))]
        stacks[group] = stack = self._stacks.get(group) or Stack(
            [trainer.model for trainer in trainers], [trainer.optimizer for trainer in trainers]
        )
        steps = StackedSteps(trainers, stack)
        means = take_steps(steps)
        for run, trainer in enumerate(trainers):
            trainer.gradient_norms.copy_(steps.gradient_norms[:, run])
        return [
            trainer.close_epoch({name: of_runs[run] for name, of_runs in means.items()})
            for run, trainer in enumerate(trainers)
        ]


def pays_together(recipe: Recipe, device: torch.device) -> bool:
    """Whether runs of a recipe gain by being computed together: on an accelerator always; on a CPU where batches are so
    small that calling an operation costs more than doing it (`benchmarks/batched_seeds.py`)."""
    return device.type != "cpu" or recipe.optimizer.batch_size <= LARGEST_BATCH_ON_A_CPU


def shape(trainer: Trainer) -> Hashable:
    """What runs must have in common to be computed together in an epoch: device, sizes, which terms there are, and the
    settings that the objective and the optimizer read as numbers. Seeds, schedules (ρ, β, λ, temperatures, learning
    rates), averaging, guards, controllers and evaluation may differ."""
    plan = trainer.plan
    terms = tuple((term.name, counts(weight)) for term, weight in plan.terms)
    return (trainer.device, *recipe_shape(trainer.recipe), tuple(map(len, plan.batches)), terms, plan.with_prior)


def recipe_shape(recipe: Recipe) -> tuple[Hashable, ...]:
    """The part of `shape` that a recipe alone determines: runs that differ in it are never computed together."""
    whole = (recipe.space, recipe.model, recipe.objective, recipe.gradient_balance)
    return (
        recipe.data.train_share,
        recipe.permeability.isolated_share,
        recipe.beta.free_bits,
        recipe.optimizer.model_dump_json(exclude={"learning_rate", "averaging_epochs"}),
        *(section.model_dump_json() for section in whole),
    )


class StackedSteps(Steps):
    """The steps of runs of one shape, whose epochs are planned: each batch, and all else, with runs in front."""

    def __init__(self, trainers: Sequence[Trainer], stack: Stack) -> None:
        self.trainers, first = trainers, trainers[0]
        controls = stacked_controls([trainer.plan.controls for trainer in trainers], first.device)
        own_tables = 0 if first.space.is_enumerable() else len(first.inputs)
        plan = replace(
            first.plan,
            controls=controls,
            terms=weighed([term for term, _ in first.plan.terms], controls, first.recipe.objective),
            batches=tuple(
                torch.stack([rows + run * own_tables for run, rows in enumerate(of_runs)])
                for of_runs in zip(*(trainer.plan.batches for trainer in trainers))
            ),
        )
        generators = [trainer.generator for trainer in trainers]
        norms = torch.stack([trainer.gradient_norms for trainer in trainers], dim=1)
        super().__init__(first, plan, stack.model, stack.weights, stack.adopt(), generators, norms)
        if not first.space.is_enumerable():  # every run has drawn operations of its own
            self.inputs = torch.cat([trainer.inputs for trainer in trainers])
            self.classes = torch.cat([trainer.classes for trainer in trainers])

    def average(self, number: int) -> None:
        """As `Steps.average`; runs whose averages move alike move at once."""
        alike: dict[float, list[tuple[Tensor, Tensor]]] = {}
        for trainer, weights in zip(self.trainers, self.optimizer.rows):
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
