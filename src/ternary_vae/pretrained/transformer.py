"""A trained encoder as a step of a scikit-learn pipeline (`pip install 'ternary-vae[scikit-learn]'`)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float32

from ternary_vae.errors import not_installed
from ternary_vae.pretrained.encoder import FrozenEncoder, Gates
from ternary_vae.pretrained.files import DEFAULT

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise not_installed("GateTransformer", "scikit-learn", "scikit-learn") from None


class GateTransformer(TransformerMixin, BaseEstimator):
    """Truth tables → codes. Nothing is learned: `fit` loads the model.

    Args:
        model, vae: as `FrozenEncoder` takes them.

    Attributes:
        n_features_in_: how many columns were fitted, where there were rows and columns.
    """

    def __init__(self, model: str | Path = DEFAULT, vae: Literal["A", "B", "both"] = "A") -> None:
        self.model = model
        self.vae = vae

    def fit(self, X: Gates, y: Any = None) -> Self:
        """Loads the model.

        Raises:
            UserError: as `FrozenEncoder`.
        """
        self.encoder_ = FrozenEncoder(self.model, self.vae)
        with suppress(ValueError):  # rows of different lengths: `transform` says so
            if len(shape := np.shape(X)) == 2:
                self.n_features_in_ = shape[1]
        return self

    def transform(self, X: Gates) -> Float32[np.ndarray, "n d"]:
        """Codes of gates, given as names or as truth tables of shape (n, entries).

        Raises:
            UserError: as `FrozenEncoder.encode`.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self.encoder_.encode(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """`mean_a_0`, …: the columns of `ternary-vae export embeddings`."""
        check_is_fitted(self)
        return np.array(self.encoder_.feature_names, dtype=object)
