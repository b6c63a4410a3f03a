"""Hypergradients of several runs at once, for the controllers of a fleet on an accelerator. What is computed, and why,
is in `hypergradient`; here every tensor has the runs in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import DualVAE
from ternary_vae.training.hypergradient import SETTINGS, Controller, validation_objective
from ternary_vae.training.objective import Controls
from ternary_vae.training.stacked import Stack

LossesUnder = Callable[[DualVAE, Controls], Float[Tensor, " runs"]]


def pays_at_once(controllers: Sequence[Controller]) -> bool:
    """Whether hypergradients are computed for all runs at once: on an accelerator, where all controllers learn, from
    as many operations each. On a CPU calling the operations is not what takes long."""
    return (
        controllers[0].device.type != "cpu"
        and all(controller.learns for controller in controllers)
        and len({controller.validation_size for controller in controllers}) == 1
    )


class Probe:
    """What the last step of an epoch would have been under other settings, before it is taken.

    Args:
        stack: the weights of the runs.
        controllers: their controllers.
        losses_under: every run's loss of that step as a function of the model and the stacked controls.
        controls: what the runs are trained with, one by one.
        stacked: the same as one.
    """

    def __init__(
        self,
        stack: Stack,
        controllers: Sequence[Controller],
        losses_under: LossesUnder,
        controls: Sequence[Controls],
        stacked: Controls,
    ) -> None:
        self.stack, self.controllers = stack, controllers
        device = stack.rows.device
        self.learning_rates = torch.tensor([each.learning_rate for each in controls], device=device)
        self.settings = {
            name: torch.tensor([float(getattr(each, name)) for each in controls], device=device, requires_grad=True)
            for name in SETTINGS
        }
        numbers = {**self.settings, "rho": self.settings["rho"][:, None, None]}
        weights, shadow = stack.shadow()
        losses = losses_under(shadow, replace(stacked, **numbers))
        self.gradients = torch.autograd.grad(losses.sum(), weights, create_graph=True, allow_unused=True)

    def look_back(
        self,
        inputs: Float[Tensor, "19683 9"],
        classes: Int[Tensor, "19683 9"],
        generators: Sequence[torch.Generator],
    ) -> None:
        """After the step: gives every controller its hypergradients."""
        stack = self.stack
        batches = torch.stack([one.validation_batch(own) for one, own in zip(self.controllers, generators)])
        rho = self.settings["rho"].detach()[:, None, None]
        values = validation_objective(stack.model, inputs[batches], classes[batches], rho, generators)
        slopes = stack.in_rows(torch.autograd.grad(values.sum(), stack.weights, allow_unused=True))
        moved = (slopes * (stack.rows - stack.shadow_rows)).sum(dim=1)
        reach = (stack.step_sizes() * slopes * stack.in_rows(self.gradients)).sum()
        settings = list(self.settings.values())
        found = torch.autograd.grad(reach, settings, allow_unused=True) if reach.requires_grad else [None] * 4
        rows = [moved / self.learning_rates]
        rows += [torch.zeros_like(moved) if slope is None else -slope for slope in found]
        for controller, own in zip(self.controllers, torch.stack(rows, dim=1).detach()):
            controller.hypergradients = own
