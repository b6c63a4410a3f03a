"""Ternary VAE: all operations of a multi-valued logic as one continuous manifold, 19,683 ternary ones and others.

The names below are the public interface. They load on first use, so that importing the package imports neither torch
nor numpy.
"""

from __future__ import annotations

import importlib
from importlib import util
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `_PUBLIC` says; `as` tells type checkers that it is for others
    from ternary_vae.errors import UserError as UserError
    from ternary_vae.gates import Gate as Gate
    from ternary_vae.gates import data_frame as data_frame
    from ternary_vae.gates import find_gate as find_gate
    from ternary_vae.gates import find_gates as find_gates
    from ternary_vae.gates.names import named_gate_index as named_gate_index
    from ternary_vae.model import DualVAE as DualVAE
    from ternary_vae.operations import all_operations as all_operations
    from ternary_vae.operations import operation_index as operation_index
    from ternary_vae.operations import operation_table as operation_table
    from ternary_vae.operations import random_operations as random_operations
    from ternary_vae.pretrained import FrozenEncoder as FrozenEncoder
    from ternary_vae.pretrained.transformer import GateTransformer as GateTransformer
    from ternary_vae.recipe import Recipe as Recipe
    from ternary_vae.recipe import load_recipe as load_recipe
    from ternary_vae.resolution.samples import measure_samples as measure_samples
    from ternary_vae.space import Space as Space
    from ternary_vae.space_recipe import recipe_for_space as recipe_for_space
    from ternary_vae.storage.checkpoints import load_checkpoint as load_checkpoint
    from ternary_vae.storage.checkpoints import load_model as load_model
    from ternary_vae.training.loop import train as train

try:
    __version__ = version("ternary-vae")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

_PUBLIC = {
    "DualVAE": "ternary_vae.model",
    "FrozenEncoder": "ternary_vae.pretrained",
    "Gate": "ternary_vae.gates",
    "GateTransformer": "ternary_vae.pretrained.transformer",
    "Recipe": "ternary_vae.recipe",
    "Space": "ternary_vae.space",
    "UserError": "ternary_vae.errors",
    "all_operations": "ternary_vae.operations",
    "data_frame": "ternary_vae.gates",
    "find_gate": "ternary_vae.gates",
    "find_gates": "ternary_vae.gates",
    "load_checkpoint": "ternary_vae.storage.checkpoints",
    "load_model": "ternary_vae.storage.checkpoints",
    "load_recipe": "ternary_vae.recipe",
    "measure_samples": "ternary_vae.resolution.samples",
    "named_gate_index": "ternary_vae.gates.names",
    "operation_index": "ternary_vae.operations",
    "operation_table": "ternary_vae.operations",
    "random_operations": "ternary_vae.operations",
    "recipe_for_space": "ternary_vae.space_recipe",
    "train": "ternary_vae.training.loop",
}

_OF_OTHERS = {"GateTransformer": "sklearn"}
"""Public name → the package that it needs and that may be missing."""

if not TYPE_CHECKING:  # type checkers would take any name for public
    __all__ = ["__version__"]  # what `import *`, `help` and `dir` load
    __all__ += [name for name in _PUBLIC if name not in _OF_OTHERS or util.find_spec(_OF_OTHERS[name])]

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_PUBLIC[name]), name)

    def __dir__() -> list[str]:
        return sorted(__all__)
