"""StateNet at work: what it corrects once an epoch, from the state at the end of the last one."""

from __future__ import annotations

import torch

from ternary_vae.model import StateNet
from ternary_vae.model.statenet import STATE
from ternary_vae.recipe import StateNet as Settings


class Controller:
    """StateNet as the plan has it: its corrections leave the graph as plain numbers, so it stays at its random start.

    Args:
        settings: whether it is enabled.
        net: the network, part of the model and of its checkpoints.
    """

    def __init__(self, settings: Settings, net: StateNet) -> None:
        self.settings = settings
        self.net = net

    @torch.no_grad()
    def corrections(self, state: dict[str, float] | None) -> dict[str, float]:
        """Corrections in [−1, 1] for the state at the end of the last epoch; all zero when switched off or
        before there is a state."""
        if not self.settings.enabled or state is None:
            return dict.fromkeys(self.net.outputs, 0.0)
        device = next(self.net.parameters()).device
        answer = self.net(torch.tensor([state[name] for name in STATE], device=device))
        return dict(zip(self.net.outputs, answer.tolist()))
