"""Encoders and decoders, as the plan has them. Module names are those of v5.5 checkpoints, which load
unchanged.

ReLUs work in place: the layers before them do not need their own output, and in small layers memory traffic is
what costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ternary_vae.model.linear import Linear, as_answer, as_factor
from ternary_vae.space import TWO_INPUT_TERNARY, Space, latent_dimensions_of

_MULTIPLE = 8


@dataclass(frozen=True)
class Sizes:
    """How large the networks of a space are. The plan's are those of nine entries.

    Attributes:
        space: of the operations.
        latent_dimensions: of the code.
        width: factor of all hidden layers.
        decoder_a_width: factor of those of VAE-A's decoder, beside what follows from `width`.

    Raises:
        ValueError: a code without dimensions, or a factor that is not above 0 and finite.
    """

    space: Space = field(default_factory=Space)
    latent_dimensions: int = 16
    width: float = 1.0
    decoder_a_width: float = 1.0

    def __post_init__(self) -> None:
        if self.latent_dimensions < 1:
            raise ValueError(f"latent_dimensions: expected at least 1, got {self.latent_dimensions}")
        for name in ("width", "decoder_a_width"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a finite number above 0, got {getattr(self, name)}")

    @classmethod
    def of(
        cls,
        space: Space,
        latent_dimensions: int | None = None,
        width: float | None = None,
        decoder_a_width: float = 1.0,
    ) -> Sizes:
        """Latent dimensions as `latent_dimensions_of` says, and hidden layers that grow with the square root
        of the entries, so that their weights grow as the entries do; unless given."""
        return cls(
            space,
            latent_dimensions_of(space) if latent_dimensions is None else latent_dimensions,
            math.sqrt(space.entries / TWO_INPUT_TERNARY.entries) if width is None else width,
            decoder_a_width,
        )

    def hidden(self, units: int, width: float | None = None) -> int:
        """Units of a hidden layer that has so many in the plan: a multiple of eight."""
        return max(_MULTIPLE, _MULTIPLE * round(units * (width or self.width) / _MULTIPLE))

    @property
    def logits(self) -> int:
        """Outputs of a decoder."""
        return self.space.entries * self.space.values

    @property
    def table(self) -> tuple[int, int]:
        """Shape of the logits of one operation."""
        return self.space.entries, self.space.values


class Encoder(nn.Module):
    """Truth table → mean and log-variance of a diagonal Gaussian posterior: 9 → 256 → 128 → 64, ReLU, then
    two heads 64 → 16. 45,792 parameters in the plan's size.

    Args:
        middle_value: by how many places the encoder takes values further than they are, around the cycle of all values:
            of three, −1 → 0 → 1 → −1, it is the value that is read as 0 and so lies in the middle of an axis of the
            code. With 1 in the middle, −1 is read as 1 and 0 as −1.
    """

    def __init__(self, middle_value: int = 0, sizes: Sizes = Sizes()) -> None:
        super().__init__()
        self.middle_value, self.values = middle_value, sizes.space.values
        first, second, third = map(sizes.hidden, (256, 128, 64))
        self.encoder = nn.Sequential(
            Linear(sizes.space.entries, first),
            nn.ReLU(inplace=True),
            Linear(first, second),
            nn.ReLU(inplace=True),
            Linear(second, third),
            nn.ReLU(inplace=True),
        )
        self.fc_mu = Linear(third, sizes.latent_dimensions)
        self.fc_logvar = Linear(third, sizes.latent_dimensions)

    def forward(self, x: Float[Tensor, "*n entries"]) -> tuple[Float[Tensor, "*n latent"], Float[Tensor, "*n latent"]]:
        x = self.as_read(x)
        hidden = self.encoder(as_factor(x)).to(x.dtype)
        return self.fc_mu(hidden), self.fc_logvar(hidden)

    def as_read(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """What this encoder reads inputs (evenly spread over [−1, 1]) as."""
        if not self.middle_value:
            return x
        if self.values == 3:  # an input is the value itself, and stays a whole number
            return torch.remainder(x + (1 - self.middle_value), 3) - 1
        step = 2 / (self.values - 1)
        classes = torch.remainder(torch.round((x + 1) / step) - self.middle_value, self.values)
        # The difference has no gradient but that of x, as a shift has none but 1.
        return x + (classes * step - 1 - x).detach()


class DecoderA(nn.Module):
    """The exploring ("chaotic") decoder: 16 → 32 → 64 → 27, ReLU, logits as 9 × 3. 4,411 parameters in the plan's
    size."""

    def __init__(self, sizes: Sizes = Sizes()) -> None:
        super().__init__()
        self.table = sizes.table
        # So narrow that each entry needs its own share of them: twice as many entries, twice as many units.
        width = sizes.decoder_a_width * sizes.width**2
        first, second = (sizes.hidden(units, width) for units in (32, 64))
        self.decoder = nn.Sequential(
            Linear(sizes.latent_dimensions, first),
            nn.ReLU(inplace=True),
            Linear(first, second),
            nn.ReLU(inplace=True),
            Linear(second, sizes.logits),
        )

    def forward(self, z: Float[Tensor, "*n latent"]) -> Float[Tensor, "*n entries values"]:
        hidden = self.decoder[:-1](as_factor(z, self.decoder[0])).to(z.dtype)
        return as_answer(self.decoder[-1](hidden)).unflatten(-1, self.table)


class ResidualBlock(nn.Module):
    """h + Linear(ReLU(Linear(h)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(Linear(width, width), nn.ReLU(inplace=True), Linear(width, width))

    def forward(self, hidden: Float[Tensor, "*n width"]) -> Float[Tensor, "*n width"]:
        return hidden + self.block(hidden)


class DecoderB(nn.Module):
    """The precise ("frozen") decoder: 16 → 128, ReLU, residual block, ReLU, residual block, 128 → 27, logits
    as 9 × 3. 71,707 parameters in the plan's size."""

    def __init__(self, sizes: Sizes = Sizes()) -> None:
        super().__init__()
        self.table, width = sizes.table, sizes.hidden(128)
        self.fc_in = Linear(sizes.latent_dimensions, width)
        self.residual1 = ResidualBlock(width)
        self.residual2 = ResidualBlock(width)
        self.fc_out = Linear(width, sizes.logits)

    def forward(self, z: Float[Tensor, "*n latent"]) -> Float[Tensor, "*n entries values"]:
        hidden = self.residual1(self.fc_in(as_factor(z, self.fc_in)).relu_()).relu_()
        return as_answer(self.fc_out(self.residual2(hidden).to(z.dtype))).unflatten(-1, self.table)
