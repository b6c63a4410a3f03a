"""What a model makes of a gate, against torch and against every other gate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE, UserError
from ternary_vae.gates import Gate, find_gate, find_gates
from ternary_vae.model import logits_to_tables
from ternary_vae.operations import all_operations
from ternary_vae.pretrained import Networks, find_model
from ternary_vae.pretrained.codes import NOISE_SIGMA, gate_codes, latent_distance
from ternary_vae.space import Space


@pytest.fixture(scope="module")
def networks():
    return Networks(find_model())


@pytest.fixture(scope="module")
def encoded():
    """The model, and what it encodes every operation to."""
    model = DualVAE.from_pretrained()
    with torch.no_grad():
        return model, model.encode(all_operations())


@torch.no_grad()
@pytest.mark.parametrize("name", ["SUM", "PC0", "index:0"])
def test_a_gate_in_both_vaes(networks, encoded, name):
    gate = find_gate(name)[0]
    model, (mu_a, logvar_a, mu_b, logvar_b) = encoded
    for code, mu, logvar in zip(gate_codes(gate, networks, 7), (mu_a, mu_b), (logvar_a, logvar_b)):
        np.testing.assert_allclose(code.mean, mu[gate.index], atol=2e-5)
        np.testing.assert_allclose(code.deviation, (logvar[gate.index] / 2).exp(), atol=2e-5)
        distances = (mu.double() - mu[gate.index].double()).norm(dim=1)
        nearest = distances.argsort()[1:8]
        assert [other.index for other, _ in code.neighbours] == nearest.tolist()
        np.testing.assert_allclose([distance for _, distance in code.neighbours], distances[nearest], atol=1e-4)

        def exact(sigma, mean=mu[gate.index], vae=code.vae):
            noise = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(1))
            tables = logits_to_tables(model.decode(mean + sigma * noise, vae))
            return float((tables == torch.from_numpy(gate.table)).all(dim=1).double().mean())

        # Standard errors: 0.016 of 1,000 draws, 0.0035 of 20,000.
        assert code.exact_under_noise == pytest.approx(exact(NOISE_SIGMA), abs=0.07)
        assert exact(code.noise_borne) == pytest.approx(0.5, abs=0.08)


def test_a_gate_that_is_not_decoded_bears_no_noise(networks):
    files = find_model()
    for name, array in files.arrays.items():
        files.arrays[name] = np.zeros_like(array)
    for code in gate_codes(Gate(Space(), 5681), Networks(files)):
        assert (code.exact_under_noise, code.noise_borne) == (0.0, None)
    for code in gate_codes(Gate(Space(), 0), Networks(files)):  # everything is decoded to it
        assert (code.exact_under_noise, code.noise_borne) == (1.0, None)


def test_the_same_answer_every_time(networks):
    first, second = (gate_codes(find_gate("MLE")[0], networks)[0] for _ in range(2))
    assert (first.exact_under_noise, first.noise_borne) == (second.exact_under_noise, second.noise_borne)


def test_gates_by_latent_distance(networks):
    gate = find_gate("SUM")[0]
    for vae, code in zip("AB", gate_codes(gate, networks, 3)):
        actual = find_gates(Space(), near=gate, distance=latent_distance(networks, vae), limit=4)
        assert actual.gates == [gate, *(other for other, _ in code.neighbours)]
        assert actual.distances == pytest.approx([0, *(distance for _, distance in code.neighbours)], abs=1e-5)
    commutative = find_gates(Space(), where="commutative", near=gate, distance=latent_distance(networks, "A"))
    assert commutative.count == 729
    assert commutative.distances == sorted(commutative.distances)


def test_gates_of_another_space(networks):
    with pytest.raises(UserError, match="knows gates of 3 values and 2 inputs, not of 3 values and 1 input"):
        gate_codes(find_gate("NTI")[0], networks)


def test_too_many_gates_for_another_distance():
    gate = find_gate("SUM3")[0]
    with pytest.raises(UserError, match="this distance can be computed of at most 1,048,576 gates"):
        find_gates(gate.space, near=gate, distance=lambda tables, table: tables.sum(axis=-1))
