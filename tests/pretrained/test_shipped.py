"""The models that the package brings along, measured again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE
from ternary_vae.model import STRATEGIES, Posteriors
from ternary_vae.operations import measured_operations
from ternary_vae.pretrained import FrozenEncoder, read_model, shipped_models
from ternary_vae.pretrained.card import model_card
from ternary_vae.pretrained.files import CARD, CONFIGURATION, WEIGHTS, shipped_directory
from ternary_vae.reports.spaces import missed_gates
from ternary_vae.resolution.complementarity import complementary_coverage, decode_under_noise
from ternary_vae.resolution.coupled import reconstructions
from ternary_vae.resolution.isolated import wrong_entries
from ternary_vae.resolution.kept import SAMPLE
from ternary_vae.resolution.measure import FEW_UNDER_NOISE
from ternary_vae.resolution.statistics import named_generator

MODELS = shipped_models()


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    with torch.no_grad():
        yield DualVAE.from_pretrained(request.param)


def figure(model, key):
    return next(figure.value for figure in model.origin.figures if figure.key == key)


def test_the_default_is_there():
    assert "resolution" in MODELS
    assert DualVAE.from_pretrained().origin.recipe == "resolution"


@pytest.mark.parametrize("name", MODELS)
def test_the_files_are_small_and_hold_averaged_float32_weights_alone(name):
    place = shipped_directory(name)
    assert sorted(path.name for path in place.iterdir()) == sorted([CARD, CONFIGURATION, WEIGHTS])
    files = read_model(place)
    parameters = sum(array.size for array in files.arrays.values())
    assert sum(path.stat().st_size for path in place.iterdir()) < 4 * parameters + 50_000
    assert files.arrays.keys() == DualVAE(**files.configuration.architecture.model_dump()).state_dict().keys()
    assert all(array.dtype == np.float32 for array in files.arrays.values())
    assert (place / CARD).read_text(encoding="utf-8") == model_card(files.configuration)


@torch.no_grad()
def test_every_gate_is_exact(model):
    # Those of the benchmarks: all, or of a larger space a fifth of the sample.
    operations = measured_operations(model.space, SAMPLE, named_generator(0, "operations", "cpu"))
    if not model.space.is_enumerable():
        operations = operations.rows(slice(SAMPLE // 5))
    gates = operations.tables
    posteriors = model.encode(gates)
    errors = {
        vae: wrong_entries(model, vae, mu, operations) for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b))
    }
    for vae, wrong in errors.items():
        assert figure(model, f"exact_match_{vae.lower()}") == (wrong == 0).double().mean() == 1
    ensembles, coupled = reconstructions(model, posteriors, operations)
    assert figure(model, "exact_match_coupled_a") == coupled.exact_match_rate_a == 1
    assert figure(model, "exact_match_coupled_b") == coupled.exact_match_rate_b == 1
    assert {name: exact["exact_match_rate"] for name, exact in ensembles.model_dump().items()} == dict.fromkeys(
        STRATEGIES, 1
    )
    some = gates[:: max(1, len(gates) // 5_000)]
    for strategy in STRATEGIES:
        assert torch.equal(model.reconstruct(some, strategy), some), strategy
    few = slice(None) if model.space.is_enumerable() else slice(None, FEW_UNDER_NOISE)
    noise = decode_under_noise(
        model,
        Posteriors(*(part[few] for part in posteriors)),
        operations.rows(few),
        named_generator(0, "complementarity", "cpu"),
        draws=16,
    )
    measured = complementary_coverage(errors["A"][few], errors["B"][few], noise)
    # Four standard errors of a share of a half in 16 draws of each.
    margin = 2 / (16 * len(noise.both)) ** 0.5
    assert margin < 0.008
    for key in ("exact_under_noise_a", "exact_under_noise_b", "exact_under_noise_ensemble"):
        assert figure(model, key) == pytest.approx(getattr(measured, key), abs=margin)


@torch.no_grad()
def test_the_frozen_encoder_is_the_model_s(model):
    gates = measured_operations(model.space, 1000, torch.Generator().manual_seed(1)).tables
    posteriors = model.encode(gates)
    for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b)):
        codes = FrozenEncoder(model.origin.recipe, vae=vae).encode(gates.numpy())
        np.testing.assert_allclose(codes, mu, atol=2e-5)


def test_full_adders_and_other_named_gates_of_three_inputs_are_exact():
    assert missed_gates(DualVAE.from_pretrained("three_inputs")) == []
