"""The encoder as scikit-learn's own checks and pipelines use it."""

from __future__ import annotations

import importlib
import sys
from importlib import util

import numpy as np
import pytest

import ternary_vae
from ternary_vae import FrozenEncoder, UserError
from ternary_vae.operations import all_operations

pytest.importorskip("sklearn")


def test_in_a_pipeline():
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from ternary_vae import GateTransformer

    gates = all_operations().numpy()
    answer = gates[:, 4] == 1
    pipeline = clone(make_pipeline(GateTransformer(vae="both"), LogisticRegression()))
    assert pipeline.set_params(gatetransformer__vae="A").get_params()["gatetransformer__vae"] == "A"
    pipeline.fit(gates[::10], answer[::10])
    assert pipeline.n_features_in_ == 9
    assert pipeline.score(gates, answer) > 0.95  # an entry has an axis of its own, with 1 at an end of VAE-A's


def test_codes_and_their_names():
    from ternary_vae import GateTransformer

    transformer = GateTransformer(vae="both").fit(["SUM"])
    np.testing.assert_array_equal(
        transformer.transform(["SUM", "MIN"]), FrozenEncoder(vae="both").encode(["SUM", "MIN"])
    )
    np.testing.assert_array_equal(
        transformer.transform(np.array(["SUM", "MIN"])), transformer.transform(["SUM", "MIN"])
    )
    names = transformer.get_feature_names_out()
    assert not hasattr(transformer, "n_features_in_")
    assert (len(names), names[0], names[31]) == (32, "mean_a_0", "mean_b_15")


@pytest.mark.usefixtures("unchecked")
def test_rows_of_different_lengths():
    from ternary_vae import GateTransformer

    rows = [[0] * 9, [0] * 8]
    with pytest.raises(UserError, match="truth tables of different lengths; each has 9 entries"):
        GateTransformer().fit(rows).transform(rows)


def test_a_data_frame_is_its_rows():
    """Whatever its columns are called, as gates too."""
    pandas = pytest.importorskip("pandas")
    from ternary_vae import GateTransformer

    tables = all_operations().numpy()[:4]
    columns = ["SUM", "ANY", "CONS", "MIN", "MAX", "NCONS", "NANY", "MUL", "XOR"]
    transformer = GateTransformer().fit(tables)
    np.testing.assert_array_equal(
        transformer.transform(pandas.DataFrame(tables, columns=columns)), transformer.transform(tables)
    )


def test_before_fit():
    from sklearn.exceptions import NotFittedError

    from ternary_vae import GateTransformer

    with pytest.raises(NotFittedError):
        GateTransformer().transform(["SUM"])


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "ternary_vae.pretrained.transformer", raising=False)
    with pytest.raises(UserError, match=r"scikit-learn is not installed; pip install 'ternary-vae\[scikit-learn\]'"):
        from ternary_vae import GateTransformer  # noqa: F401


def test_without_scikit_learn_all_other_names_are_there(monkeypatch):
    """As `from ternary_vae import *`, `help` and `inspect.getmembers` ask for them."""
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "sklearn" else found(name))
    names = set(importlib.reload(ternary_vae).__all__)
    monkeypatch.undo()
    assert set(importlib.reload(ternary_vae).__all__) - names == {"GateTransformer"}
