"""What the atlas's script works on, as plain JSON: posterior means and decoders, what is measured of each operation
and of the codes, and what holds of an operation whatever the model. Numbers are packed as base64, little-endian."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ternary_vae.gates.equivalence import EQUIVALENCES, classes
from ternary_vae.gates.properties import all_properties, known_properties
from ternary_vae.model import DualVAE
from ternary_vae.operations import all_operations
from ternary_vae.reports.latent_map import LatentMap, SideMap
from ternary_vae.reports.networks import decoder_program, in_shorts, packed, packed_homes
from ternary_vae.reports.page_data import gates_data
from ternary_vae.reports.structure_data import curve_data, entry_names, side_data
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.resolution.structure.axes import axes
from ternary_vae.resolution.structure.codes import AxisCode, Code, ModelCode
from ternary_vae.resolution.structure.distances import by_hamming
from ternary_vae.resolution.structure.records import DistanceAtHamming
from ternary_vae.space import TWO_INPUT_TERNARY

SPACE = TWO_INPUT_TERNARY
"""The space that the atlas shows."""


def atlas_data(model: DualVAE, latent_map: LatentMap) -> dict[str, Any]:
    """Everything the script needs. Row i of every array is operation i."""
    return {
        "noise": {"sigma": latent_map.noise_sigma, "draws": latent_map.noise_draws},
        "home": packed_homes(latent_map.home),
        "vaes": {
            "a": {**_side(latent_map.a, latent_map.noise_draws), "decoder": decoder_program(model.decoder_A)},
            "b": {**_side(latent_map.b, latent_map.noise_draws), "decoder": decoder_program(model.decoder_B)},
        },
        "structure": _structure(model, latent_map),
        **gates_data(SPACE),
        "properties": _properties(),
        "classes": [
            {"name": kind, "description": meaning, "least": packed(classes(SPACE, kind)[0], "<u2")}
            for kind, meaning in EQUIVALENCES.items()
        ],
    }


def _side(side: SideMap, draws: int) -> dict[str, Any]:
    """Means as 16-bit integers times a scale a dimension: within 1/65,534 of the largest of them."""
    means, scales = in_shorts(side.means)
    return {
        "means": packed(means, "<i2"),
        "scales": scales,
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
