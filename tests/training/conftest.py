"""Small runs: few epochs, a space of 3,125 operations, few coverage draws, one thread."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace

import pytest
import torch

from few_draws import SMALL_SPACE
from ternary_vae.recipe import load_recipe
from ternary_vae.storage.checkpoints import checkpoint_bytes, load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import loop
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.progress import Silent
from v5_5_files import v5_5_content

SMALL = {
    "data.train_share": 0.1,
    "data.validation_share": 0.1,
    "optimizer.batch_size": 512,
    "optimizer.first_batches": {"epochs": 1, "size": 256},
    "optimizer.matrix_products": "highest",
    "objective.prior_information.draws": 128,
    "objective.prior_information.subset_entries": 5,
    "evaluation.coverage_draws": 2000,
    "evaluation.full_coverage_draws": None,
    "evaluation.noise_draws": 1,
    "evaluation.milestones": [2],
}


@pytest.fixture(scope="session")
def small_recipe():
    """A function: recipe name, epochs and dotted changes → a recipe whose epochs take a fraction of a second. It is
    one of 3,125 operations; only recipes of another space than the plan's keep their own."""

    def make(name="resolution", epochs=3, seed=None, **changes):
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        space = SMALL_SPACE if load_recipe(name).space == load_recipe().space else {}
        return load_recipe(name, overrides=SMALL | space | dotted, epochs=epochs, seed=seed)

    return make


@pytest.fixture(scope="session")
def plans_recipe(small_recipe):
    """As `small_recipe`, of the plan's space."""
    plans = {"space__values": 3, "space__inputs": 2, "data__train_share": 0.1}
    return lambda *given, **changes: small_recipe(*given, **{**plans, **changes})


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
        return loop.resume(directory, device=torch.device("cpu"), **{"benchmark_milestones": False, **options})

    return run


@pytest.fixture(scope="session")
def _three_epochs(tmp_path_factory, small_recipe, quick_train):
    place = tmp_path_factory.mktemp("finished") / "run"
    quick_train(small_recipe(epochs=3), place)
    return place


@pytest.fixture
def finished_run(_three_epochs, tmp_path):
    """Path of a copy of a finished run: three epochs of the default recipe, never interrupted."""
    return shutil.copytree(_three_epochs, tmp_path / "finished")


class Stopper(Silent):
    """Sends this process a signal while a given epoch is being trained, which is then the last."""

    def __init__(self, after, number=signal.SIGINT, times=1):
        self.after, self.number, self.times = after, number, times

    def start(self, recipe, epochs_completed, place, benchmarks):
        self.train_epoch = train_epoch = Trainer.train_epoch

        def interrupted(trainer, *how):
            if trainer.epochs_completed + 1 == self.after:
                for _ in range(self.times):
                    signal.raise_signal(self.number)
            return train_epoch(trainer, *how)

        Trainer.train_epoch = interrupted

    def stop(self):
        Trainer.train_epoch = self.train_epoch


@pytest.fixture(scope="session")
def stopper():
    return Stopper


@pytest.fixture(scope="session")
def state_of():
    """A function: bytes of a checkpoint, leaving out which code wrote it (a working tree may change meanwhile)."""

    def read(path):
        return checkpoint_bytes(replace(load_checkpoint(path), code_version=""))

    return read


@pytest.fixture(scope="session")
def rows_of():
    """A function: rows of a run's metrics without their times."""

    def read(directory):
        return [
            {key: value for key, value in row.items() if not key.startswith("seconds_")}
            for row in RunDirectory(directory).metrics()
        ]

    return read


@pytest.fixture(scope="session")
def v5_5_file(tmp_path_factory):
    """Path of a v5.5 checkpoint of epoch 20, with its gate open."""
    content, _, _ = v5_5_content(seed=5)
    content["grad_balance_achieved"] = True
    path = tmp_path_factory.mktemp("v5_5") / "epoch_20.pt"
    torch.save(content, path)
    return path
