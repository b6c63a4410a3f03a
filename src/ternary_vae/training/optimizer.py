"""AdamW over weights that lie in one row. An optimizer step, a norm or an average is then one operation on a row
instead of one a parameter.

A run's own model and optimizer state are views of its row, so that nothing is copied back and the run stays an ordinary
one. Rows of several runs may stand in one matrix; a single run has a matrix of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from ternary_vae.model import DualVAE
from ternary_vae.recipe import Optimizer
from ternary_vae.storage.transfer import in_a_row


class _AdamW(torch.optim.AdamW):
    """One that does not import PyTorch's compiler, which takes a second at the start of every run: it is asked to leave
    `add_param_group` alone, and compiles nothing here."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        method = torch.optim.Optimizer.add_param_group
        getattr(method, "__wrapped__", method)(self, param_group)


def new_optimizer(model: DualVAE, settings: Optimizer) -> torch.optim.AdamW:
    """AdamW with a parameter group for each VAE, and one for the injection where it has parameters."""
    groups = {
        "A": [*model.encoder_A.parameters(), *model.decoder_A.parameters()],
        "B": [*model.encoder_B.parameters(), *model.decoder_B.parameters()],
        "injection": list(model.injection.parameters()),
    }
    return _AdamW(
        [{"name": name, "params": parameters} for name, parameters in groups.items() if parameters],
        lr=1e-3, betas=settings.betas, weight_decay=settings.weight_decay, fused=True,
    )  # fmt: skip


class FlatAdamW:
    """Steps of the AdamW optimizers of one or several runs of one shape.

    Args:
        optimizers: with parameter groups of one kind.

    Attributes:
        rows: all weights, in the order of the optimizers' parameter groups.
        weights: the same parameter by parameter, runs in front.
    """

    def __init__(self, optimizers: Sequence[torch.optim.AdamW]) -> None:
        self._optimizers = optimizers
        self.parameters = [parameters_in_order(optimizer) for optimizer in optimizers]
        like = self.parameters[0]
        counts = [len(group["params"]) for group in optimizers[0].param_groups]
        self._first_of_group = list(accumulate(counts, initial=0))
        self._bounds = list(accumulate((parameter.numel() for parameter in like), initial=0))
        self._groups = [slice(self._bounds[a], self._bounds[b]) for a, b in pairwise(self._first_of_group)]
        runs, device = len(optimizers), like[0].device
        self.rows: Float[Tensor, "runs p"] = torch.empty(runs, self._bounds[-1], device=device)
        self._moments = torch.zeros(2, runs, self._bounds[-1], device=device)
        self._steps = torch.zeros(runs, len(like), dtype=torch.float32, device=device)  # whatever weights are in
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
            for (first, end), parameter in zip(pairwise(self._bounds), self.parameters[0])
        ]

    @torch.no_grad()
    def adopt(self) -> Self:
        """Makes the runs' weights and optimizer states views of the rows, taking over what a run has elsewhere: at
        the beginning, after it was restored from a checkpoint, and when it was trained in another stack meanwhile."""
        for parameters, optimizer, views in zip(self.parameters, self._optimizers, self._views):
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
        pairs = zip(gradients, self.weights)
        pieces = [torch.zeros_like(weight) if gradient is None else gradient for gradient, weight in pairs]
        gradient = torch.cat([piece.reshape(len(self.rows), -1) for piece in pieces], dim=1)
        norms = torch.stack([torch.linalg.vector_norm(gradient[:, group], dim=1) for group in self._groups])
        excess = ((torch.linalg.vector_norm(norms, dim=0) + 1e-6) / clip).clamp(min=1.0)
        self._steps += 1
        self._move(gradient, excess)
        return norms / excess

    @torch.no_grad()
    def _move(self, gradient: Float[Tensor, "runs p"], excess: Float[Tensor, " runs"]) -> None:
        """By the kernel of torch.optim.AdamW(fused=True), run by run and group by group, without the
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
