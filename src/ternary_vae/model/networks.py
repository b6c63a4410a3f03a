"""Encoders and decoders, as the plan has them. Module names are those of v5.5 checkpoints, which load
unchanged.

ReLUs work in place: the layers before them do not need their own output, and in small layers memory traffic is
what costs.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model.linear import Linear, as_factor
from ternary_vae.operations import ENTRIES, VALUES

LATENT_DIMENSIONS = 16
_LOGITS = ENTRIES * len(VALUES)


class Encoder(nn.Module):
    """Truth table → mean and log-variance of a diagonal Gaussian posterior: 9 → 256 → 128 → 64, ReLU, then
    two heads 64 → 16. 45,792 parameters.

    Args:
        middle_value: the value that the encoder reads as 0, and so puts in the middle of an axis of its code. The
            others keep their place in the cycle −1 → 0 → 1 → −1: with 1 in the middle, −1 is read as 1 and 0 as −1.
    """

    def __init__(self, middle_value: Literal[-1, 0, 1] = 0) -> None:
        super().__init__()
        self.middle_value = middle_value
        self.encoder = nn.Sequential(
            Linear(ENTRIES, 256),
            nn.ReLU(inplace=True),
            Linear(256, 128),
            nn.ReLU(inplace=True),
            Linear(128, 64),
            nn.ReLU(inplace=True),
        )
        self.fc_mu = Linear(64, LATENT_DIMENSIONS)
        self.fc_logvar = Linear(64, LATENT_DIMENSIONS)

    def forward(self, x: Float[Tensor, "*n 9"]) -> tuple[Float[Tensor, "*n 16"], Float[Tensor, "*n 16"]]:
        x = self.as_read(x)
        hidden = self.encoder(as_factor(x)).to(x.dtype)
        return self.fc_mu(hidden), self.fc_logvar(hidden)

    def as_read(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """What this encoder reads values as."""
        return torch.remainder(x + (1 - self.middle_value), len(VALUES)) - 1 if self.middle_value else x


class DecoderA(nn.Module):
    """The exploring ("chaotic") decoder: 16 → 32 → 64 → 27, ReLU, logits as 9 × 3. 4,411 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Sequential(
            Linear(LATENT_DIMENSIONS, 32),
            nn.ReLU(inplace=True),
            Linear(32, 64),
            nn.ReLU(inplace=True),
            Linear(64, _LOGITS),
        )

    def forward(self, z: Float[Tensor, "*n 16"]) -> Float[Tensor, "*n 9 3"]:
        hidden = self.decoder[:-1](as_factor(z)).to(z.dtype)
        return self.decoder[-1](hidden).unflatten(-1, (ENTRIES, len(VALUES)))


class ResidualBlock(nn.Module):
    """h + Linear(ReLU(Linear(h))), 128 wide."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.block = nn.Sequential(Linear(width, width), nn.ReLU(inplace=True), Linear(width, width))

    def forward(self, hidden: Float[Tensor, "*n width"]) -> Float[Tensor, "*n width"]:
        return hidden + self.block(hidden)


class DecoderB(nn.Module):
    """The precise ("frozen") decoder: 16 → 128, ReLU, residual block, ReLU, residual block, 128 → 27, logits
    as 9 × 3. 71,707 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_in = Linear(LATENT_DIMENSIONS, 128)
        self.residual1 = ResidualBlock()
        self.residual2 = ResidualBlock()
        self.fc_out = Linear(128, _LOGITS)

    def forward(self, z: Float[Tensor, "*n 16"]) -> Float[Tensor, "*n 9 3"]:
        hidden = self.residual1(self.fc_in(as_factor(z)).relu_()).relu_()
        return self.fc_out(self.residual2(hidden).to(z.dtype)).unflatten(-1, (ENTRIES, len(VALUES)))
