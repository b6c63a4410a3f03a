"""ONNX files, run by onnxruntime on every operation and held against the model."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE, UserError
from ternary_vae.exports import onnx
from ternary_vae.exports.onnx import write_onnx
from ternary_vae.model import STRATEGIES
from ternary_vae.operations import all_operations


@pytest.fixture(scope="module")
def model():
    return DualVAE.from_pretrained()


@pytest.fixture(scope="module")
def sessions(model, tmp_path_factory):
    """A function: name of a part → what onnxruntime answers to an array."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    paths = {path.stem: path for path in write_onnx(model, tmp_path_factory.mktemp("onnx"))}
    assert paths.keys() == {
        "encoder_a", "encoder_b", "decoder_a", "decoder_b", *(f"ensemble_{name}" for name in STRATEGIES)
    }  # fmt: skip
    loaded = {name: onnxruntime.InferenceSession(path, options) for name, path in paths.items()}

    def answer(name, array):
        session = loaded[name]
        return session.run(None, {session.get_inputs()[0].name: array})

    answer.sessions = loaded
    return answer


@torch.no_grad()
@pytest.mark.parametrize("count", [19_683, 1])
def test_codes_and_decodings_are_those_of_the_model(model, sessions, count):
    gates = all_operations()[-count:]
    posteriors = model.encode(gates)
    for side, mu, logvar in (("a", *posteriors[:2]), ("b", *posteriors[2:])):
        mean, log_variance = sessions(f"encoder_{side}", gates.numpy().astype(np.float32))
        np.testing.assert_allclose(mean, mu, atol=2e-5)
        np.testing.assert_allclose(log_variance, logvar, atol=2e-5)
        (logits,) = sessions(f"decoder_{side}", mean)
        assert logits.shape == (count, 9, 3)
        np.testing.assert_allclose(logits, model.decode(mu, side.upper()), atol=1e-3)
        np.testing.assert_array_equal(logits.argmax(axis=-1) - 1, gates)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_ensemble_is_exact_on_every_gate(sessions, name):
    for count in (19_683, 1):
        gates = all_operations()[-count:].numpy()
        (answer,) = sessions(f"ensemble_{name}", gates.astype(np.float32))
        assert answer.dtype == np.int8
        np.testing.assert_array_equal(answer, gates)


def test_ensembles_agree_where_the_two_vaes_do_not(model, sessions):
    """On inputs between the values of gates either VAE answers something else, and so does each strategy."""
    generator = torch.Generator().manual_seed(0)
    gates = all_operations().float()
    between = gates + torch.randn(gates.shape, generator=generator) * (
        torch.rand(gates.shape, generator=generator) < 0.3
    )
    answers = {name: model.ensemble_reconstruct(between, name) for name in STRATEGIES}
    for name, expected in answers.items():
        (answer,) = sessions(f"ensemble_{name}", between.numpy())
        # A tie within rounding may be decided otherwise. Any two strategies differ in more entries than that.
        assert (answer != expected.numpy()).sum() < 20
        assert all((other != expected).sum() > 100 for key, other in answers.items() if key != name)


def test_inputs_and_outputs_have_names(sessions):
    names = {
        name: ([each.name for each in session.get_inputs()], [each.name for each in session.get_outputs()])
        for name, session in sessions.sessions.items()
    }
    assert names["encoder_b"] == (["tables"], ["mean", "log_variance"])
    assert names["decoder_a"] == (["z"], ["logits"])
    assert names["ensemble_majority"] == (["tables"], ["reconstruction"])


@torch.no_grad()
def test_files_of_another_space_take_its_own_values(tmp_path, monkeypatch):
    """Of Boolean functions 0 and 1, which an encoder of the package is given as −1 and 1."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx, "STRATEGIES", ["confidence_weighted"])
    torch.manual_seed(0)
    model = DualVAE(values=2, inputs=2)
    export = onnx._onnx_bytes

    def export_what_is_used(part, *how):
        used = isinstance(part, onnx._Ensemble) or getattr(part, "encoder", None) is model.encoder_B
        return export(part, *how) if used else b"not used here"

    monkeypatch.setattr(onnx, "_onnx_bytes", export_what_is_used)
    tables = all_operations(space=model.space)
    files = {path.stem: path for path in write_onnx(model, tmp_path)}

    def answer(name):
        return onnxruntime.InferenceSession(files[name]).run(None, {"tables": tables.numpy().astype(np.float32)})

    mean, log_variance = answer("encoder_b")
    posteriors = model.encode(tables)
    np.testing.assert_allclose(mean, posteriors.mu_b, atol=2e-5)
    np.testing.assert_allclose(log_variance, posteriors.logvar_b, atol=2e-5)
    np.testing.assert_array_equal(
        *answer("ensemble_confidence_weighted"), model.reconstruct(tables, "confidence_weighted")
    )


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_in_training_stays_so(fails, tmp_path, monkeypatch, recwarn):
    """And an export that does not come to its end leaves nothing that the next one would find there already. What the
    exporter says of itself is not shown."""
    exported, log = [], logging.getLogger("torch.onnx")
    log.setLevel(logging.INFO)
    logging.disable(logging.INFO)
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)

    def export(part, *how, **named):
        assert not any(module.training for module in part.modules())
        exported.append(part)
        warnings.warn("about what the exporter calls", stacklevel=2)
        assert not log.isEnabledFor(logging.WARNING)
        if fails and len(exported) == 3:
            raise OSError
        return SimpleNamespace(model_proto=SimpleNamespace(SerializeToString=lambda: b"a part"))

    monkeypatch.setattr(torch.onnx, "export", export)
    model = DualVAE().train()
    model.encoder_B.eval()
    before = [module.training for module in model.modules()]
    with pytest.raises(OSError) if fails else nullcontext():
        write_onnx(model, tmp_path)
    assert [module.training for module in model.modules()] == before
    warnings.warn("afterwards", stacklevel=2)
    assert [str(each.message) for each in recwarn] == ["afterwards"]
    assert (log.isEnabledFor(logging.WARNING), log.isEnabledFor(logging.INFO)) == (True, False)
    logging.disable(logging.NOTSET)
    log.setLevel(logging.NOTSET)
    assert len(list(tmp_path.iterdir())) == (0 if fails else len(exported))


def test_what_is_refused(model, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    (tmp_path / "decoder_b.onnx").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"decoder_b\.onnx: is there already and is not overwritten"):
        write_onnx(model, tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"onnx is not installed; pip install 'ternary-vae\[export\]'"):
        write_onnx(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()
