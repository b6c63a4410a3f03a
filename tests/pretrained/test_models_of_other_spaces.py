"""Models of other spaces, from their files: the networks in numpy, single gates, and what cannot be listed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE, UserError
from ternary_vae.exports.embeddings import write_embeddings
from ternary_vae.gates import find_gate
from ternary_vae.gates.names import Gate
from ternary_vae.operations import random_operations
from ternary_vae.pretrained import FrozenEncoder, Networks, read_model
from ternary_vae.pretrained.codes import gate_codes
from ternary_vae.space import Space


@pytest.fixture(scope="module", params=[(2, 2), (3, 3), (4, 2), (5, 1)], ids=str)
def model_and_place(request, tmp_path_factory):
    torch.manual_seed(3)
    values, inputs = request.param
    model = DualVAE("translated", middle_value_b=1, values=values, inputs=inputs).eval()
    place = tmp_path_factory.mktemp("model")
    model.save_pretrained(place)
    return model, place


@torch.no_grad()
def test_networks_in_numpy_are_the_models(model_and_place):
    model, place = model_and_place
    networks, again = Networks(read_model(place)), DualVAE.from_pretrained(place)
    assert networks.space == again.space == model.space
    tables = random_operations(200, model.space, torch.Generator().manual_seed(1))
    posteriors = model.encode(tables)
    for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b)):
        np.testing.assert_allclose(networks.encode(tables.numpy(), vae)[0], mu, atol=1e-5)
        logits = model.decode(mu, vae)
        np.testing.assert_allclose(networks.decode(mu.numpy(), vae), logits, atol=1e-5)
        values = logits.argmax(dim=-1) + model.space.lowest
        assert (networks.decoded_tables(mu.numpy(), vae) == values.numpy()).mean() > 0.999
    codes = FrozenEncoder(place, vae="B").encode(tables.numpy())
    np.testing.assert_allclose(codes, posteriors.mu_b, atol=1e-5)


def test_a_gate_of_a_large_space_has_the_nearest_of_its_one_and_two_entry_changes(model_and_place):
    model, place = model_and_place
    networks = Networks(read_model(place))
    gate = Gate(model.space, 5)
    code = gate_codes(gate, networks, neighbours=200)[0]  # more than there are changes of one entry
    mean = networks.encode(gate.table[None], "A")[0][0]
    if model.space.is_enumerable():
        tables = model.space.table(np.arange(model.space.operations))
    else:
        tables = {tuple(gate.table)}
        for _ in range(2):  # every change of one entry, twice: changes of two entries, and of one
            tables |= {
                (*table[:entry], value, *table[entry + 1 :])
                for table in tables
                for entry in range(model.space.entries)
                for value in np.arange(model.space.values) + model.space.lowest
            }
        tables = np.array(sorted(tables))
    others = tables[(tables != gate.table).any(axis=1)]
    distances = np.sort(np.linalg.norm(networks.encode(others, "A")[0] - mean, axis=1))
    np.testing.assert_allclose([each for _, each in code.neighbours], distances[:200], rtol=1e-5)


def test_gates_of_another_space_are_refused_in_one_line(model_and_place):
    model, place = model_and_place
    with pytest.raises(UserError, match=r"knows gates of . values and . inputs?, not of 3 values and 2 inputs"):
        gate_codes(find_gate("SUM")[0], Networks(read_model(place)))
    with pytest.raises(UserError, match=f"a truth table has {model.space.entries} entries"):
        FrozenEncoder(place).encode(np.zeros((1, 9)))
    # As long a table says nothing of the number of values.
    same_entries = next(space for space in (Space(9, 1), Space(2, 2)) if space != model.space)
    with pytest.raises(UserError, match=f"is a gate of {same_entries}; expected one of {model.space}"):
        FrozenEncoder(place).encode([Gate(same_entries, 1)])


def test_a_gate_has_all_others_as_neighbours_but_not_itself(model_and_place):
    model, place = model_and_place
    gate = Gate(model.space, 5)
    neighbours = gate_codes(gate, Networks(read_model(place)), neighbours=10**6)[0].neighbours
    assert gate not in [other for other, _ in neighbours]
    assert all(np.isfinite(distance) for _, distance in neighbours)
    assert not model.space.is_enumerable() or len(neighbours) == model.space.operations - 1


def test_too_many_gates_are_not_exported(model_and_place, tmp_path):
    model, place = model_and_place
    networks, path = Networks(read_model(place)), tmp_path / "codes.npz"
    if model.space.is_enumerable():
        write_embeddings(networks, path)
        assert len(np.load(path)["mean_a"]) == model.space.operations
    else:
        with pytest.raises(UserError, match="too many to write each"):
            write_embeddings(networks, path)
        assert not path.exists()


def test_the_command_shows_a_gate_of_another_space(model_and_place, run_command):
    model, place = model_and_place
    space = model.space
    name = "index:5"
    options = ["--values", str(space.values), "--inputs", str(space.inputs), "--model", str(place)]
    shown = json.loads(run_command("gate", name, *options, "--format", "json")[1])
    assert [code["vae"] for code in shown["codes"]] == ["A", "B"]
    assert len(shown["codes"][0]["mean"]) == model.sizes.latent_dimensions
    text = run_command("gate", name, *options)[1]
    assert ("one or two entries away" in text) == (not space.is_enumerable())


def test_a_space_without_a_model_has_no_codes(run_command):
    code, text, _ = run_command("gate", "index:8", "--values", "2", "--format", "json")
    assert code == 0
    assert json.loads(text)["codes"] == []
    code, _, error = run_command("gates", "--values", "2", "--near", "index:8", "--distance", "A")
    assert code == 2
    assert "no model comes along that knows gates of 2 values and 2 inputs; give --model" in error


def test_the_atlas_draws_other_gates(model_and_place, run_command, tmp_path):
    code, _, error = run_command("atlas", "--model", model_and_place[1], "-o", tmp_path / "atlas.html")
    assert code == 2
    assert "the atlas draws gates of 3 values and 2 inputs, and this model knows those of" in error
    assert not (tmp_path / "atlas.html").exists()
