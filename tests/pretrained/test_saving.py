"""A model written as a directory and read again; what is wrong with a directory, in one line."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from ternary_vae import DualVAE, UserError
from ternary_vae.operations import all_operations
from ternary_vae.pretrained import Figure, Origin, read_model
from ternary_vae.pretrained.configuration import Criterion

ARCHITECTURES = [
    {},
    {"injection": "translated", "adaptive_rho": True, "middle_value_b": -1},
    {"injection": "translated", "translation_units": 8, "middle_value_b": 1},
]


def random_model(**architecture):
    torch.manual_seed(3)
    model = DualVAE(**architecture).eval()
    model.permeability = 0.6
    return model


def origin_of(model, **changes):
    facts = {
        "weights_sha256": model.to_files().configuration.weights_sha256,
        "recipe": "resolution",
        "fingerprint": "0123456789abcdef",
        "seed": 5,
        "epochs": 1,
        "command": "ternary-vae train --config resolution --seed 5",
        "code_version": "0.1.0",
        "operations_held_out": 0,
        "seconds": 125.0,
        "environment": {"torch": "2.13.0", "threads": 1},
        "checkpoint_sha256": "0" * 64,
        "figures": (
            Figure(key="c", name="Coverage |r|", value=0.99991, unit="share", low=0.98, high=1.0, uniform=0.9938),
        ),
        "verdict": (Criterion(level="own", name="VAE-A", required="100%", measured="99.99%", met=False),),
    }
    return Origin(**{**facts, **changes})


@pytest.fixture
def saved(tmp_path):
    random_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_model_answers_the_same(architecture, tmp_path):
    model = random_model(**architecture)
    model.save_pretrained(tmp_path)
    loaded = DualVAE.from_pretrained(tmp_path)
    assert not loaded.training
    assert loaded.permeability == 0.6
    assert loaded.architecture == model.architecture
    gates = all_operations()[::97]
    for strategy in ("best_of_two", "majority"):
        assert torch.equal(loaded.reconstruct(gates, strategy), model.reconstruct(gates, strategy))
    assert all(torch.equal(one, two) for one, two in zip(loaded.encode(gates), model.encode(gates)))


def test_loading_draws_no_random_numbers_and_training_can_go_on(saved):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    model = DualVAE.from_pretrained(saved).train()
    assert torch.equal(torch.rand(3), expected)
    model(all_operations()[:4])["logits_A"].sum().backward()
    assert model.decoder_A.decoder[0].weight.grad is not None


def test_the_same_weights_make_the_same_files(tmp_path):
    random_model().save_pretrained(tmp_path / "a")
    DualVAE.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors", "README.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert all(array.dtype == np.float32 for array in load_file(tmp_path / "a" / "model.safetensors").values())


def test_the_card_shows_what_was_measured_and_travels_along(tmp_path):
    model = random_model()
    model.save_pretrained(tmp_path / "a", origin=origin_of(model))
    DualVAE.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    card = (tmp_path / "b" / "README.md").read_text(encoding="utf-8")
    assert r"| Coverage \|r\| | 99.99% | 98.00% to 100% | 99.38% |" in card
    assert "| own | VAE-A | 100% | 99.99% | missed |" in card
    assert "ternary-vae train --config resolution --seed 5" in card
    assert "seed 5, 1 epoch, 2 min 05 s, ternary-vae 0.1.0." in card
    assert "threads 1, torch 2.13.0." in card
    assert "trained on all 19,683 gates" in card


def test_what_was_measured_of_other_weights_is_left_out(tmp_path):
    model = random_model()
    model.origin = origin_of(model)
    with torch.no_grad():
        model.decoder_A.decoder[0].bias[0] += 1
    model.save_pretrained(tmp_path)
    assert DualVAE.from_pretrained(tmp_path).origin is None
    assert "Nothing is known of these weights" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_what_was_held_out_may_be_unknown(tmp_path):
    model = DualVAE()
    model.save_pretrained(tmp_path, origin=origin_of(model, operations_held_out=None))
    assert "which may have seen any of the 19,683 gates" in (tmp_path / "README.md").read_text()


def test_a_held_out_part_is_stated(tmp_path):
    model = random_model()
    model.save_pretrained(tmp_path, origin=origin_of(model, operations_held_out=3936, command=None))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "3,936 of the 19,683 gates were held out" in card
    assert "--config" not in card


@pytest.mark.parametrize(
    ("architecture", "permeability", "place"),
    [
        ({"latent_dimensions": 1}, 0.5, "architecture.latent_dimensions"),
        ({"decoder_a_width": 20.0}, 0.5, "architecture.decoder_a_width"),
        ({}, 2.0, "permeability"),
        ({}, float("nan"), "permeability"),
    ],
)
def test_what_no_file_can_have_is_refused_before_anything_is_written(architecture, permeability, place, tmp_path):
    model = DualVAE(**architecture)
    model.permeability = permeability
    with pytest.raises(UserError, match=f"the model cannot be saved: {place}: Input should be .* \\(given: "):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_model_is_replaced_and_nothing_else_is(saved, tmp_path):
    random_model(**ARCHITECTURES[1]).save_pretrained(saved)
    assert DualVAE.from_pretrained(saved).architecture["adaptive_rho"]
    for name, content in (("config.json", '{"model_type": "bert"}'), ("README.md", "mine")):
        other = tmp_path / f"other {name}"
        other.mkdir()
        (other / name).write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match="not overwritten; name another directory"):
            random_model().save_pretrained(other)
        assert [path.name for path in other.iterdir()] == [name]
        assert (other / name).read_text(encoding="utf-8") == content


def test_what_could_not_be_read_is_not_written(tmp_path):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="is a run, beside which no model is read; name another directory"):
        random_model().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_not_written(weight, tmp_path):
    model = random_model().double()
    with torch.no_grad():
        model.decoder_A.decoder[0].bias[0] = weight
    with pytest.raises(UserError, match=r"model: decoder_A\.decoder\.0\.bias contains NaN or infinity"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def change(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def cut(path, end):
    path.write_bytes(path.read_bytes()[:end] + b"?")


DAMAGE = {
    "no configuration": (lambda place: (place / "config.json").unlink(), "config.json: not found; expected a model's"),
    "no weights": (lambda place: (place / "model.safetensors").unlink(), "model.safetensors: not found"),
    "no JSON": (lambda place: (place / "config.json").write_text("{"), "not valid JSON"),
    "a list": (lambda place: (place / "config.json").write_text("[]"), "of another program"),
    "another program": (lambda place: change(place / "config.json", format="bert"), "of another program"),
    "another version": (lambda place: change(place / "config.json", format_version="2"), "this program reads '1'"),
    "an unknown key": (lambda place: change(place / "config.json", permeabilty=1), "did you mean 'permeability'"),
    "an impossible rho": (lambda place: change(place / "config.json", permeability=7), "permeability"),
    "another network": (
        lambda place: change(place / "config.json", architecture={"injection": "translated"}),
        "do not fit the model",
    ),
    "an unknown architecture": (
        lambda place: change(place / "config.json", architecture={"injections": "plain"}),
        "did you mean 'injection'",
    ),
    "a changed weight": (lambda place: cut(place / "model.safetensors", -1), "is damaged or of another model"),
    "truncated weights": (lambda place: cut(place / "model.safetensors", 1000), "is damaged or of another model"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_wrong_with_a_directory_is_one_line(kind, saved):
    damage, message = DAMAGE[kind]
    damage(saved)
    with pytest.raises(UserError, match=message) as raised:
        DualVAE.from_pretrained(saved)
    assert str(saved) in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no safetensors", "not a number", "half precision"])
def test_weights_of_the_right_digest_that_are_none(content, saved):
    path = saved / "model.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        arrays = load_file(path)
        name = "decoder_A.decoder.0.bias"
        arrays[name] = arrays[name] * np.float32("nan") if content == "not a number" else arrays[name].astype("f2")
        save_file(arrays, path)
    change(saved / "config.json", weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"model\.safetensors (is damaged|holds more than finite float32)"):
        DualVAE.from_pretrained(saved)


def test_names_of_no_model(tmp_path, saved):
    with pytest.raises(UserError, match=r"'four_inputs': no such model; .*a directory that `save_pretrained` wrote"):
        DualVAE.from_pretrained("four_inputs")
    with pytest.raises(UserError, match="is a file; name a model's directory"):
        DualVAE.from_pretrained(saved / "config.json")
    with pytest.raises(UserError, match="gone: not found"):
        read_model(tmp_path / "gone")
    with pytest.raises(UserError, match=r"cannot read .* name too long"):
        DualVAE.from_pretrained(300 * "x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="is a run; `ternary-vae export model"):
        DualVAE.from_pretrained(tmp_path / "run")


def test_a_path_is_a_directory_and_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such model"):
        DualVAE.from_pretrained(Path("resolution"))
    random_model().save_pretrained(tmp_path / "resolution")
    assert DualVAE.from_pretrained(Path("./resolution")).origin is None
    assert DualVAE.from_pretrained("resolution").origin is not None


@pytest.mark.parametrize("fails", [2, 3])
@pytest.mark.parametrize("place", ["model", "new"])
def test_a_disk_that_fills_up_leaves_what_was_there(fails, place, saved, tmp_path, monkeypatch):
    directory = tmp_path / place
    before = {path.name: path.read_bytes() for path in directory.glob("*")}
    other = random_model(injection="translated")
    with monkeypatch.context() as patched:
        synced = iter(range(1, 10))
        patched.setattr(os, "fsync", lambda _: full() if next(synced) == fails else None)
        with pytest.raises(UserError, match=r"cannot write .*: no space left on the disk"):
            other.save_pretrained(directory)
    assert {path.name: path.read_bytes() for path in directory.glob("*")} == before
    other.save_pretrained(directory)
    assert DualVAE.from_pretrained(directory).architecture == other.architecture


def test_a_card_that_cannot_be_written_leaves_the_model_as_it_was(saved):
    before = (saved / "model.safetensors").read_bytes()
    (saved / "README.md").unlink()
    (saved / "README.md").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*README\.md: it is a directory"):
        random_model(injection="translated").save_pretrained(saved)
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (saved / "model.safetensors").read_bytes() == before
    assert DualVAE.from_pretrained(saved)


def test_a_new_directory_whose_last_rename_fails_can_be_written_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        replace = os.replace
        patched.setattr(os, "link", lambda old, new: full())
        patched.setattr(os, "replace", lambda old, new: full() if new.name == "config.json" else replace(old, new))
        with pytest.raises(UserError, match=r"cannot write .*config\.json: no space left on the disk"):
            random_model().save_pretrained(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    random_model().save_pretrained(tmp_path / "new")


def full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
