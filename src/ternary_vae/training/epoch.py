"""An epoch of a run, from its plan to its checkpoint. This file reads from top to bottom:

    plan_epoch      what schedules, controller and guards say, and the order of the operations
    Steps.take      every step: forward pass, loss, gradient, optimizer, running averages
    close_epoch     λ, the gate and what the log has of the training
    finish_epoch    measure, watch, log, save

Inside a step nothing waits for the device: schedules are numbers known beforehand, running averages are tensors, and
losses are summed on the device and read once an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.acceleration.parallel import Tasks
from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.objective import (
    LOSS,
    Controls,
    ForwardPass,
    Noise,
    WeighedTerm,
    draw_noise,
    total_loss,
    weighed,
)
from ternary_vae.objective.information import histogram_entropy
from ternary_vae.objective.weighting import averaged_norms, loss_scales
from ternary_vae.recipe import Recipe
from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache
from ternary_vae.training import schedules
from ternary_vae.training.evaluation import evaluate, evaluated_keys
from ternary_vae.training.guards import Interventions, watch
from ternary_vae.training.log import RunLog, finite
from ternary_vae.training.optimizer import FlatAdamW
from ternary_vae.training.progress import Progress
from ternary_vae.training.state import RunState

_AVERAGED_SHARE = 0.2
_ROWS_OF_ENTROPY = 4096
_PENDING = "pending"


@dataclass(frozen=True)
class EpochPlan:
    """What one epoch of a run is trained with, known before its first step.

    Attributes:
        controls: what schedules, controller and guards say.
        terms: the terms of the objective that are computed, with their weights.
        row: what the log has of it already.
        batches: rows of the table of operations, a tensor a step.
        first_step: how many steps were taken before.
        with_prior: for every step, whether the terms on prior draws are due.
    """

    controls: Controls
    terms: tuple[WeighedTerm, ...]
    row: dict[str, Any]
    batches: tuple[Int[Tensor, "*runs _"], ...]
    first_step: int
    with_prior: tuple[bool, ...]


class Trainer(RunState):
    """A run that is trained epoch by epoch.

    Attributes:
        plan: the epoch under way, once one has begun.
    """

    plan: EpochPlan

    def train_epoch(self, take_steps: Callable[[Steps], dict[str, Any]] | None = None) -> dict[str, Any]:
        """Trains one epoch.

        Args:
            take_steps: another way to take its steps, see `acceleration`.

        Returns:
            the epoch's row for the log, without the evaluation.
        """
        self.plan_epoch()
        return self.close_epoch(take_steps(self.steps()) if take_steps else self.steps().take())

    def plan_epoch(self) -> EpochPlan:
        """Decides everything that is fixed for an epoch, and draws its order."""
        recipe, epoch = self.recipe, self.epochs_completed
        controls, row = self._controls(epoch)
        for group in self.optimizer.param_groups:
            factor = controls.learning_rate_factor_a if group["name"] == "A" else 1.0
            group["lr"] = controls.learning_rate * factor
        rows = self.draw_epoch()
        batches = rows.split(schedules.batch_size(recipe, epoch))
        first_step = schedules.steps_before(recipe, epoch, len(rows))
        terms, every = weighed(self.terms, controls, recipe.objective), schedules.prior_draws_every(recipe, epoch)
        on_draws = any(term.on_prior_draws for term, _ in terms)
        with_prior = tuple(on_draws and (first_step + number) % every == 0 for number in range(len(batches)))
        self.plan = EpochPlan(controls, terms, row, batches, first_step, with_prior)
        return self.plan

    def _controls(self, epoch: int) -> tuple[Controls, dict[str, Any]]:
        """What schedules, controller and guards say about this epoch."""
        recipe, acted = self.recipe, self.interventions
        corrections = self.corrections()
        scale = recipe.statenet
        rate = schedules.learning_rate(recipe, epoch) * (1 + scale.learning_rate_scale * corrections["learning_rate"])
        rate = schedules.clamp(rate * acted.learning_rate_factor, recipe.optimizer.learning_rate.bounds)
        self.lambda1 = schedules.clamp(
            self.lambda1 + scale.lambda_scale * corrections["lambda1"], recipe.lambdas.bounds
        )
        self.lambda2 = schedules.clamp(
            self.lambda2 + scale.lambda_scale * corrections["lambda2"], recipe.lambdas.bounds
        )
        lambda3 = schedules.lambda_3(recipe.lambdas, epoch) + scale.lambda_scale * corrections["lambda3"]
        lambda3 = schedules.clamp(lambda3, recipe.lambdas.lambda3_bounds)
        target = schedules.permeability_target(recipe, epoch, self.gate_open)
        bound = recipe.permeability.adaptive_bound
        correction = schedules.clamp(corrections.get("rho", 0.0), (-bound, bound))
        self.rho = schedules.permeability(recipe, target + acted.rho_bonus + correction)
        controls = Controls(
            learning_rate=rate,
            rho=self.rho,
            temperature_a=schedules.temperature_a(recipe, epoch, acted.boost_factor) * acted.temperature_factor,
            temperature_b=schedules.temperature_b(recipe, epoch),
            beta_a=schedules.beta_a(recipe, epoch),
            beta_b=schedules.beta_b(recipe, epoch),
            lambda1=schedules.clamp(self.lambda1 + acted.lambda1_bonus, recipe.lambdas.bounds),
            lambda2=self.lambda2,
            lambda3=lambda3,
            repulsion_b=recipe.objective.repulsion_b + acted.repulsion_bonus,
            balance=self.balance.weight if recipe.objective.balancing else 0.0,
            learning_rate_factor_a=acted.learning_rate_factor_a,
            moment_weight=schedules.moment_weight(recipe.objective.prior_information, epoch),
        )
        row = {
            "epoch": epoch + 1, "phase": recipe.phase_at(epoch), "rho": self.rho, "rho_target": target,
            "learning_rate": rate, "temperature_a": controls.temperature_a, "temperature_b": controls.temperature_b,
            "beta_a": controls.beta_a, "beta_b": controls.beta_b,
            "lambda1": controls.lambda1, "lambda2": self.lambda2, "lambda3": lambda3,
        }  # fmt: skip
        return controls, row

    def steps(self) -> Steps:
        """The steps of the epoch that is planned."""
        optimizer = self.flat_optimizer()
        return Steps(self, self.plan, self.model, self.parameters, optimizer, self.generator, self.gradient_norms)

    def averaging_share(self, number: int) -> float:
        """How far the epoch's step of this number moves the averaged weights towards the present ones. At first the
        average is over a fifth of the steps so far, so that the start is soon forgotten."""
        epochs, step = self.recipe.optimizer.averaging_epochs, self.plan.first_step + number
        return 1 / max(1.0, min(epochs * len(self.plan.batches), 1 + _AVERAGED_SHARE * step))

    def close_epoch(self, means: dict[str, float]) -> dict[str, Any]:
        """Takes the epoch, whose steps are done, into the state of the run.

        Args:
            means: of the loss and every term that was computed, see `Steps.take`.

        Returns:
            the epoch's row for the log, without the evaluation.
        """
        plan, row = self.plan, self.plan.row
        self.epochs_completed += 1
        self.model.permeability = self.averaged.permeability = plan.controls.rho
        row["terms"] = {name: means.get(name) for name in (LOSS, *(term.name for term in self.terms))}
        if not self._weights_are_finite():
            row["terms"][LOSS] = math.nan  # the last step's damage, which no loss has seen yet
        return row | self._after_epoch(row)

    def _weights_are_finite(self) -> bool:
        return bool(torch.isfinite(torch.stack(torch._foreach_norm(self.parameters))).all())

    def _after_epoch(self, row: dict[str, Any]) -> dict[str, Any]:
        """Reads the running averages once, moves λ and the gate."""
        with torch.no_grad():
            self.model.eval()
            rows = self.training_index[:_ROWS_OF_ENTROPY] if self.space.is_enumerable() else slice(_ROWS_OF_ENTROPY)
            inputs = self.inputs[rows]
            posteriors = Posteriors(*self.model.encoder_A(inputs), *self.model.encoder_B(inputs))
            bins = self.recipe.objective.entropy_bins
            entropies = torch.stack(
                [histogram_entropy(posteriors.mu_a, bins), histogram_entropy(posteriors.mu_b, bins)]
            )
        norm_a, norm_b, entropy_a, entropy_b = torch.cat([self.gradient_norms, entropies]).tolist()
        ratio = norm_b / max(norm_a, 1e-12)
        settings = self.recipe.gradient_balance
        if math.isfinite(ratio):
            self.gate_open = schedules.gate_is_open(settings, ratio)
            self.lambda1, self.lambda2 = schedules.adapted_lambdas(
                self.recipe.lambdas, self.lambda1, self.lambda2, ratio, settings
            )
        state = {
            "entropy_a": entropy_a, "entropy_b": entropy_b,
            "kl_a": row["terms"]["kl_a"], "kl_b": row["terms"]["kl_b"],
            "gradient_ratio": ratio, "rho": row["rho"],
            "lambda1": row["lambda1"], "lambda2": row["lambda2"], "lambda3": row["lambda3"],
        }  # fmt: skip
        statenet = {"corrections": self.corrections()} if self.recipe.statenet.enabled else None
        if all(map(math.isfinite, state.values())):
            self.last_state = state
        return {
            "gradient_norm_a": norm_a, "gradient_norm_b": norm_b, "gradient_ratio": ratio,
            "gate_open": self.gate_open, "balance": self.balance.weight, "entropy_a": entropy_a, "entropy_b": entropy_b,
            "statenet": statenet,
        }  # fmt: skip


class Steps:
    """The steps of an epoch that is planned, of one run or of several at once ("*runs").

    Attributes:
        inputs, classes: the tables of which batches name rows, see `RunState`.
        weights: what gradients are taken of, in the optimizer's order.
        gradient_norms: exponential averages of VAE-A's and VAE-B's, which every step moves in place.
    """

    def __init__(
        self,
        trainer: Trainer,
        plan: EpochPlan,
        model: DualVAE,
        weights: Sequence[Tensor],
        optimizer: FlatAdamW,
        generator: torch.Generator | Sequence[torch.Generator],
        gradient_norms: Float[Tensor, "2 *runs"],
    ) -> None:
        self.trainer, self.recipe, self.device, self.plan = trainer, trainer.recipe, trainer.device, plan
        self.model, self.weights, self.optimizer, self.generator = model.train(), weights, optimizer, generator
        self.inputs, self.classes = trainer.inputs, trainer.classes
        self.gradient_norms = gradient_norms
        self._names = [LOSS, *(term.name for term, _ in plan.terms)]
        self._nothing, self._one = torch.zeros_like(gradient_norms[0]), torch.ones_like(gradient_norms[0])
        self._sums_and_counts = self._nothing.new_zeros(2 * len(self._names), *self._nothing.shape)

    def take(self, add_step: Callable[[Tensor, Noise], None] | None = None) -> dict[str, Any]:
        """Takes every step.

        Args:
            add_step: another way to do what the method of this name does.

        Returns:
            means, of one run or as a list of several, of the loss and of every term that was computed: each over the
            steps in which it was.
        """
        for number, (batch, with_prior) in enumerate(zip(self.plan.batches, self.plan.with_prior)):
            (add_step or self.add_step)(batch, self.draw(batch, with_prior))
            self.average(number)
        sums, counts = self._sums_and_counts.cpu().double().chunk(2)
        means = (sums / counts).tolist()
        return {name: mean for name, mean, count in zip(self._names, means, counts) if count.any()}

    def draw(self, batch: Int[Tensor, "*runs n"], with_prior: bool) -> Noise:
        """The random numbers of a step."""
        settings, sizes = self.recipe.objective, self.trainer.model.sizes
        return draw_noise(batch.shape[-1], settings, self.generator, self.device, with_prior, sizes)

    def add_step(self, batch: Int[Tensor, "*runs n"], noise: Noise) -> None:
        """Takes a step, adds its terms to the sums and counts them. What it leaves on the device it leaves in place."""
        terms = self.step(batch, noise)
        values = [terms.get(name, self._nothing) for name in self._names]
        counts = [self._one if name in terms else self._nothing for name in self._names]
        self._sums_and_counts.add_(torch.stack([*values, *counts]))

    def step(self, batch: Int[Tensor, "*runs n"], noise: Noise) -> dict[str, Float[Tensor, "*runs"]]:
        """One optimizer step; the batch's terms by name."""
        recipe = self.recipe
        forward = ForwardPass(
            self.model, self.inputs[batch], self.classes[batch], noise, self.plan.controls, recipe.objective,
            loss_scales(self.gradient_norms, recipe.gradient_balance), recipe.permeability.isolated_share,
            recipe.beta.free_bits,
        )  # fmt: skip
        loss, terms = total_loss(forward, self.plan.terms)
        # Of a sum it need not be given a gradient, which PyTorch would import its symbolic shapes to look at.
        self._move(torch.autograd.grad(loss.sum(), self.weights, allow_unused=True))
        return {name: value.detach() for name, value in terms.items()}

    def _move(self, gradients: Sequence[Tensor | None]) -> None:
        """Moves the weights by their gradients, and the averages of each VAE's clipped gradient norm."""
        norms = self.optimizer.step(gradients, self.recipe.optimizer.gradient_clip)[:2].view_as(self.gradient_norms)
        averaged_norms(norms, self.gradient_norms, self.recipe.gradient_balance, out=self.gradient_norms)

    def average(self, number: int) -> None:
        """Moves the averaged weights towards the present ones, after the step of this number."""
        if self.trainer.averaged_row is not None:
            self.trainer.averaged_row.lerp_(self.optimizer.rows[0], self.trainer.averaging_share(number))


# -------------------------------------------------------------------- what follows on the training of an epoch


@dataclass(frozen=True)
class PendingUpdate:
    """What measuring an epoch changes about the epoch after the next.

    Attributes:
        row: what was measured; None where the epoch was not evaluated.
        interventions: all that guards have changed so far.
    """

    row: dict[str, Any] | None
    interventions: Interventions

    def added_to(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with this update pending."""
        row = None if self.row is None else finite(self.row)
        pending = {"row": row, "interventions": asdict(self.interventions)}
        return replace(checkpoint, state={**checkpoint.state, _PENDING: pending})

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> PendingUpdate | None:
        """What is pending in a checkpoint; None where nothing is, as in one from before there were any.

        Raises:
            UserError: if what is pending is not whole.
        """
        pending = checkpoint.state.get(_PENDING)
        if pending is None:
            return None
        try:
            row = pending["row"]
            # Versions before this one evaluated fewer strategies; this is the one that anything is decided by.
            if row is not None and not dict(row).keys() >= {*evaluated_keys(["best_of_two"])}:
                raise KeyError("a figure is missing")
            return cls(row, Interventions(**pending["interventions"]))
        except (AttributeError, LookupError, TypeError, ValueError) as failure:
            raise UserError(
                f"{checkpoint.path}: cannot be trained on: its pending measurement is damaged ({failure!r}); "
                "use another checkpoint of the run"
            ) from None


@dataclass
class EpochFinisher:
    """Measures, watches, logs and saves epochs of a run that have been trained.

    Attributes:
        model: its own, for the weights of the epoch that it measures.
        run_all: runs the parts of a measurement.
        cache: whose budget is watched.
        best: score of the run's best checkpoint so far, see `checkpoint_score`.
    """

    model: DualVAE
    directory: RunDirectory
    log: RunLog
    progress: Progress
    run_all: Callable[[Tasks, torch.device], dict[Hashable, Any]]
    cache: TensorCache | None = None
    best: list[float | None] | None = None

    def finish_epoch(self, row: dict[str, Any], checkpoint: Checkpoint) -> PendingUpdate:
        """Measures, watches, logs and saves the epoch that left this checkpoint."""
        recipe, started = checkpoint.recipe, time.monotonic()
        measured = None
        if recipe.is_evaluated(row["epoch"]):
            self.model.load_state_dict(checkpoint.model)
            self.model.permeability = checkpoint.rho
            measured = evaluate(self.model, recipe, row["epoch"], self.run_all)
        row |= dict.fromkeys(evaluated_keys()) if measured is None else measured
        row["seconds_evaluation"] = time.monotonic() - started
        interventions = Interventions(**checkpoint.state["interventions"])
        self.watch(recipe, interventions, row)
        row["guard_events"] = interventions.fired_count
        row = finite(row)
        self.log.epoch(row)
        update = PendingUpdate(measured, interventions)
        self._save(row, update.added_to(checkpoint))
        self.progress.epoch(row)
        if self.cache is not None:
            self.cache.watch_budget()
        return update

    def watch(self, recipe: Recipe, interventions: Interventions, row: dict[str, Any]) -> list[dict[str, Any]]:
        """Lets the guards act on an epoch, and logs what they do."""
        events = watch(recipe, interventions, row, self.log.rows)
        for event in events:
            self.progress.event(self.log.event(**finite(event)))
        return events

    def _save(self, row: dict[str, Any], checkpoint: Checkpoint) -> None:
        """Writes the checkpoints that an epoch calls for; `latest` last, since resuming starts there."""
        recipe, epoch = checkpoint.recipe, row["epoch"]
        score = checkpoint_score(row)
        also: list[int | str] = []
        if epoch % recipe.evaluation.checkpoint_every == 0 or epoch in recipe.benchmarked:
            also.append(epoch)
        if score is not None and (self.best is None or score > self.best):
            self.best = score
            also.append("best")
        checkpoint = replace(checkpoint, state={**checkpoint.state, "best": self.best})
        paths = [self.directory.checkpoint(name) for name in also]
        self.directory.require_held()
        save_checkpoint(self.directory.checkpoint("latest"), checkpoint, also=paths)


def checkpoint_score(row: dict[str, Any]) -> list[float | None] | None:
    """What `best` is chosen by, compared in order: ensemble exact match, the lower of the two VAEs',
    decoded coverage, which is None where operations cannot be listed."""
    if row["exact_match_best_of_two"] is None:
        return None
    return [row["exact_match_best_of_two"], min(row["exact_match_a"], row["exact_match_b"]), row["coverage"]]
