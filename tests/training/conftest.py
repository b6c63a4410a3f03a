"""Small runs: few epochs, large batches, a fifth of the operations trained on, few coverage draws."""

from __future__ import annotations

import shutil

import pytest

from ternary_vae.recipe import load_recipe
from ternary_vae.training import loop

SMALL = {
    "data.train_share": 0.2,
    "data.validation_share": 0.1,
    "optimizer.batch_size": 1024,
    "objective.prior_information.draws": 128,
    "objective.specialisation.start_epoch": 1,
    "evaluation.coverage_draws": 2000,
    "evaluation.full_coverage_draws": None,
    "evaluation.noise_draws": 1,
    "evaluation.milestones": [2],
    "statenet.validation_batch": 256,
}


@pytest.fixture(scope="session")
def small_recipe():
    """A function: recipe name, epochs and dotted changes → a recipe whose epochs take a fraction of a second."""

    def make(name="resolution", epochs=3, seed=None, **changes):
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        return load_recipe(name, overrides=SMALL | dotted, epochs=epochs, seed=seed)

    return make


@pytest.fixture(scope="session")
def quick_train():
    """`train` on the CPU without benchmarks of milestones."""

    def run(recipe, directory, **options):
        return loop.train(recipe, directory, device="cpu", **{"benchmark_milestones": False, **options})

    return run


@pytest.fixture(scope="session")
def quick_resume():
    """`resume` on the CPU without benchmarks of milestones."""

    def run(directory, **options):
        return loop.resume(directory, device="cpu", **{"benchmark_milestones": False, **options})

    return run


@pytest.fixture(scope="session")
def _four_epochs(tmp_path_factory, small_recipe, quick_train):
    place = tmp_path_factory.mktemp("finished") / "run"
    quick_train(small_recipe(epochs=4), place)
    return place


@pytest.fixture
def finished_run(_four_epochs, tmp_path):
    """Path of a copy of a finished run: four epochs of the default recipe, never interrupted."""
    return shutil.copytree(_four_epochs, tmp_path / "finished")
