"""One checkpoint with fixed random weights, measured once for all tests that only read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from few_draws import draw_few
from ternary_vae.model import DualVAE
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A native checkpoint, named as a run names it."""
    recipe = load_recipe("resolution", overrides={"data.train_share": 0.8, "data.validation_share": 0.1})
    with torch.random.fork_rng():
        torch.manual_seed(6)
        weights = DualVAE.of(recipe).state_dict()
    path = tmp_path_factory.mktemp("checkpoints") / "epoch_3.safetensors"
    save_checkpoint(path, Checkpoint(3, 3, recipe, weights, state={"rho": 0.3}, code_version="test"))
    return path


@pytest.fixture(scope="session")
def small_checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of a space of 256 operations."""
    recipe = load_recipe(overrides={"space.values": 4, "space.inputs": 1})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = DualVAE.of(recipe).state_dict()
    path = tmp_path_factory.mktemp("checkpoints") / "epoch_3.safetensors"
    save_checkpoint(path, Checkpoint(3, 3, recipe, weights))
    return path


@pytest.fixture(scope="session")
def records(checkpoint_file: Path) -> tuple[IsolatedRecord, CoupledRecord]:
    """Both benchmarks of that checkpoint, seed 0, with few draws."""
    checkpoint = load_checkpoint(checkpoint_file)
    with pytest.MonkeyPatch.context() as patch:
        draw_few(patch.setattr)
        return measure_isolated(checkpoint), measure_coupled(checkpoint)
