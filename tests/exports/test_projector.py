"""What TensorBoard's own projector reads of it."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from ternary_vae import UserError
from ternary_vae.exports import projector
from ternary_vae.exports.embeddings import codes_of_all
from ternary_vae.exports.projector import write_projector
from ternary_vae.pretrained import Networks, find_model


def test_the_configuration_names_what_is_there(tmp_path):
    networks = Networks(find_model())
    write_projector(networks, tmp_path / "projector")
    place = tmp_path / "projector"
    configuration = text_format.Parse((place / "projector_config.pbtxt").read_text(encoding="utf-8"), ProjectorConfig())
    codes = codes_of_all(networks)
    assert [embedding.tensor_name for embedding in configuration.embeddings] == ["VAE-A", "VAE-B"]
    for embedding, side in zip(configuration.embeddings, "ab"):
        np.testing.assert_array_equal(
            np.loadtxt(place / embedding.tensor_path, delimiter="\t", dtype=np.float32), codes[f"mean_{side}"]
        )
        heading, *rows = (place / embedding.metadata_path).read_text(encoding="utf-8").splitlines()
        assert len(rows) == 19_683
        assert {row.count("\t") for row in (heading, *rows)} == {heading.count("\t")}
        shown = dict(zip(heading.split("\t"), rows[5681].split("\t")))
        assert (shown["index"], shown["names"], shown["commutative"]) == ("5681", "sum modulo 3; SUM", "True")


def test_nothing_is_overwritten(tmp_path, monkeypatch):
    """And nothing is computed to find that out."""
    monkeypatch.setattr(projector, "codes_of_all", None)
    (tmp_path / "gates.tsv").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"gates\.tsv: is there already and is not overwritten"):
        write_projector(Networks(find_model()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gates.tsv"]
