"""Trained models to use at once: their files, their cards, and their networks without torch.

Below are the models that the package ships, a directory each, made by `scripts/publish/publish_pretrained.py`.
"""

from ternary_vae.pretrained.configuration import Architecture, Configuration, Figure, Origin
from ternary_vae.pretrained.encoder import FrozenEncoder
from ternary_vae.pretrained.files import ModelFiles, find_model, read_model, shipped_models, write_model
from ternary_vae.pretrained.networks import Networks

__all__ = [
    "Architecture",
    "Configuration",
    "Figure",
    "FrozenEncoder",
    "ModelFiles",
    "Networks",
    "Origin",
    "find_model",
    "read_model",
    "shipped_models",
    "write_model",
]
