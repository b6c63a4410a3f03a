"""Weights and moments of several runs of one shape, stacked: what one batched program computes with.

A stack holds every parameter of R models as one tensor with the run in front. Each run's own model and optimizer
state become views of its rows, so that nothing is copied back and every run stays an ordinary one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model import DualVAE


class Stack:
    """The stacked parameters of several models with their AdamW optimizers.

    Args:
        models: of one shape.
        optimizers: their optimizers, with parameter groups of one kind.

    Attributes:
        model: a `DualVAE` that takes the rows of all runs, runs in front, and answers each with its run's weights.
    """

    def __init__(self, models: Sequence[DualVAE], optimizers: Sequence[torch.optim.AdamW]) -> None:
        self._optimizers = optimizers
        names = {id(parameter): name for name, parameter in models[0].named_parameters()}
        of_model = [dict(model.named_parameters()) for model in models]
        self._groups = [[names[id(p)] for p in group["params"]] for group in optimizers[0].param_groups]
        order = [name for group in self._groups for name in group]
        self._parameters = [[parameters[name] for name in order] for parameters in of_model]
        like = self._parameters[0]
        runs = len(models)
        self.weights = [torch.empty(runs, *p.shape, device=p.device).requires_grad_() for p in like]
        self._moments = [torch.zeros(2, runs, *p.shape, device=p.device) for p in like]
        self._steps = torch.zeros(runs, len(like), device=like[0].device, dtype=torch.float32)
        # A run's rows, parameter by parameter: weights, first and second moments, steps.
        rows = [[weight.detach()[run] for weight in self.weights] for run in range(runs)]
        first, second = ([[moment[which][run] for moment in self._moments] for run in range(runs)] for which in (0, 1))
        self._rows = list(zip(rows, first, second, [list(steps) for steps in self._steps]))
        self.model = _stand_in(models[0], dict(zip(order, self.weights)))
        self.adopt()

    @torch.no_grad()
    def adopt(self) -> None:
        """Makes the runs' weights and optimizer states views of the stack, taking over what a run has elsewhere: at
        the beginning, and after it was restored from a checkpoint."""
        for parameters, optimizer, rows in zip(self._parameters, self._optimizers, self._rows):
            for parameter, weight, first, second, step in zip(parameters, *rows):
                if parameter.data_ptr() != weight.data_ptr():
                    weight.copy_(parameter)
                    parameter.data = weight
                state = optimizer.state[parameter]
                for key, row in (("exp_avg", first), ("exp_avg_sq", second), ("step", step)):
                    own = state.get(key)
                    if own is None:
                        row.zero_()
                    elif own.data_ptr() != row.data_ptr():
                        row.copy_(own)
                    state[key] = row

    def step(self, gradients: Sequence[Tensor], clip: float) -> Float[Tensor, "groups runs"]:
        """One step of AdamW for every run, each at its own optimizer's learning rates, with the norm of each run's
        whole gradient clipped.

        Args:
            gradients: one a parameter, contiguous, runs in front.
            clip: the most that a run's whole gradient norm may be.

        Returns:
            each run's clipped gradient norms by parameter group, in the optimizers' order.
        """
        norms = self._norms(gradients)
        excess = ((torch.linalg.vector_norm(norms, dim=0) + 1e-6) / clip).clamp(min=1.0)
        self._steps += 1
        by_run = list(zip(*(gradient.unbind() for gradient in gradients)))
        for optimizer, rows, gradient, scale in zip(self._optimizers, self._rows, by_run, excess.float().unbind()):
            start = 0
            for group, names in zip(optimizer.param_groups, self._groups):
                part = slice(start, start + len(names))
                start = part.stop
                weights, first, second, steps = (row[part] for row in rows)
                # The kernel of torch.optim.AdamW(fused=True) without the optimizer's own work around it, which for
                # weights as few as these takes longer than the kernel. It divides the gradient by grad_scale.
                torch._fused_adamw_(
                    weights, list(gradient[part]), first, second, [], steps,
                    lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                    weight_decay=group["weight_decay"], eps=group["eps"],
                    amsgrad=False, maximize=False, grad_scale=scale,
                )  # fmt: skip
        return norms / excess

    def _norms(self, gradients: Sequence[Tensor]) -> Float[Tensor, "groups runs"]:
        norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
        by_group, start = [], 0
        for names in self._groups:
            by_group.append(torch.linalg.vector_norm(torch.stack(norms[start : start + len(names)]), dim=0))
            start += len(names)
        return torch.stack(by_group)


class _StackedLinear(nn.Module):
    """A linear layer for every run: rows (runs, n, in) → (runs, n, out)."""

    def __init__(self, weight: Float[Tensor, "runs out in"], bias: Float[Tensor, "runs out"] | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Float[Tensor, "runs n in"]) -> Float[Tensor, "runs n out"]:
        return _LinearOfRuns.apply(x, self.weight, self.bias)


class _LinearOfRuns(torch.autograd.Function):
    """x·Wᵀ + b for every run. Differentiated by hand, so that the gradient of W comes as the optimizer's kernel reads
    it: contiguous, without a copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(gradient.mT, x), gradient.sum(dim=1) if ctx.biased else None


def _stand_in(model: DualVAE, weights: dict[str, Tensor]) -> DualVAE:
    """A copy of the model whose linear layers hold the stacked weights."""
    copied = copy.deepcopy(model)
    for name, layer in list(copied.named_modules()):
        if isinstance(layer, nn.Linear) and f"{name}.weight" in weights:
            parent, _, own = name.rpartition(".")
            stacked = _StackedLinear(weights[f"{name}.weight"], weights.get(f"{name}.bias"))
            setattr(copied.get_submodule(parent), own, stacked)
    return copied
