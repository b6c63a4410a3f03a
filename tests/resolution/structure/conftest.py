"""One record of a checkpoint with random weights, measured once, and a checkpoint of a space of 256 operations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ternary_vae.model import DualVAE
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.structure.measure import measure_structure
from ternary_vae.resolution.structure.records import StructureRecord
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture(scope="session")
def small_checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = load_recipe(overrides={"space.values": 4, "space.inputs": 1})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = DualVAE.of(recipe).state_dict()
    path = tmp_path_factory.mktemp("checkpoints") / "epoch_3.safetensors"
    save_checkpoint(path, Checkpoint(3, 3, recipe, weights))
    return path


@pytest.fixture(scope="session")
def record(checkpoint_file: Path) -> StructureRecord:
    return measure_structure(load_checkpoint(checkpoint_file))
