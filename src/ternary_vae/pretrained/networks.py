"""The networks of a trained model in numpy, for what should not wait for torch: single gates, and the codes of all."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Shaped

from ternary_vae.errors import UserError
from ternary_vae.pretrained.configuration import Architecture
from ternary_vae.pretrained.files import ModelFiles
from ternary_vae.space import Space

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
        self.space = Space(self._architecture.values, self._architecture.inputs)
        self.place = files.place
        for side in SIDES:
            try:
                self.decode(self.encode(np.zeros((1, self.space.entries)), side)[0], side)
            except (KeyError, ValueError, AttributeError) as failure:
                raise UserError(f"{self.place}: the weights do not fit the model: {failure}") from None

    def encode(
        self, tables: Shaped[np.ndarray, "n entries"], vae: Side
    ) -> tuple[Float32[np.ndarray, "n latent"], Float32[np.ndarray, "n latent"]]:
        """Means and log-variances of truth tables, given as the space's values."""
        space, rotation = self.space, self._architecture.middle_value_b if vae == "B" else 0
        # As the encoder of B reads them: every value so many places further around their cycle.
        classes = (np.asarray(tables).astype(np.int64) - space.lowest - rotation) % space.values
        x = np.asarray(space.as_input((classes + space.lowest).astype(np.float32)), dtype=np.float32)
        hidden = self._chain(f"encoder_{vae}.encoder", x, last_is_rectified=True)
        return self._linear(f"encoder_{vae}.fc_mu", hidden), self._linear(f"encoder_{vae}.fc_logvar", hidden)

    def decode(self, z: Float[np.ndarray, "n latent"], vae: Side) -> Float32[np.ndarray, "n entries values"]:
        """Logits of the values, from the lowest, for each entry."""
        z = np.asarray(z, dtype=np.float32)
        if vae == "A":
            logits = self._chain("decoder_A.decoder", z)
        else:
            hidden = self._rectified(self._linear("decoder_B.fc_in", z))
            hidden = self._rectified(hidden + self._chain("decoder_B.residual1.block", hidden))
            hidden = hidden + self._chain("decoder_B.residual2.block", hidden)
            logits = self._linear("decoder_B.fc_out", hidden)
        return logits.reshape(len(z), -1, self.space.values)

    def decoded_tables(self, z: Float[np.ndarray, "n latent"], vae: Side) -> Shaped[np.ndarray, "n entries"]:
        """The most likely truth tables; of equally likely values the lowest."""
        return self.decode(z, vae).argmax(axis=-1).astype(np.int8) + np.int8(self.space.lowest)

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
