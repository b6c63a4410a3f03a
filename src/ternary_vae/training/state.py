"""The whole state of a run between two epochs: what a checkpoint holds, and what the next epoch starts from."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor

from ternary_vae.errors import UserError
from ternary_vae.extensions import load_extensions
from ternary_vae.model import DualVAE
from ternary_vae.model.statenet import STATE
from ternary_vae.objective import terms_of
from ternary_vae.objective.weighting import Balance
from ternary_vae.operations import TWO_INPUT_TERNARY, all_operations, as_classes
from ternary_vae.recipe import Recipe
from ternary_vae.splits import drawn_operations, training_split
from ternary_vae.storage.checkpoints import Checkpoint
from ternary_vae.storage.runs import code_version
from ternary_vae.training import schedules
from ternary_vae.training.guards import Interventions, require_known
from ternary_vae.training.optimizer import FlatAdamW, in_one_row, new_optimizer, parameters_in_order

_WEIGHT = "weight."


class RunState:
    """Model, optimizer, controller and every running quantity of a run.

    Args:
        recipe: the whole description of the run.
        device: where to train.

    Attributes:
        terms: the terms of its objective.
        space: of the operations.
        inputs, classes: truth tables as encoders read them, and as classes.
        model: the weights that are trained.
        parameters: those of them that the optimizer moves, in its order.
        averaged: what the run is for: their moving average, or the model itself where the recipe does not average.
        averaged_row: the averaged weights as one vector, in the optimizer's order; None without averaging.
        epochs_completed: epochs trained so far.
        interventions: what guards have changed.
    """

    def __init__(self, recipe: Recipe, device: torch.device | str = "cpu") -> None:
        load_extensions()
        self.recipe = recipe
        self.terms = terms_of(recipe.objective)
        require_known(recipe.guards)
        self.device = torch.device(device)
        self.model = _initial_model(recipe).to(self.device)
        self.averaged = self._new_average()
        self.generator = torch.Generator(self.device).manual_seed(recipe.seed)
        self.space = recipe.space.as_space()
        if self.space.is_enumerable():
            self._take_tables(all_operations(self.device, self.space))
            self.training_index = training_split(recipe).train.to(self.device)
        self.optimizer = new_optimizer(self.model, recipe.optimizer)
        self.parameters = parameters_in_order(self.optimizer)
        self._flat_optimizer: FlatAdamW | None = None
        self.averaged_row = self._average_in_one_row()
        self.interventions = Interventions()

        self.epochs_completed = 0
        self.lambda1 = self.lambda2 = recipe.lambdas.initial
        self.rho = 0.0
        self.split_known = True
        self.gate_open = False
        self.gradient_norms = torch.ones(2, device=self.device)  # exponential averages, A and B
        self.balance = Balance()
        self.last_state: dict[str, float] | None = None

    @torch.no_grad()
    def corrections(self) -> dict[str, float]:
        """StateNet's, in [−1, 1], for the state at the end of the last epoch; all zero when it is switched off or
        before there is a state. As in the plan they leave the graph as plain numbers: it stays at its random start."""
        net = self.model.state_net
        if not self.recipe.statenet.enabled or self.last_state is None:
            return dict.fromkeys(net.outputs, 0.0)
        answer = net(torch.tensor([self.last_state[name] for name in STATE], device=self.device))
        return dict(zip(net.outputs, answer.tolist()))

    def draw_epoch(self) -> Int[Tensor, " n"]:
        """The rows of `inputs` and `classes` that an epoch trains on, in its order. Where operations cannot be listed,
        the rows themselves are drawn."""
        count, device = self.epoch_operations, self.device
        if not self.space.is_enumerable():
            share = schedules.skewed_share(self.recipe.data, self.epochs_completed)
            self._take_tables(drawn_operations(self.recipe, count, self.generator, skewed_share=share))
            return torch.arange(count, device=device)
        known = len(self.training_index)
        times = range(-(-count // known))
        orders = [torch.randperm(known, generator=self.generator, device=device) for _ in times]
        return self.training_index[torch.cat(orders)[:count]]

    @property
    def epoch_operations(self) -> int:
        """How many operations an epoch trains on."""
        given = self.recipe.data.epoch_operations
        if given is not None:
            return given
        return len(self.training_index) if self.space.is_enumerable() else TWO_INPUT_TERNARY.operations

    def _take_tables(self, tables: Int8[Tensor, "n entries"]) -> None:
        self.inputs = self.space.as_input(tables.float())
        self.classes = as_classes(tables, self.space)

    def take_measurement(self, row: dict[str, Any]) -> None:
        """Takes an epoch's evaluation into what the next epochs are trained by: the balance of the two VAEs."""
        exact_a, exact_b = row["exact_under_noise_a"], row["exact_under_noise_b"]
        lead = None if exact_a is None else exact_a - exact_b
        self.balance = self.balance.moved(lead, self.recipe.objective.balancing)

    def flat_optimizer(self) -> FlatAdamW:
        """The run's own, with the weights and moments as they are now."""
        if self._flat_optimizer is None:
            self._flat_optimizer = FlatAdamW([self.optimizer])
        return self._flat_optimizer.adopt()

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
        return in_one_row([averaged[names[id(parameter)]] for parameter in self.parameters])

    @property
    def checkpoint_values(self) -> int:
        """Numbers in a checkpoint, once there are moments: weights, two moments of each, and their average."""
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return weights * (3 if self.averaged is self.model else 4)

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
                "last_state": self.last_state, "interventions": asdict(self.interventions),
                "balance": self.balance, "rho": self.rho,
                **({} if self.split_known else {"split_known": False}), **(extra_state or {}),
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
        own, other = self.recipe.space.as_space(), checkpoint.recipe.space.as_space()
        if own != other:
            raise UserError(
                f"{checkpoint.path}: trained on {other}, recipe {self.recipe.name!r} is of {own}; choose a recipe of "
                "that space, or train from the start"
            )
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
        """Raises ValueError for a tensor of the training state that is of another shape than this run's."""
        shapes = {name: tensor.shape for name, tensor in self.checkpoint().training.items()}
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
        before, now = checkpoint.recipe, self.recipe
        shares = [(recipe.seed, recipe.data.train_share, recipe.data.validation_share) for recipe in (before, now)]
        self.split_known = checkpoint.split_known and shares[0] == shares[1]
        state, tensors = checkpoint.state, checkpoint.training
        self.lambda1 = float(state.get("lambda1", self.lambda1))
        self.lambda2 = float(state.get("lambda2", self.lambda2))
        self.rho = checkpoint.rho
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
        self.interventions = Interventions(**state["interventions"])
        self.gradient_norms = tensors["gradient_norms"].to(self.device, copy=True)
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
