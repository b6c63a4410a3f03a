"""Encoders and decoders as steps that a page's script computes. Numbers are packed as base64, little-endian."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from torch import nn

from ternary_vae.model import DualVAE
from ternary_vae.model.networks import DecoderA, DecoderB, Encoder

MOST_NUMBERS = 4_000_000
"""Weights and biases that a page may hold: 21 MB as base64."""
_SHORT = 32_767


def networks_data(model: DualVAE) -> dict[str, Any]:
    """Both VAEs' networks by side, `a` and `b`: `middle_value`, see `Encoder`, and the programs of its posterior mean,
    `encoder`, and of its logits, `decoder`."""
    return {
        name: {
            "middle_value": encoder.middle_value,
            "encoder": encoder_program(encoder),
            "decoder": decoder_program(decoder),
        }
        for name, encoder, decoder in (
            ("a", model.encoder_A, model.decoder_A),
            ("b", model.encoder_B, model.decoder_B),
        )
    }


def numbers_of(model: DualVAE) -> int:
    """Weights and biases that `networks_data` holds."""
    parts = (model.decoder_A, model.decoder_B, *(
        part for encoder in (model.encoder_A, model.encoder_B) for part in (encoder.encoder, encoder.fc_mu)
    ))  # fmt: skip
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def encoder_program(encoder: Encoder) -> list[dict[str, Any]]:
    """From a truth table as the encoder reads it, see `Encoder.as_read`, to the posterior mean; steps as those of
    `decoder_program`."""
    return [*_sequential(encoder.encoder), _linear(encoder.fc_mu)]


def decoder_program(decoder: DecoderA | DecoderB) -> list[dict[str, Any]]:
    """A decoder as steps for an interpreter that holds one vector: `linear` (weights row by row, then biases, both
    float32), `relu`, `keep` a copy of the vector, and `add` the copy kept last."""
    if isinstance(decoder, DecoderA):
        return _sequential(decoder.decoder)
    return [
        _linear(decoder.fc_in), {"do": "relu"},
        *_residual(decoder.residual1.block), {"do": "relu"},
        *_residual(decoder.residual2.block),
        _linear(decoder.fc_out),
    ]  # fmt: skip


def packed(values: np.ndarray, kind: str) -> str:
    """Numbers of one kind as base64."""
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()


def in_shorts(values: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Whole numbers of 16 bits and the scale of each column: within 1/65,534 of its largest."""
    reach = np.maximum(np.abs(values).max(axis=0), 1e-12)
    return np.rint(values / reach * _SHORT), [float(f"{value / _SHORT:.9g}") for value in reach]


def packed_homes(home: np.ndarray) -> str:
    """1 of A, −1 of B and 0 of neither, as indices 0, 1 and 2."""
    return packed(np.array([2, 0, 1])[home], "u1")


def _sequential(layers: nn.Sequential) -> list[dict[str, Any]]:
    return [_linear(layer) if isinstance(layer, nn.Linear) else {"do": "relu"} for layer in layers]


def _residual(block: nn.Sequential) -> list[dict[str, Any]]:
    return [{"do": "keep"}, _linear(block[0]), {"do": "relu"}, _linear(block[2]), {"do": "add"}]


def _linear(layer: nn.Module) -> dict[str, Any]:
    weight, bias = (tensor.detach().float().cpu().numpy() for tensor in (layer.weight, layer.bias))
    return {"do": "linear", "inputs": weight.shape[1], "weight": packed(weight, "<f4"), "bias": packed(bias, "<f4")}
