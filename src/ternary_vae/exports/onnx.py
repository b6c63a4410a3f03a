"""A model's encoders, decoders and ensembles as ONNX, for any number of gates at once."""

from __future__ import annotations

import importlib
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from ternary_vae.errors import not_installed
from ternary_vae.model import STRATEGIES, DualVAE
from ternary_vae.model.networks import Encoder
from ternary_vae.operations import random_operations
from ternary_vae.space import Space
from ternary_vae.storage.files import require_absent, write_together


class _Encoder(nn.Module):
    def __init__(self, encoder: Encoder, space: Space) -> None:
        super().__init__()
        self.encoder, self.space = encoder, space

    def forward(
        self, tables: Float[Tensor, "n entries"]
    ) -> tuple[Float[Tensor, "n latent"], Float[Tensor, "n latent"]]:
        return self.encoder(self.space.as_input(tables))


class _Ensemble(nn.Module):
    def __init__(self, model: DualVAE, strategy: str) -> None:
        super().__init__()
        self.model, self.strategy = model, strategy

    def forward(self, tables: Float[Tensor, "n entries"]) -> Int8[Tensor, "n entries"]:
        return self.model.ensemble_reconstruct(tables, self.strategy).to(torch.int8)


def write_onnx(model: DualVAE, directory: Path) -> list[Path]:
    """Writes `encoder_a.onnx` (`tables` → `mean`, `log_variance`), `decoder_a.onnx` (`z` → `logits` of the values, the
    lowest first), the same of b, and `ensemble_STRATEGY.onnx` (`tables` → `reconstruction`, int8) for every strategy.
    Tables are float32 of the space's values, such as −1, 0, 1, and of shape (n, entries), z is float32 (n, latent), as
    are mean and log-variance, logits are (n, entries, values); n is free. A model in training stays so.
    Returns the files.

    Raises:
        UserError: onnx or onnxscript is not installed, one of the files is there already, or they cannot be written.
    """
    directory = Path(directory)
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise not_installed("ONNX", package, "export") from None
    example = random_operations(3, model.space, torch.Generator().manual_seed(0)).float()
    parts: dict[str, tuple[nn.Module, str, Tensor, list[str]]] = {}
    for side, encoder, decoder in (
        ("a", model.encoder_A, model.decoder_A),
        ("b", model.encoder_B, model.decoder_B),
    ):
        parts[f"encoder_{side}"] = _Encoder(encoder, model.space), "tables", example, ["mean", "log_variance"]
        parts[f"decoder_{side}"] = decoder, "z", torch.zeros(3, model.sizes.latent_dimensions), ["logits"]
    for name in STRATEGIES:
        parts[f"ensemble_{name}"] = _Ensemble(model, name), "tables", example, ["reconstruction"]
    files = {name: directory / f"{name}.onnx" for name in parts}
    require_absent(*files.values())
    training = [module for module in model.modules() if module.training]
    try:
        write_together({files[name]: _onnx_bytes(*part) for name, part in parts.items()}, new=True)
    finally:
        for module in training:
            module.training = True
    return list(files.values())


@torch.no_grad()
def _onnx_bytes(part: nn.Module, input_name: str, example: Tensor, output_names: list[str]) -> bytes:
    disabled = logging.root.manager.disable
    logging.disable(max(disabled, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what the exporter itself calls
            program: Any = torch.onnx.export(
                part.eval(), (example,), dynamo=True, verbose=False, input_names=[input_name],
                output_names=output_names, dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
    finally:
        logging.disable(disabled)
    return program.model_proto.SerializeToString()
