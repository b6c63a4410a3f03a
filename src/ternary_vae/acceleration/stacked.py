"""The weights of several runs of one shape, stacked: what they compute is one batched program."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model import DualVAE
from ternary_vae.model.linear import linear
from ternary_vae.training.optimizer import FlatAdamW


class Stack(FlatAdamW):
    """The weights of models of one shape, with their AdamW optimizers.

    Args:
        models: of one shape.
        optimizers: theirs, with parameter groups of one kind.
    """

    def __init__(self, models: Sequence[DualVAE], optimizers: Sequence[torch.optim.AdamW]) -> None:
        self._models = models
        self._rates_copied: list[list[float]] = []
        super().__init__(optimizers)

    @cached_property
    def model(self) -> DualVAE:
        """A `DualVAE` that takes the rows of all runs, runs in front, and answers each with its run's weights."""
        names = {id(parameter): name for name, parameter in self._models[0].named_parameters()}
        of_name = {names[id(parameter)]: weight for parameter, weight in zip(self.parameters[0], self.weights)}
        return _stand_in(self._models[0], of_name)

    def _moves_at_once(self) -> bool:
        """A call for every run keeps a CPU's cache warm, but an accelerator waiting."""
        return len(self.rows) > 1 and self.rows.device.type != "cpu"

    def _move(self, gradient: Float[Tensor, "runs p"], excess: Float[Tensor, " runs"]) -> None:
        (self._move_at_once if self._moves_at_once() else super()._move)(gradient, excess)

    @torch.no_grad()
    def _move_at_once(self, gradient: Float[Tensor, "runs p"], excess: Float[Tensor, " runs"]) -> None:
        """The same step for all runs together (Loshchilov and Hutter 2019, "Decoupled weight decay regularization",
        algorithm 2): as many operations as for one."""
        gradient = gradient / excess[:, None]
        for number, (part, place) in enumerate(zip(self._groups, self._first_of_group)):
            group = self._optimizers[0].param_groups[number]
            (beta1, beta2), own = group["betas"], gradient[:, part]
            weights, first, second = self.rows[:, part], self._moments[0, :, part], self._moments[1, :, part]
            steps = self._steps[:, place, None].double()  # in single precision 1 − β₂ᵗ loses four digits at first
            rates = self._learning_rates()[number]
            weights.mul_((1 - group["weight_decay"] * rates).to(weights.dtype))
            first.lerp_(own, 1 - beta1)
            second.mul_(beta2).addcmul_(own, own, value=1 - beta2)
            rates = (rates / (1 - beta1**steps)).to(weights.dtype)
            root = second.sqrt().div_((1 - beta2**steps).sqrt().to(weights.dtype)).add_(group["eps"])
            weights.sub_(rates * first / root)

    def _learning_rates(self) -> Float[Tensor, "groups runs 1"]:
        """Every run's learning rates by parameter group. They are copied to the device when they change, once an
        epoch."""
        rates = [[optimizer.param_groups[n]["lr"] for optimizer in self._optimizers] for n in range(len(self._groups))]
        if rates != self._rates_copied:
            self._rates_copied = rates
            self._rates = torch.tensor(rates, device=self.rows.device, dtype=torch.float64)[..., None]
        return self._rates


class _StackedLinear(nn.Module):
    """A linear layer for every run: rows (runs, n, in) → (runs, n, out)."""

    def __init__(self, weight: Float[Tensor, "runs out in"], bias: Float[Tensor, "runs out"] | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Float[Tensor, "runs n in"]) -> Float[Tensor, "runs n out"]:
        return linear(x, self.weight, self.bias)


def _stand_in(model: DualVAE, weights: dict[str, Tensor]) -> DualVAE:
    """A copy of the model whose linear layers hold the stacked weights."""
    copied = copy.deepcopy(model)
    for name, layer in list(copied.named_modules()):
        if isinstance(layer, nn.Linear) and f"{name}.weight" in weights:
            parent, _, own = name.rpartition(".")
            stacked = _StackedLinear(weights[f"{name}.weight"], weights.get(f"{name}.bias"))
            setattr(copied.get_submodule(parent), own, stacked)
    return copied
