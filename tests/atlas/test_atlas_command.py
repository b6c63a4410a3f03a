"""`ternary-vae atlas` as it is typed."""

from __future__ import annotations

import os
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from few_draws import noise_draws
from ternary_vae.model import DualVAE
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import latent_map as maps
from ternary_vae.reports.networks import decoder_program
from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint


@pytest.fixture
def run(run_command):
    return partial(run_command, "atlas")


@pytest.fixture
def checkpoint(model: DualVAE, tmp_path: Path) -> Path:
    path = tmp_path / "epoch_1.safetensors"
    recipe = load_recipe("ternary_v5_5", overrides={"model.latent_dimensions": model.sizes.latent_dimensions})
    save_checkpoint(path, Checkpoint(1, 1, recipe, model.state_dict()))
    return path


def test_it_writes_a_page(run, checkpoint, tmp_path) -> None:
    output = tmp_path / "new" / "atlas.html"
    with noise_draws(1):
        code, out, error = run("--checkpoint", checkpoint, "--output", output)
    assert (code, error) == (0, "")
    assert output.resolve().as_uri() in out
    text = output.read_text(encoding="utf-8")
    assert re.search(r"epoch_1\.safetensors: recipe ternary_v5_5, after 1 epoch\b", text)
    assert len(text) < 4e6


def test_without_a_checkpoint_the_pretrained_model_replaces_an_older_atlas(
    run, atlas_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(atlas_file, "atlas.html")
    with noise_draws(1):
        assert run()[0] == 0
    text = Path("atlas.html").read_text(encoding="utf-8")
    assert "pretrained model resolution: recipe resolution, seed 42, after 400 epochs" in text
    decoder = DualVAE.from_pretrained().decoder_B
    assert all(step.get("weight", "") in text for step in decoder_program(decoder))


class TestRefused:
    @pytest.fixture(autouse=True)
    def nothing_is_computed(self, monkeypatch) -> None:
        monkeypatch.setattr(maps, "latent_map", None)
        monkeypatch.setattr(maps, "latent_map_of_checkpoint", None)

    def test_no_such_checkpoint(self, refused, tmp_path) -> None:
        line = refused("atlas", "--checkpoint", tmp_path / "none.safetensors", "-o", tmp_path / "atlas.html")
        assert "none.safetensors: checkpoint not found" in line

    def test_no_such_model(self, refused, tmp_path) -> None:
        line = refused("atlas", "--model", "resolutoin", "-o", tmp_path / "atlas.html")
        assert "no such model; did you mean 'resolution'?" in line

    def test_two_models(self, refused, checkpoint) -> None:
        line = refused("atlas", "--model", "resolution", "--checkpoint", checkpoint)
        assert "--model and --checkpoint name a model each" in line

    def test_a_file_that_is_no_checkpoint(self, refused, tmp_path) -> None:
        (tmp_path / "odd.safetensors").write_bytes(b"odd")
        assert "odd.safetensors" in refused(
            "atlas", "--checkpoint", tmp_path / "odd.safetensors", "-o", tmp_path / "a.html"
        )

    def test_a_directory_in_the_way(self, refused, checkpoint, tmp_path) -> None:
        line = refused("atlas", "--checkpoint", checkpoint, "-o", tmp_path)
        assert f"cannot write {tmp_path}: it is a directory; name a file" in line

    def test_a_file_among_the_parents(self, refused, checkpoint) -> None:
        assert "is a file, not a directory" in refused(
            "atlas", "--checkpoint", checkpoint, "-o", checkpoint / "atlas.html"
        )

    def test_a_place_that_cannot_be_written(self, refused, checkpoint, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
        assert f"no permission in {tmp_path}" in refused(
            "atlas", "--checkpoint", checkpoint, "-o", tmp_path / "atlas.html"
        )

    def test_a_file_that_is_no_atlas_is_not_replaced(self, refused, checkpoint, tmp_path) -> None:
        (tmp_path / "thesis.html").write_text("<title>mine</title>")
        line = refused("atlas", "--checkpoint", checkpoint, "-o", tmp_path / "thesis.html")
        assert "exists and is no atlas; name another file with --output" in line
        assert (tmp_path / "thesis.html").read_text() == "<title>mine</title>"
