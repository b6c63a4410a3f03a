"""Ternary VAE: all 19,683 ternary logic operations as one continuous manifold.

The names below load on first use, so that importing the package does not import torch.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("ternary-vae")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

_PUBLIC = {
    "DualVAE": "ternary_vae.model",
    "FrozenEncoder": "ternary_vae.pretrained",
    "Recipe": "ternary_vae.recipe",
    "UserError": "ternary_vae.errors",
    "all_operations": "ternary_vae.operations",
    "load_checkpoint": "ternary_vae.storage.checkpoints",
    "load_model": "ternary_vae.storage.checkpoints",
    "load_recipe": "ternary_vae.recipe",
    "named_gate_index": "ternary_vae.gates.names",
    "operation_index": "ternary_vae.operations",
    "operation_table": "ternary_vae.operations",
    "train": "ternary_vae.training.loop",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
