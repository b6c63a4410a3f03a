"""On a CUDA device: nothing in a training step waits for the host, and outcomes agree with the CPU."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.recipe import load_recipe
from ternary_vae.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SHORT = {"optimizer.batch_size": 4096, "evaluation.full_coverage_draws": None}


@pytest.mark.parametrize("recipe_name", ["resolution", "ternary_v5_5"])
def test_no_training_step_waits_for_the_host(recipe_name):
    trainer = Trainer(load_recipe(recipe_name, overrides=SHORT), "cuda")
    trainer.train_epoch()  # the first steps allocate and choose kernels
    controls, _ = trainer._controls(trainer.epochs_completed)
    batch = trainer.training_index[:4096]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for with_prior in (True, False):
            trainer._step(batch, controls, with_prior and recipe_name == "resolution", look_ahead=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_losses_fall_as_on_the_cpu():
    recipe = load_recipe("resolution", overrides=SHORT)
    trainers = [Trainer(recipe, device) for device in ("cpu", "cuda")]
    rows = [[trainer.train_epoch()["terms"]["loss"] for _ in range(5)] for trainer in trainers]
    assert rows[1][-1] < rows[1][0]
    assert rows[1][-1] == pytest.approx(rows[0][-1], rel=0.2)
