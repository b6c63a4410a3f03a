"""`ternary-vae export …` as it is typed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ternary_vae import DualVAE
from ternary_vae.pretrained.files import shipped_directory


@pytest.fixture
def run(run_command):
    return partial(run_command, "export")


def test_embeddings_and_projector(run, tmp_path):
    """Of a model of the 27 gates of one input."""
    DualVAE(values=3, inputs=1).save_pretrained(tmp_path / "model")
    assert run("embeddings", tmp_path / "codes.npz", "--model", tmp_path / "model")[0] == 0
    assert run("projector", tmp_path / "projector", "--model", tmp_path / "model")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        projected = np.loadtxt(tmp_path / "projector" / "codes_b.tsv", dtype=np.float32)
        assert len(projected) == 27
        np.testing.assert_array_equal(codes["mean_b"], projected)


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
def test_what_is_refused_is_one_line(refused, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused("export", *arguments)
    assert not list(tmp_path.iterdir())
