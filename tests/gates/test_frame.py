"""The data frame against single gates."""

from __future__ import annotations

import sys

import pytest

from ternary_vae.errors import UserError
from ternary_vae.gates import data_frame, find_gate, properties_of
from ternary_vae.space import Space


def test_all_gates_of_two_inputs():
    pytest.importorskip("pandas")
    frame = data_frame()
    assert len(frame) == 19_683
    assert frame.index.name == "index"
    assert (frame["commutative"] & frame["sheffer"]).sum() == 90
    assert frame["class_permutation"].nunique() == 84
    for name in ("sum", "mle"):
        gate = find_gate(name)[0]
        row = frame.loc[gate.index]
        assert (row["table"], row["heptavintimal"]) == (gate.text, gate.heptavintimal)
        assert row["names"].split("; ") == gate.names
        for key, value in properties_of(gate.space, gate.index).items():
            assert row[key] == value


def test_another_space():
    pytest.importorskip("pandas")
    frame = data_frame(Space(2, 3))
    assert "heptavintimal" not in frame
    assert frame["class_negation"].nunique() == round((1 / frame["size_negation"]).sum()) == 14


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pandas is not installed; pip install 'ternary-vae\[frame\]'"):
        data_frame()


def test_too_many_gates():
    pytest.importorskip("pandas")
    with pytest.raises(UserError, match="cannot be listed"):
        data_frame(Space(3, 3))
