"""Codes of all gates as files, against the model and the data frame."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE, UserError
from ternary_vae.exports.embeddings import write_embeddings
from ternary_vae.gates.frame import gate_columns
from ternary_vae.operations import all_operations
from ternary_vae.pretrained import Networks, find_model


@pytest.fixture(scope="module")
def networks():
    return Networks(find_model())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model of the 27 gates of one input, saved and read again."""
    place = tmp_path_factory.mktemp("small")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        DualVAE(values=3, inputs=1).save_pretrained(place)
    return Networks(find_model(place))


def expected_of(networks):
    """The columns that say which gate it is, as lists of plain values, and what the model answers to each."""
    space = networks.space
    columns = {"index": np.arange(space.operations), **gate_columns(space)}
    with torch.no_grad():
        mu_a, logvar_a, mu_b, logvar_b = DualVAE.from_pretrained(networks.place).encode(all_operations(space=space))
    parts = {"mean_a": mu_a, "variance_a": logvar_a.exp(), "mean_b": mu_b, "variance_b": logvar_b.exp()}
    gates = {name: np.asarray(column).tolist() for name, column in columns.items()}
    return gates, {name: part.numpy() for name, part in parts.items()}


def compare(columns, gates, expected, matrices):
    """Holds columns by name against what they should be."""
    numbered = {name: [f"{name}_{number}" for number in range(part.shape[1])] for name, part in expected.items()}
    names = list(expected) if matrices else [each for some in numbered.values() for each in some]
    assert list(columns) == [*gates, *names]
    for name, column in gates.items():
        assert np.asarray(columns[name]).tolist() == column, name
    for name, part in expected.items():
        actual = columns[name] if matrices else np.stack([columns[each] for each in numbered[name]], axis=1)
        np.testing.assert_allclose(actual, part, atol=2e-5)


def test_npz(small, tmp_path):
    write_embeddings(small, tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as actual:
        assert actual["mean_a"].dtype == np.float32
        compare(dict(actual), *expected_of(small), matrices=True)


def test_parquet(networks, tmp_path):
    """Of the shipped model: all 19,683 gates."""
    parquet = pytest.importorskip("pyarrow.parquet")
    write_embeddings(networks, tmp_path / "codes.parquet")
    table = parquet.read_table(tmp_path / "codes.parquet")
    gates, expected = expected_of(networks)
    assert len(gates["index"]) == 19_683
    compare({name: table[name].to_numpy() for name in table.column_names}, gates, expected, matrices=False)
    assert str(table.schema.field("commutative").type) == "bool"
    assert str(table.schema.field("mean_a_0").type) == "float"


def test_csv(small, tmp_path):
    gates, expected = expected_of(small)
    write_embeddings(small, tmp_path / "codes.csv")
    assert b"\r" not in (tmp_path / "codes.csv").read_bytes()
    with open(tmp_path / "codes.csv", encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    readings = {bool: {"True": True, "False": False}.__getitem__, int: int, str: str}
    kinds = {name: type(column[0]) for name, column in gates.items()}
    columns = {name: list(map(readings.get(kinds.get(name), float), column)) for name, column in zip(names, zip(*rows))}
    compare(columns, gates, expected, matrices=False)


def test_what_is_refused(networks, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"suffix '.xlsx' is no format; expected .parquet, .npz, .csv"):
        write_embeddings(networks, tmp_path / "codes.xlsx")
    (tmp_path / "codes.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"codes\.csv: is there already and is not overwritten; name another file"):
        write_embeddings(networks, tmp_path / "codes.csv")
    assert (tmp_path / "codes.csv").read_text(encoding="utf-8") == "mine"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow is not installed; pip install 'ternary-vae\[export\]'"):
        write_embeddings(networks, tmp_path / "codes.parquet")
    assert not (tmp_path / "codes.parquet").exists()
