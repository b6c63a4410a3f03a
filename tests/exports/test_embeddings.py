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
from ternary_vae.space import Space


@pytest.fixture(scope="module")
def networks():
    return Networks(find_model())


@pytest.fixture(scope="module")
def expected():
    with torch.no_grad():
        mu_a, logvar_a, mu_b, logvar_b = DualVAE.from_pretrained().encode(all_operations())
    parts = {"mean_a": mu_a, "variance_a": logvar_a.exp(), "mean_b": mu_b, "variance_b": logvar_b.exp()}
    return {name: part.numpy() for name, part in parts.items()}


@pytest.fixture(scope="module")
def gates():
    """The columns that say which gate it is, as lists of plain values."""
    return {
        name: np.asarray(column).tolist()
        for name, column in {"index": np.arange(19_683), **gate_columns(Space())}.items()
    }


def compare(columns, gates, expected, matrices):
    """Holds columns by name against what they should be."""
    names = list(expected) if matrices else [f"{name}_{number}" for name in expected for number in range(16)]
    assert list(columns) == [*gates, *names]
    for name, column in gates.items():
        assert np.asarray(columns[name]).tolist() == column, name
    for name, part in expected.items():
        actual = columns[name] if matrices else np.stack([columns[f"{name}_{number}"] for number in range(16)], axis=1)
        np.testing.assert_allclose(actual, part, atol=2e-5)


def test_npz(networks, gates, expected, tmp_path):
    write_embeddings(networks, tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as actual:
        assert actual["mean_a"].dtype == np.float32
        compare(dict(actual), gates, expected, matrices=True)


def test_parquet(networks, gates, expected, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_embeddings(networks, tmp_path / "codes.parquet")
    table = parquet.read_table(tmp_path / "codes.parquet")
    compare({name: table[name].to_pylist() for name in table.column_names}, gates, expected, matrices=False)
    assert str(table.schema.field("commutative").type) == "bool"
    assert str(table.schema.field("mean_a_0").type) == "float"


def test_csv(networks, gates, expected, tmp_path):
    write_embeddings(networks, tmp_path / "codes.csv")
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
    with pytest.raises(UserError, match=r"codes\.csv: is there already and is not overwritten"):
        write_embeddings(networks, tmp_path / "codes.csv")
    assert (tmp_path / "codes.csv").read_text(encoding="utf-8") == "mine"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow is not installed; pip install 'ternary-vae\[export\]'"):
        write_embeddings(networks, tmp_path / "codes.parquet")
    assert not (tmp_path / "codes.parquet").exists()
