"""Weights and moments of one run, or of several of one shape, in one matrix: a row a run, its parameters one after
another. An optimizer step, a norm or an average is then one operation on a row instead of one a parameter, and what
several runs compute is one batched program.

Each run's own model and optimizer state become views of its row, so that nothing is copied back and every run stays an
ordinary one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model import DualVAE
from ternary_vae.model.linear import linear
from ternary_vae.storage.transfer import in_a_row


class Stack:
    """The weights of one or several models of one shape, with their AdamW optimizers.

    Args:
        models: of one shape.
        optimizers: their optimizers, with parameter groups of one kind.

    Attributes:
        rows: all weights, in the order of the optimizers' parameter groups.
        weights: the same parameter by parameter, runs in front.
    """

    def __init__(self, models: Sequence[DualVAE], optimizers: Sequence[torch.optim.AdamW]) -> None:
        self._models, self._optimizers = models, optimizers
        self._parameters = [parameters_in_order(optimizer) for optimizer in optimizers]
        like = self._parameters[0]
        counts = [len(group["params"]) for group in optimizers[0].param_groups]
        self._first_of_group = list(accumulate(counts, initial=0))
        self._bounds = list(accumulate((parameter.numel() for parameter in like), initial=0))
        self._groups = [slice(self._bounds[a], self._bounds[b]) for a, b in pairwise(self._first_of_group)]
        runs, device = len(models), like[0].device
        self.rows: Float[Tensor, "runs p"] = torch.empty(runs, self._bounds[-1], device=device)
        self._moments = torch.zeros(2, runs, self._bounds[-1], device=device)
        self._steps = torch.zeros(runs, len(like), dtype=torch.float32, device=device)  # whatever weights are in
        self._rates_copied: list[list[float]] = []
        self.weights = [piece.requires_grad_() for piece in self._pieces(self.rows)]
        self._views = [
            list(zip(*map(self._pieces, (self.rows[run], *self._moments[:, run])), self._steps[run]))
            for run in range(runs)
        ]
        self._of_groups = [
            [
                (self.rows[run, part], *self._moments[:, run, part].unbind(), self._steps[run, place])
                for part, place in zip(self._groups, self._first_of_group)
            ]
            for run in range(runs)
        ]
        """Views of weights, both moments and the number of steps, by run and parameter group."""
        self.adopt()

    def _pieces(self, rows: Float[Tensor, "*runs p"]) -> list[Tensor]:
        """Views of rows, one a parameter in its shape."""
        return [
            rows[..., first:end].unflatten(-1, parameter.shape)
            for (first, end), parameter in zip(pairwise(self._bounds), self._parameters[0])
        ]

    @cached_property
    def model(self) -> DualVAE:
        """A `DualVAE` that takes the rows of all runs, runs in front, and answers each with its run's weights."""
        return self._answering_with(self.weights)

    def _answering_with(self, weights: Sequence[Tensor]) -> DualVAE:
        names = {id(parameter): name for name, parameter in self._models[0].named_parameters()}
        of_name = {names[id(parameter)]: weight for parameter, weight in zip(self._parameters[0], weights)}
        return _stand_in(self._models[0], of_name)

    def in_rows(self, tensors: Sequence[Tensor | None]) -> Float[Tensor, "runs p"]:
        """Tensors shaped as `weights` in the order of `rows`; None counts as zeros."""
        pairs = zip(tensors, self.weights)
        pieces = [torch.zeros_like(weight) if tensor is None else tensor for tensor, weight in pairs]
        return torch.cat([piece.reshape(len(self.rows), -1) for piece in pieces], dim=1)

    @torch.no_grad()
    def adopt(self) -> Stack:
        """Makes the runs' weights and optimizer states views of the rows, taking over what a run has elsewhere: at
        the beginning, after it was restored from a checkpoint, and when it was trained in another stack meanwhile."""
        for parameters, optimizer, views in zip(self._parameters, self._optimizers, self._views):
            for parameter, (weight, *moments_and_step) in zip(parameters, views):
                if parameter.data_ptr() != weight.data_ptr():
                    weight.copy_(parameter)
                    parameter.data = weight
                state = optimizer.state[parameter]
                for key, view in zip(("exp_avg", "exp_avg_sq", "step"), moments_and_step):
                    own = state.get(key)
                    if own is None:
                        view.zero_()
                    elif own.data_ptr() != view.data_ptr():
                        view.copy_(own)
                    state[key] = view
        return self

    def step(self, gradients: Sequence[Tensor | None], clip: float) -> Float[Tensor, "groups runs"]:
        """One step of AdamW for every run, each at its own optimizer's learning rates, with the norm of each run's
        whole gradient clipped.

        Args:
            gradients: one a parameter, runs in front; None counts as zeros.
            clip: the most that a run's whole gradient norm may be.

        Returns:
            each run's clipped gradient norms by parameter group, in the optimizers' order.
        """
        gradient = self.in_rows(gradients)
        norms = torch.stack([torch.linalg.vector_norm(gradient[:, group], dim=1) for group in self._groups])
        excess = ((torch.linalg.vector_norm(norms, dim=0) + 1e-6) / clip).clamp(min=1.0)
        self._steps += 1
        move = self._move_at_once if self._moves_at_once() else self._move_one_by_one
        move(gradient, excess)
        return norms / excess

    def _moves_at_once(self) -> bool:
        """A call for every run keeps a CPU's cache warm, but an accelerator waiting."""
        return len(self.rows) > 1 and self.rows.device.type != "cpu"

    @torch.no_grad()
    def _move_one_by_one(self, gradient: Float[Tensor, "runs p"], excess: Float[Tensor, " runs"]) -> None:
        """AdamW's step by the kernel of torch.optim.AdamW(fused=True), run by run and group by group, without the
        optimizer's own work around it, which for weights as few as these takes longer than the kernel."""
        for run, (optimizer, scale) in enumerate(zip(self._optimizers, excess.float().unbind())):
            for group, part, state in zip(optimizer.param_groups, self._groups, self._of_groups[run]):
                weights, first, second, steps = state
                torch._fused_adamw_(
                    [weights], [gradient[run, part]], [first], [second], [], [steps],
                    lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                    weight_decay=group["weight_decay"], eps=group["eps"],
                    amsgrad=False, maximize=False, grad_scale=scale,  # the kernel divides the gradient by it
                )  # fmt: skip

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


def parameters_in_order(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Parameters in the order of the optimizer's groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@torch.no_grad()
def in_one_row(parameters: Sequence[Tensor]) -> Float[Tensor, " p"]:
    """Makes parameters views of one new vector, one after another, and returns it."""
    row = in_a_row(parameters)
    for parameter, piece in zip(parameters, row.split([parameter.numel() for parameter in parameters])):
        parameter.data = piece.view(parameter.shape)
    return row


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
