"""The networks of a trained model in numpy, for what should not wait for torch: single gates, and the codes of all."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Shaped

from ternary_vae.errors import UserError
from ternary_vae.pretrained.configuration import Architecture
from ternary_vae.pretrained.files import ModelFiles

Side = Literal["A", "B"]
SIDES: tuple[Side, ...] = ("A", "B")


class Networks:
    """Encoders and decoders of a model. What they answer is what those of `DualVAE` answer, up to rounding.

    Raises:
        UserError: weights that are damaged or not of this network.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._weights = files.arrays
        self._architecture: Architecture = files.configuration.architecture
        self.place = files.place
        for side in SIDES:
            try:
                self.decode(self.encode(np.zeros((1, 9)), side)[0], side)
            except (KeyError, ValueError, AttributeError) as failure:
                raise UserError(f"{self.place}: the weights do not fit the model: {failure}") from None

    def encode(
        self, tables: Shaped[np.ndarray, "n 9"], vae: Side
    ) -> tuple[Float32[np.ndarray, "n 16"], Float32[np.ndarray, "n 16"]]:
        """Means and log-variances of truth tables, given as values −1, 0, 1."""
        x = np.asarray(tables, dtype=np.float32)
        if vae == "B" and (middle := self._architecture.middle_value_b):
            x = (x + np.float32(1 - middle)) % np.float32(3) - np.float32(1)
        hidden = self._chain(f"encoder_{vae}.encoder", x, last_is_rectified=True)
        return self._linear(f"encoder_{vae}.fc_mu", hidden), self._linear(f"encoder_{vae}.fc_logvar", hidden)

    def decode(self, z: Float[np.ndarray, "n 16"], vae: Side) -> Float32[np.ndarray, "n 9 3"]:
        """Logits of the values −1, 0, 1 for each entry."""
        z = np.asarray(z, dtype=np.float32)
        if vae == "A":
            logits = self._chain("decoder_A.decoder", z)
        else:
            hidden = self._rectified(self._linear("decoder_B.fc_in", z))
            hidden = self._rectified(hidden + self._chain("decoder_B.residual1.block", hidden))
            hidden = hidden + self._chain("decoder_B.residual2.block", hidden)
            logits = self._linear("decoder_B.fc_out", hidden)
        return logits.reshape(len(z), -1, 3)

    def decoded_tables(self, z: Float[np.ndarray, "n 16"], vae: Side) -> Shaped[np.ndarray, "n 9"]:
        """The most likely truth tables, as values −1, 0, 1; of equally likely values the lowest."""
        return self.decode(z, vae).argmax(axis=-1).astype(np.int8) - np.int8(1)

    def _chain(self, name: str, x: np.ndarray, last_is_rectified: bool = False) -> np.ndarray:
        """Linear layers, which have even numbers, with ReLUs between them."""
        numbers = sorted(
            int(key.split(".")[-2]) for key in self._weights if key.startswith(f"{name}.") and key.endswith(".weight")
        )
        if not numbers:
            raise KeyError(f"{name}.0.weight")
        for number in numbers:
            x = self._linear(f"{name}.{number}", x)
            if last_is_rectified or number != numbers[-1]:
                x = self._rectified(x)
        return x

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    @staticmethod
    def _rectified(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0, out=x)
