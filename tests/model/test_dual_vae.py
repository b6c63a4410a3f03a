"""The dual VAE: what forward returns, and what is drawn and decoded."""

from __future__ import annotations

import math

import pytest
import torch

from ternary_vae.model import STRATEGIES, DualVAE, draw_latents, logits_to_tables
from ternary_vae.operations import all_operations

VALUES = (-1, 0, 1)
POSTERIOR_KEYS = {"mu_A", "logvar_A", "z_A", "mu_B", "logvar_B", "z_B"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = DualVAE("translated").eval()
    model.permeability = 0.4
    return model


def test_forward_returns_what_the_plan_names(model):
    x = all_operations()[:10]
    outputs = model(x)
    assert set(outputs) == {"logits_A", "logits_B", *POSTERIOR_KEYS}
    assert all(outputs[key].shape == (10, 16) for key in POSTERIOR_KEYS)
    assert outputs["logits_A"].shape == outputs["logits_B"].shape == (10, 9, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_forward_adds_the_ensemble_in_evaluation_only(model, strategy):
    x = all_operations()[::500]
    outputs = model(x, use_ensemble=True, ensemble_strategy=strategy)
    assert outputs["ensemble_strategy"] == strategy
    assert torch.equal(outputs["ensemble_reconstruction"], model.ensemble_reconstruct(x, strategy))
    coupled = model(x, use_ensemble=True, ensemble_strategy=strategy, rho=0.5)  # of the means as they are, all the same
    assert torch.equal(coupled["ensemble_reconstruction"], outputs["ensemble_reconstruction"])
    assert not outputs["ensemble_reconstruction"].requires_grad
    assert outputs["logits_A"].requires_grad
    model.train()
    try:
        assert "ensemble_reconstruction" not in model(x, use_ensemble=True)
    finally:
        model.eval()


@pytest.fixture
def training_model(model):
    model.train()
    yield model
    model.eval()


def test_forward_is_deterministic_and_uncoupled_in_evaluation(model):
    x = all_operations()[100:150]
    outputs = model(x, temperature_a=3.0)
    posteriors = model.encode(x)
    assert torch.equal(outputs["z_A"], posteriors.mu_a)
    assert torch.equal(outputs["z_B"], posteriors.mu_b)
    assert torch.equal(outputs["logits_A"], model.decode(posteriors.mu_a, "A"))
    assert torch.equal(outputs["logits_B"], model.decode(posteriors.mu_b, "B"))
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b, 0.3)
    assert torch.equal(model(x, rho=0.3)["logits_A"], coupled[0])


def test_forward_is_encode_draw_inject_decode_in_training(training_model):
    model = training_model
    x = all_operations()[100:150]
    outputs = model(x, rho=0.3, temperature_a=0.5, temperature_b=2.0, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    noise_a = torch.randn(50, 16, generator=generator)
    noise_b = torch.randn(50, 16, generator=generator)
    mu_a, logvar_a = model.encoder_A(x.float())
    mu_b, logvar_b = model.encoder_B(x.float())
    z_a = mu_a + 0.5 * logvar_a.exp().sqrt() * noise_a
    z_b = mu_b + 2.0 * logvar_b.exp().sqrt() * noise_b
    torch.testing.assert_close(outputs["z_A"], z_a)
    torch.testing.assert_close(outputs["z_B"], z_b)
    mixed_a = 0.7 * z_a + 0.3 * z_b @ model.injection.b_to_a.weight.T
    mixed_b = 0.7 * z_b + 0.3 * z_a @ model.injection.a_to_b.weight.T
    torch.testing.assert_close(outputs["logits_A"], model.decoder_A(mixed_a))
    torch.testing.assert_close(outputs["logits_B"], model.decoder_B(mixed_b))


def test_forward_uses_the_models_own_permeability_unless_told(training_model):
    model = training_model
    x = all_operations()[:5]

    def logits(**options):
        return model(x, generator=torch.Generator().manual_seed(0), **options)["logits_A"]

    assert torch.equal(logits(), logits(rho=0.4))
    assert not torch.allclose(logits(), logits(rho=0.0))


def test_reconstruct_is_the_ensemble_by_default_and_one_vae_on_request(model):
    x = all_operations()[::61]
    posteriors = model.encode(x)
    assert torch.equal(model.reconstruct(x), model.ensemble_reconstruct(x, "best_of_two"))
    for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b)):
        expected = logits_to_tables(model.decode(mu, vae))
        assert torch.equal(model.reconstruct(x, strategy=None, vae=vae), expected)
        assert torch.equal(model.reconstruct(x, vae=vae), expected)
    assert torch.equal(model.reconstruct(x, None), model.reconstruct(x, vae="B"))
    with pytest.raises(ValueError, match="strategy 'majority' asks both VAEs, and vae='A' one"):
        model.reconstruct(x, "majority", "A")
    with pytest.raises(ValueError, match="truth table entries must be -1 to 1"):
        model.reconstruct(x + 1)  # in classes


def test_reconstruction_is_of_values_and_needs_no_gradient(model):
    answer = model.reconstruct(all_operations()[:100])
    assert answer.dtype == torch.int8
    assert set(answer.unique().tolist()) <= set(VALUES)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float64])
def test_any_number_type_is_read_alike(model, dtype):
    x = all_operations()[::301]
    assert torch.equal(model.encode(x.to(dtype)).mu_b, model.encode(x.float()).mu_b)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64])
def test_whole_numbers_are_latents_too(model, dtype):
    z = torch.randint(-2, 3, (20, 16), generator=torch.Generator().manual_seed(6))
    for vae in ("A", "B"):
        assert torch.equal(model.decode(z.to(dtype), vae), model.decode(z.float(), vae))
    coupled = model.decode_coupled(z.to(dtype), z.flip(0).to(dtype))
    assert all(map(torch.equal, coupled, model.decode_coupled(z.float(), z.flip(0).float())))
    assert model.decode(z.double()).dtype == torch.float64


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(9,), (3, 8), (2, 3, 9)])
def test_other_shapes_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"shape \(n, 9\)"):
        model.encode(torch.zeros(shape))


def test_no_operations_are_no_trouble(model):
    assert model.reconstruct(torch.zeros(0, 9)).shape == (0, 9)
    assert model.sample(0).shape == (0, 9)


def test_sample_decodes_prior_draws(model):
    z = torch.randn(7, 16, generator=torch.Generator().manual_seed(9))
    by_a = logits_to_tables(model.decode(z, "A"))
    by_b = logits_to_tables(model.decode(z, "B"))

    def sample(vae):
        return model.sample(7, vae, generator=torch.Generator().manual_seed(9))

    assert torch.equal(sample("A"), by_a)
    assert torch.equal(sample("B"), by_b)
    assert torch.equal(sample("both"), torch.cat([by_a[:4], by_b[4:]]))


@pytest.mark.usefixtures("unchecked")
def test_impossible_requests_are_refused(model):
    with pytest.raises(ValueError, match="negative"):
        model.sample(-1)
    with pytest.raises(ValueError, match="'both'"):
        model.sample(3, "C")
    with pytest.raises(ValueError, match="'A' or 'B'"):
        model.decode(torch.zeros(1, 16), "both")
    with pytest.raises(ValueError, match="'A' or 'B'"):
        model.encode(torch.zeros(1, 9)).of("a")


def test_latents_have_the_posteriors_moments():
    # 200,000 draws: mean known to 1/√200,000 = 0.22% of a spread, spread to 0.16%; five of each allowed.
    mu = torch.full((200_000, 16), 1.5)
    logvar = torch.full((200_000, 16), math.log(0.25))
    z = draw_latents(mu, logvar, 0.8, torch.Generator().manual_seed(2))
    spread = 0.8 * 0.5
    assert bool(((z.mean(0) - 1.5).abs() < 5 * spread * 0.00224).all())
    assert bool(((z.std(0) / spread - 1).abs() < 5 * 0.0016).all())
    assert torch.equal(draw_latents(mu[:3], logvar[:3], 0.0), mu[:3])


def test_same_generator_same_draws(training_model):
    model = training_model
    x = all_operations()[:8]
    first, second = (model(x, generator=torch.Generator().manual_seed(5))["z_A"] for _ in range(2))
    assert torch.equal(first, second)
