"""Synthetic run directories for the report tests; see `synthetic_runs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from synthetic_runs import (
    ENVIRONMENT,
    MILESTONES,
    synthetic_coupled,
    synthetic_events,
    synthetic_isolated,
    synthetic_metrics,
    write_lines,
)

from few_draws import distances_to_few, noise_draws
from ternary_vae.model import DualVAE
from ternary_vae.recipe import Recipe, load_recipe
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint
from ternary_vae.storage.runs import RunDirectory


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunDirectory]:
    """Makes a synthetic run directory.

    Keyword arguments: recipe (a Recipe), fails (collapse in phase 4), epochs, milestones, checkpoint (whether a
    model with a fixed seed is saved as best and latest).
    """

    def make(
        recipe: Recipe | None = None,
        *,
        fails: bool = False,
        epochs: int = 400,
        milestones: tuple[int, ...] = MILESTONES,
        checkpoint: bool = False,
    ) -> RunDirectory:
        recipe = recipe or load_recipe("ternary_v5_5").model_copy(update={"name": "synthetic"})
        run = RunDirectory(tmp_path_factory.mktemp("run") / recipe.name)
        run.create(
            recipe,
            {
                "device": "cpu", "environment": ENVIRONMENT, "started_at": "2026-01-02T03:04:05+00:00",
                "finished_at": "2026-01-02T03:07:05+00:00", "seconds": 180.0,
                "status": "completed" if epochs == recipe.epochs else "interrupted",
            },
        )  # fmt: skip
        write_lines(run.metrics_file, synthetic_metrics(recipe, epochs, fails))
        write_lines(run.events_file, synthetic_events(fails, epochs))
        fingerprint = recipe.fingerprint()
        for epoch in milestones:
            write_record(run.isolated_record(epoch), synthetic_isolated(epoch, recipe, fails, fingerprint))
            write_record(run.coupled_record(epoch), synthetic_coupled(epoch, recipe, fails, fingerprint))
        if checkpoint:
            torch.manual_seed(5)
            weights = DualVAE.of(recipe).state_dict()
            for name in ("latest", "best"):
                saved = Checkpoint(epochs, epochs, recipe, weights, state={"rho": 0.7}, code_version="test")
                save_checkpoint(run.checkpoint(name), saved)
        return run

    return make


@pytest.fixture(scope="session")
def good_run(make_run: Callable[..., RunDirectory]) -> RunDirectory:
    """All nine milestones, both VAEs at 100%. Shared: do not write into it."""
    return make_run(checkpoint=True)


@pytest.fixture(scope="session")
def failing_run(make_run: Callable[..., RunDirectory]) -> RunDirectory:
    """All nine milestones, collapse in phase 4, one guard event. Shared: do not write into it."""
    return make_run(load_recipe("ternary_v5_5"), fails=True, checkpoint=True)


@pytest.fixture(scope="module", autouse=True)
def _coarse_figures(coarse_figures: int) -> None:
    """What is drawn here is looked at before it is a file, or not at all."""


@pytest.fixture(scope="module", autouse=True)
def _quick_maps() -> Iterator[None]:
    """A map says of each operation how often it was decoded exactly; no test here is about how well that is known, and
    only `test_latent_map` about which operation is nearest."""
    with noise_draws(4), distances_to_few():
        yield
