"""What the atlas's script works on, as plain JSON: posterior means and decoders, what is measured of each operation
and of the codes, and what holds of an operation whatever the model. Numbers are packed as base64, little-endian."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ternary_vae.gates.equivalence import EQUIVALENCES, classes
from ternary_vae.gates.names import HEPTAVINTIMAL, Gate, named_forms
from ternary_vae.gates.properties import all_properties, known_properties
from ternary_vae.model import DualVAE
from ternary_vae.model.networks import DecoderA, DecoderB
from ternary_vae.operations import all_operations
from ternary_vae.reports.latent_map import LatentMap, SideMap
from ternary_vae.reports.structure_data import curve_data, entry_names, side_data
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.resolution.structure.axes import axes
from ternary_vae.resolution.structure.codes import AxisCode, Code, ModelCode
from ternary_vae.resolution.structure.distances import by_hamming
from ternary_vae.resolution.structure.records import DistanceAtHamming
from ternary_vae.space import TWO_INPUT_TERNARY

_SHORT = 32_767
SPACE = TWO_INPUT_TERNARY
"""The space that the atlas shows."""


def atlas_data(model: DualVAE, latent_map: LatentMap) -> dict[str, Any]:
    """Everything the script needs. Row i of every array is operation i."""
    return {
        "noise": {"sigma": latent_map.noise_sigma, "draws": latent_map.noise_draws},
        "home": packed(np.array([2, 0, 1])[latent_map.home], "u1"),  # A, B, neither: 1, −1 and 0 as indices
        "vaes": {
            "a": {**_side(latent_map.a, latent_map.noise_draws), "decoder": decoder_program(model.decoder_A)},
            "b": {**_side(latent_map.b, latent_map.noise_draws), "decoder": decoder_program(model.decoder_B)},
        },
        "structure": _structure(model, latent_map),
        "alphabet": HEPTAVINTIMAL,
        "names": _names(),
        "forms": named_forms(SPACE),
        "properties": _properties(),
        "classes": [
            {"name": kind, "description": meaning, "least": packed(classes(SPACE, kind)[0], "<u2")}
            for kind, meaning in EQUIVALENCES.items()
        ],
    }


def decoder_program(decoder: DecoderA | DecoderB) -> list[dict[str, Any]]:
    """A decoder as steps for an interpreter that holds one vector: `linear` (weights row by row, then biases, both
    float32), `relu`, `keep` a copy of the vector, and `add` the copy kept last."""
    if isinstance(decoder, DecoderA):
        return [_linear(layer) if isinstance(layer, nn.Linear) else {"do": "relu"} for layer in decoder.decoder]
    return [
        _linear(decoder.fc_in), {"do": "relu"},
        *_residual(decoder.residual1.block), {"do": "relu"},
        *_residual(decoder.residual2.block),
        _linear(decoder.fc_out),
    ]  # fmt: skip


def packed(values: np.ndarray, kind: str) -> str:
    """Numbers of one kind as base64."""
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()


def _residual(block: nn.Sequential) -> list[dict[str, Any]]:
    return [{"do": "keep"}, _linear(block[0]), {"do": "relu"}, _linear(block[2]), {"do": "add"}]


def _linear(layer: nn.Module) -> dict[str, Any]:
    weight, bias = (_float32(tensor) for tensor in (layer.weight, layer.bias))
    return {"do": "linear", "inputs": weight.shape[1], "weight": packed(weight, "<f4"), "bias": packed(bias, "<f4")}


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _side(side: SideMap, draws: int) -> dict[str, Any]:
    """Means as 16-bit integers times a scale a dimension: within 1/65,534 of the largest of them."""
    reach = np.maximum(np.abs(side.means).max(axis=0), 1e-12)
    return {
        "means": packed(np.rint(side.means / reach * _SHORT), "<i2"),
        "scales": [float(f"{value / _SHORT:.9g}") for value in reach],
        "centre": side.centre.tolist(),
        "axes": side.axes.T.tolist(),
        "variance": side.variance.tolist(),
        "errors": packed(side.errors, "u1"),
        "neighbour": packed(side.neighbour_distance, "u1"),
        "exact": packed(np.rint(side.exact_under_noise * draws), "<u2"),
    }


def _structure(model: DualVAE, latent_map: LatentMap) -> dict[str, Any]:
    """What each dimension of either code carries, and distance by Hamming distance beside that of ideal axes."""
    tables = all_operations()

    def curve(code: Code) -> list[DistanceAtHamming]:
        return by_hamming(code, named_generator(0, "atlas distances", "cpu"))

    def side(code: ModelCode, means: np.ndarray) -> dict[str, Any]:
        return side_data(axes(tables, torch.from_numpy(means).double(), SPACE), curve(code))

    return {
        "entries": entry_names(SPACE),
        "a": side(ModelCode(model, "A"), latent_map.a.means),
        "b": side(ModelCode(model, "B"), latent_map.b.means),
        "ideal": curve_data(curve(AxisCode(SPACE))),
    }


def _names() -> dict[int, list[str]]:
    return {index: gate.names for index in range(SPACE.operations) if (gate := Gate(SPACE, index)).names}


def _properties() -> list[dict[str, Any]]:
    """Each property with what it means: a bit an operation, the first the lowest of its byte, or a byte."""
    computed = all_properties(SPACE)
    listed = []
    for name, known in known_properties(SPACE).items():
        values = computed[name]
        one = {"name": name, "description": known.description}
        if values.dtype == bool:
            one["bits"] = packed(np.packbits(values, bitorder="little"), "u1")
        else:
            one["values"] = packed(values, "u1")
        listed.append(one)
    return listed
