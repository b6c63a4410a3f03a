"""An atlas of a model with random weights, and the atlas's own script outside its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from few_draws import distances_to_few, noise_draws
from in_browser import scripted
from ternary_vae.atlas.data import atlas_data
from ternary_vae.atlas.page import PACKAGE, SHARED_PARTS, write_atlas
from ternary_vae.model import DualVAE
from ternary_vae.reports import latent_map as maps
from ternary_vae.reports.page_data import script_safe_json
from ternary_vae.reports.self_contained import asset

SCRIPTED = ("unpack", "decode", "find")


@pytest.fixture(scope="module", autouse=True)
def _quick_maps() -> Iterator[None]:
    with distances_to_few():
        yield


@pytest.fixture(scope="session")
def model() -> DualVAE:
    """Random weights, three times as large as usual, so that decoders answer with many gates; and fewer dimensions than
    the plan's, which the pretrained model has."""
    torch.manual_seed(5)
    model = DualVAE(latent_dimensions=14).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


@pytest.fixture(scope="session")
def placed(model: DualVAE) -> maps.LatentMap:
    with noise_draws(4), distances_to_few():
        return maps.latent_map(model)


@pytest.fixture(scope="session")
def atlas_file(model: DualVAE, placed: maps.LatentMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_atlas(
        model, placed, "a model <b>of</b> random weights", tmp_path_factory.mktemp("atlas") / "atlas.html"
    )


@pytest.fixture(scope="session")
def script(browser: Any, model: DualVAE, placed: maps.LatentMap) -> Iterator[Callable[..., Any]]:
    """See `scripted`."""
    parts = [asset(f"{name}.js") for name in SHARED_PARTS if name != "theme"]
    parts += [asset(f"{name}.js", PACKAGE) for name in SCRIPTED]
    with scripted(browser, script_safe_json(atlas_data(model, placed)), parts) as run:
        yield run
