"""`ternary-vae export …` as it is typed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ternary_vae import DualVAE, cli
from ternary_vae.pretrained.files import shipped_directory


@pytest.fixture
def run(monkeypatch, capsys):
    """A function: arguments → (exit code, standard output, standard error), through the real entry point."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ternary-vae", "export", *map(str, arguments)])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code, *capsys.readouterr()

    return call


def test_embeddings_and_projector(run, tmp_path):
    assert run("embeddings", tmp_path / "codes.npz")[0] == 0
    assert run("projector", tmp_path / "projector")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        projected = np.loadtxt(tmp_path / "projector" / "codes_b.tsv", dtype=np.float32)
        np.testing.assert_array_equal(codes["mean_b"], projected)


def test_a_model_of_a_completed_run(run, tmp_path):
    from ternary_vae import load_model, load_recipe, train

    outcome = train(load_recipe("resolution", epochs=1, scale_phases=True, seed=3), tmp_path / "run", device="cpu")
    last = outcome.directory.checkpoint(1)
    assert run("model", tmp_path / "run", tmp_path / "model")[0] == 0
    model = DualVAE.from_pretrained(tmp_path / "model")
    expected, checkpoint = load_model(last)
    assert model.origin.checkpoint_sha256 == checkpoint.content_hash
    assert (model.origin.recipe, model.origin.seed, model.origin.epochs) == ("resolution", 3, 1)
    assert model.permeability == expected.permeability
    assert all((tensor == model.state_dict()[name]).all() for name, tensor in expected.state_dict().items())
    assert {figure.key for figure in model.origin.figures} >= {"exact_match_a", "coverage_rho_07", "half_sigma_b"}
    assert "Exact match of VAE-A" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    # Of a checkpoint nothing is known but its weights.
    assert run("model", last, tmp_path / "alone")[0] == 0
    assert DualVAE.from_pretrained(tmp_path / "alone").origin is None
    # A run that broke off has no model yet, and records must be of the checkpoint.
    code, _, told = run("model", tmp_path / "model", tmp_path / "other")
    assert (code, "holds no run" in told) == (2, True)
    last.write_bytes(outcome.directory.checkpoint(0).read_bytes())
    code, _, told = run("model", tmp_path / "run", tmp_path / "other")
    assert (code, told.count("\n"), "its records are of another checkpoint" in told) == (2, 1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("embeddings", "codes.xlsx"), "suffix '.xlsx' is no format; expected .parquet, .npz, .csv"),
        (("embeddings", "codes.csv", "--model", "resolutoin"), "no such model; did you mean 'resolution'?"),
        (("projector", "somewhere", "--model", "configs"), "no such model"),
        (("model", "nowhere", "somewhere"), "nowhere: checkpoint not found"),
        (("model", shipped_directory("resolution"), "somewhere"), "holds no run"),
    ],
)
def test_what_is_refused_is_one_line(run, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, told = run(*arguments)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert said in told
    assert not list(tmp_path.iterdir())
