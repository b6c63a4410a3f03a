"""One epoch of training, and the whole state that the next one needs.

Inside a step nothing waits for the device: schedules are numbers known beforehand, running averages are
tensors, and losses are summed on the device and read once an epoch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.objective import (
    LOSS,
    Controls,
    ForwardPass,
    Noise,
    draw_noise,
    terms_of,
    total_loss,
    weighed,
)
from ternary_vae.objective.information import histogram_entropy
from ternary_vae.objective.weighting import Balance, averaged_norms, loss_scales
from ternary_vae.operations import all_operations, as_input
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.parallel import on_one_core
from ternary_vae.splits import training_split
from ternary_vae.storage.checkpoints import Checkpoint
from ternary_vae.storage.runs import code_version
from ternary_vae.training import schedules
from ternary_vae.training.controller import Controller
from ternary_vae.training.denormals import flushed_denormals
from ternary_vae.training.guards import Interventions, require_known
from ternary_vae.training.stacked import Stack, in_one_row, parameters_in_order
from ternary_vae.training.steps import EpochPlan, take_steps

_AVERAGED_SHARE = 0.2
_WEIGHT = "weight."


class Trainer:
    """Model, optimizer, controller and every running quantity of a run.

    Args:
        recipe: the whole description of the run.
        device: where to train.

    Attributes:
        terms: the terms of its objective.
        model: the weights that are trained.
        averaged: what the run is for: their moving average, or the model itself where the recipe does not average.
        averaged_row: the averaged weights as one vector, in the optimizer's order; None without averaging.
        epochs_completed: epochs trained so far.
        interventions: what guards have changed.
        plan: the epoch under way, once one has begun.
    """

    def __init__(self, recipe: Recipe, device: torch.device | str = "cpu") -> None:
        self.recipe = recipe
        self.terms = terms_of(recipe.objective)
        require_known(recipe.guards)
        self.device = torch.device(device)
        self.model = _initial_model(recipe).to(self.device)
        self.averaged = self._new_average()
        self.generator = torch.Generator(self.device).manual_seed(recipe.seed)
        self.inputs = as_input(all_operations(self.device))
        self.classes = all_operations(self.device).long() + 1
        self.training_index = training_split(recipe).train.to(self.device)
        self.optimizer = self._new_optimizer()
        self._parameters = parameters_in_order(self.optimizer)
        self._stack: Stack | None = None
        self.averaged_row = self._average_in_one_row()
        self.controller = Controller(recipe.statenet, self.model.state_net)
        self.interventions = Interventions()
        self.plan: EpochPlan

        self.epochs_completed = 0
        self.lambda1 = self.lambda2 = recipe.lambdas.initial
        self.rho = 0.0
        self.gate_open = False
        self.gradient_norms = torch.ones(2, device=self.device)  # exponential averages, A and B
        self.balance = Balance()
        self.last_state: dict[str, float] | None = None

    # ---------------------------------------------------------------- one epoch

    def train_epoch(self) -> dict[str, Any]:
        """Trains one epoch, on one core if on a CPU: the same bits on any number of cores.

        Returns:
            the epoch's row for the log, without the evaluation.
        """
        with on_one_core(self.device), flushed_denormals(self.device):
            return self._train_epoch()

    def _train_epoch(self) -> dict[str, Any]:
        self.begin_epoch()
        return self.train_steps()

    def train_steps(self) -> dict[str, Any]:
        """Every step of the epoch that has begun, and its end."""
        self._stacked().adopt()
        return self.finish_epoch(take_steps(self, self.plan))

    def begin_epoch(self) -> EpochPlan:
        """Decides everything that is fixed for an epoch, and draws its order."""
        recipe, epoch = self.recipe, self.epochs_completed
        controls, row = self._controls(epoch)
        self.model.train()
        for group in self.optimizer.param_groups:
            factor = controls.learning_rate_factor_a if group["name"] == "A" else 1.0
            group["lr"] = controls.learning_rate * factor
        order = torch.randperm(len(self.training_index), generator=self.generator, device=self.device)
        batches = self.training_index[order].split(schedules.batch_size(recipe, epoch))
        first_step = schedules.steps_before(recipe, epoch, len(order))
        terms, every = weighed(self.terms, controls, recipe.objective), schedules.prior_draws_every(recipe, epoch)
        on_draws = any(term.on_prior_draws for term, _ in terms)
        due = tuple(on_draws and (first_step + number) % every == 0 for number in range(len(batches)))
        self.plan = EpochPlan(controls, terms, row, batches, first_step, due)
        return self.plan

    def finish_epoch(self, sums: dict[str, float]) -> dict[str, Any]:
        """Takes the epoch, whose steps are done, into the state of the run.

        Args:
            sums: of the loss and every term that was computed, over the steps.

        Returns:
            the epoch's row for the log, without the evaluation.
        """
        plan, row = self.plan, self.plan.row
        self.epochs_completed += 1
        self.model.permeability = self.averaged.permeability = plan.controls.rho
        row["terms"] = self._means(sums)
        if not self._weights_are_finite():
            row["terms"][LOSS] = math.nan  # the last step's damage, which no loss has seen yet
        return row | self._after_epoch(row)

    def _means(self, sums: dict[str, float]) -> dict[str, float | None]:
        """Means over the steps in which a term was due; None for terms that were not computed."""
        steps, with_prior = len(self.plan.batches), sum(self.plan.with_prior)
        counts = {LOSS: steps} | {term.name: with_prior if term.on_prior_draws else steps for term in self.terms}
        return {name: sums[name] / count if name in sums else None for name, count in counts.items()}

    def _controls(self, epoch: int) -> tuple[Controls, dict[str, Any]]:
        """What schedules, controller and guards say about this epoch."""
        recipe, acted = self.recipe, self.interventions
        corrections = self.controller.corrections(self.last_state)
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
        )
        row = {
            "epoch": epoch + 1, "phase": recipe.phase_at(epoch), "rho": self.rho, "rho_target": target,
            "learning_rate": rate, "temperature_a": controls.temperature_a, "temperature_b": controls.temperature_b,
            "beta_a": controls.beta_a, "beta_b": controls.beta_b,
            "lambda1": controls.lambda1, "lambda2": self.lambda2, "lambda3": lambda3,
        }  # fmt: skip
        return controls, row

    def draw(self, batch: Int[Tensor, " n"], with_prior: bool) -> Noise:
        """The random numbers of a step."""
        return draw_noise(len(batch), self.recipe.objective, self.generator, self.device, with_prior)

    def step(self, batch: Int[Tensor, " n"], noise: Noise) -> dict[str, Tensor]:
        """One optimizer step."""
        recipe = self.recipe
        forward = ForwardPass(
            self.model, self.inputs[batch], self.classes[batch], noise, self.plan.controls, recipe.objective,
            loss_scales(self.gradient_norms, recipe.gradient_balance), recipe.permeability.isolated_share,
            recipe.beta.free_bits,
        )  # fmt: skip
        loss, terms = total_loss(forward, self.plan.terms)
        self._move(torch.autograd.grad(loss, self._parameters, allow_unused=True))
        return {name: value.detach() for name, value in terms.items()}

    def average(self, number: int) -> None:
        """Moves the averaged weights towards the present ones, after the epoch's step of this number."""
        if self.averaged_row is not None:
            self.averaged_row.lerp_(self._stacked().rows[0], self.averaging_share(number))

    def averaging_share(self, number: int) -> float:
        """How far the epoch's step of this number moves the averaged weights towards the present ones. At first the
        average is over a fifth of the steps so far, so that the start is soon forgotten."""
        epochs, step = self.recipe.optimizer.averaging_epochs, self.plan.first_step + number
        return 1 / max(1.0, min(epochs * len(self.plan.batches), 1 + _AVERAGED_SHARE * step))

    def _move(self, gradients: Sequence[Tensor | None]) -> None:
        """Moves the weights by their gradients and updates the exponential average of each VAE's (clipped) norm."""
        norms = self._stacked().step(gradients, self.recipe.optimizer.gradient_clip)[:2, 0]
        self.gradient_norms = averaged_norms(norms, self.gradient_norms, self.recipe.gradient_balance)

    def _stacked(self) -> Stack:
        """The run's own stack, made when its first step is due."""
        if self._stack is None:
            self._stack = Stack([self.model], [self.optimizer])
        return self._stack

    def _weights_are_finite(self) -> bool:
        return bool(torch.isfinite(torch.stack(torch._foreach_norm(self._parameters))).all())

    def take_measurement(self, row: dict[str, Any]) -> None:
        """Takes an epoch's evaluation into what the next epochs are trained by: the balance of the two VAEs."""
        self.balance = self.balance.moved(row["share_a"], self.recipe.objective.balancing)

    def _after_epoch(self, row: dict[str, Any]) -> dict[str, Any]:
        """Reads the running averages once, moves λ and the gate."""
        with torch.no_grad():
            self.model.eval()
            posteriors = self.model.encode(self.inputs[self.training_index[:4096]])
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
        statenet = (
            {"corrections": self.controller.corrections(self.last_state)} if self.recipe.statenet.enabled else None
        )
        if all(map(math.isfinite, state.values())):
            self.last_state = state
        return {
            "gradient_norm_a": norm_a, "gradient_norm_b": norm_b, "gradient_ratio": ratio,
            "gate_open": self.gate_open, "balance": self.balance.weight, "entropy_a": entropy_a, "entropy_b": entropy_b,
            "statenet": statenet,
        }  # fmt: skip

    # ---------------------------------------------------------------- state

    def _new_average(self) -> DualVAE:
        """A copy of the model for the averaged weights, with the same StateNet; the model itself without averaging."""
        if not self.recipe.optimizer.averaging_epochs:
            return self.model
        averaged = copy.deepcopy(self.model).requires_grad_(False)
        averaged.state_net = self.model.state_net
        return averaged

    def _average_in_one_row(self) -> Float[Tensor, " p"] | None:
        """The averaged weights as one vector, in the optimizer's order; None without averaging."""
        if self.averaged is self.model:
            return None
        averaged = dict(self.averaged.named_parameters())
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return in_one_row([averaged[names[id(parameter)]] for parameter in self._parameters])

    def _new_optimizer(self) -> torch.optim.AdamW:
        model, settings = self.model, self.recipe.optimizer
        groups = {
            "A": [*model.encoder_A.parameters(), *model.decoder_A.parameters()],
            "B": [*model.encoder_B.parameters(), *model.decoder_B.parameters()],
            "injection": list(model.injection.parameters()),
        }
        return torch.optim.AdamW(
            [{"name": name, "params": parameters} for name, parameters in groups.items() if parameters],
            lr=1e-3, betas=settings.betas, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip

    def checkpoint(self, extra_state: dict[str, Any] | None = None) -> Checkpoint:
        """Everything needed to go on from here, on the CPU."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        moments = {
            f"{names[id(parameter)]}.{key}": value
            for parameter, entry in self.optimizer.state.items()
            for key, value in entry.items()
        }
        return Checkpoint(
            epoch=self.epochs_completed,
            epochs_completed=self.epochs_completed,
            recipe=self.recipe,
            model=self.averaged.state_dict(),
            optimizer=moments,
            generators={"training": self.generator.get_state()},
            training={"gradient_norms": self.gradient_norms, **self._weights_in_training()},
            state={
                "lambda1": self.lambda1, "lambda2": self.lambda2, "gate_open": self.gate_open,
                "last_state": self.last_state, "interventions": self.interventions.as_json(),
                "balance": self.balance, "rho": self.rho, **(extra_state or {}),
            },
            code_version=code_version(),
        )  # fmt: skip

    def _weights_in_training(self) -> dict[str, Tensor]:
        """The weights that are trained, where they are not the ones that are kept."""
        if self.averaged is self.model:
            return {}
        return {f"{_WEIGHT}{name}": weight for name, weight in self.model.state_dict().items()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint: exactly from a native one of the same kind of device; from a v5.5 one as far
        as it tells (weights, moments, λ, ρ, gradient norms); where the recipe gives VAE-B another middle value, its
        encoder has to learn to read again. Random numbers are newly seeded where the checkpoint has none for this
        device.

        Raises:
            UserError: if the checkpoint does not fit this recipe's model or lacks something.
        """
        try:
            if checkpoint.source == "native":
                self._require_shapes(checkpoint)
            self._restore(checkpoint)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as failure:
            detail = str(failure).partition("\n")[2] or repr(failure)
            raise UserError(
                f"{checkpoint.path}: cannot be trained on with recipe {self.recipe.name!r}: {detail.strip()}"
            ) from None

    def _require_shapes(self, checkpoint: Checkpoint) -> None:
        """Raises ValueError for a tensor of the training state that is of another shape than this trainer's."""
        shapes = {name: tensor.shape for name, tensor in self.checkpoint({}).training.items()}
        for name, parameter in self.model.named_parameters():
            shapes |= {f"{name}.{key}": parameter.shape for key in ("exp_avg", "exp_avg_sq")}
        for name, tensor in (checkpoint.training | checkpoint.optimizer).items():
            if tensor.shape != shapes.get(name, tensor.shape):
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(shapes[name])}")

    def _restore(self, checkpoint: Checkpoint) -> None:
        weights = checkpoint.model
        if checkpoint.source == "v5.5":
            # Its StateNet never learned; one with other outputs than the recipe's is left at the recipe's start.
            own = self.model.state_dict()
            weights = {n: w for n, w in weights.items() if not n.startswith("state_net.") or w.shape == own[n].shape}
        native = checkpoint.source == "native"
        trained = {n.removeprefix(_WEIGHT): w for n, w in checkpoint.training.items() if n.startswith(_WEIGHT)}
        self.averaged.load_state_dict(weights, strict=native)
        self.model.load_state_dict(trained or weights, strict=native)
        self._restore_optimizer(checkpoint.optimizer)
        self.epochs_completed = checkpoint.epochs_completed
        state, tensors = checkpoint.state, checkpoint.training
        self.lambda1 = float(state.get("lambda1", self.lambda1))
        self.lambda2 = float(state.get("lambda2", self.lambda2))
        self.rho = float(state.get("rho") or 0.0)
        self.model.permeability = self.averaged.permeability = self.rho
        if checkpoint.source == "v5.5":
            self.gate_open = bool(state.get("grad_balance_achieved", False))
            norms = [tensors.get(f"gradient_norm_{side}", torch.ones(())) for side in ("a", "b")]
            self.gradient_norms = torch.stack(norms).to(self.device, torch.float32)
            return
        random_state = checkpoint.generators["training"].cpu()
        if random_state.shape == self.generator.get_state().shape:
            self.generator.set_state(random_state)
        self.gate_open = state["gate_open"]
        self.last_state = state["last_state"]
        self.interventions = Interventions.from_json(state["interventions"])
        self.gradient_norms = tensors["gradient_norms"].to(self.device)
        self.balance = Balance(*state["balance"])

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        self.optimizer.state.clear()
        for name, parameter in self.model.named_parameters():
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{key}" in tensors]
            if keys and not name.startswith("state_net."):
                self.optimizer.state[parameter] = {
                    key: tensors[f"{name}.{key}"].to(self.device, torch.float32, copy=True) for key in keys
                }


def _initial_model(recipe: Recipe) -> DualVAE:
    """Weights from the recipe's seed alone, whatever the caller has drawn before, and without disturbing
    the caller's random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return DualVAE.of(recipe)
