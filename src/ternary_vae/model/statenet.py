"""StateNet, the controller that corrects learning rate, λ1, λ2, λ3 (and ρ) once an epoch."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

STATE = ("entropy_a", "entropy_b", "kl_a", "kl_b", "gradient_ratio", "rho", "lambda1", "lambda2", "lambda3")
CORRECTIONS = ("learning_rate", "lambda1", "lambda2", "lambda3", "rho")


class StateNet(nn.Module):
    """9 → 32, LayerNorm, tanh → 8 → 32, ReLU → 4 (5 with adaptive ρ), tanh. 1,068 parameters (1,101).

    Args:
        adaptive_rho: whether there is a fifth output, the correction of ρ (the plan's option C).
    """

    def __init__(self, adaptive_rho: bool = False) -> None:
        super().__init__()
        self.outputs = CORRECTIONS if adaptive_rho else CORRECTIONS[:-1]
        self.encoder = nn.Sequential(nn.Linear(len(STATE), 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 8))
        self.decoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, len(self.outputs)))

    def forward(self, state: Float[Tensor, "*n 9"]) -> Float[Tensor, "*n outputs"]:
        """Corrections in [−1, 1], in the order of `outputs`, for a state in the order of `STATE`."""
        return self.decoder(self.encoder(state)).tanh()
