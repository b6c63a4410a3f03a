"""Cross-injection: the formula, where gradients go, and what mixing does to the prior."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.model import CrossInjection, DualVAE, mix_prior_draws


def latents(n=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, 16, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, 1.0])
def test_plain_is_the_weighted_mean(rho):
    z_a, z_b = latents()
    mixed_a, mixed_b = CrossInjection("plain")(z_a, z_b, rho)
    torch.testing.assert_close(mixed_a, (1 - rho) * z_a + rho * z_b)
    torch.testing.assert_close(mixed_b, (1 - rho) * z_b + rho * z_a)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, 1.0])
def test_translated_reads_the_other_code_through_its_own_map(rho):
    torch.manual_seed(3)
    injection = CrossInjection("translated").double()
    z_a, z_b = latents()
    mixed_a, mixed_b = injection(z_a, z_b, rho)
    b_to_a, a_to_b = injection.b_to_a.weight, injection.a_to_b.weight
    torch.testing.assert_close(mixed_a, (1 - rho) * z_a + rho * z_b @ b_to_a.T)
    torch.testing.assert_close(mixed_b, (1 - rho) * z_b + rho * z_a @ a_to_b.T)


def test_hidden_units_bend_the_translation():
    torch.manual_seed(3)
    injection = CrossInjection("translated", hidden_units=7).double()
    z_a, z_b = latents()
    mixed_a, _ = injection(z_a, z_b, 0.4)
    state = injection.b_to_a.state_dict()
    hidden = (z_b @ state["inward.weight"].T + state["inward.bias"]).clamp(min=0)
    translated = z_b @ state["straight.weight"].T + hidden @ state["outward.weight"].T
    torch.testing.assert_close(mixed_a, 0.6 * z_a + 0.4 * translated)


def test_rho_zero_leaves_latents_untouched():
    z_a, z_b = latents()
    mixed_a, mixed_b = CrossInjection("translated").double()(z_a, z_b, 0.0)
    assert torch.equal(mixed_a, z_a)
    assert torch.equal(mixed_b, z_b)


def test_one_rho_a_row():
    z_a, z_b = latents(3)
    rho = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    mixed_a, _ = CrossInjection("plain")(z_a, z_b, rho)
    torch.testing.assert_close(mixed_a, torch.stack([z_a[0], (z_a[1] + z_b[1]) / 2, z_b[2]]))


@pytest.mark.parametrize("kind", ["plain", "translated"])
def test_no_gradient_reaches_the_other_encoder(kind):
    torch.manual_seed(0)
    model = DualVAE(kind)
    x = torch.randint(-1, 2, (32, 9))
    for answered, own, other in (("logits_A", "A", "B"), ("logits_B", "B", "A")):
        model.zero_grad()
        model(x, rho=0.7)[answered].square().sum().backward()
        norms = {
            name: 0.0 if parameter.grad is None else float(parameter.grad.norm())
            for name, parameter in model.named_parameters()
        }
        silent = (f"encoder_{other}.", f"decoder_{other}.", "state_net.")
        assert all(norm == 0 for name, norm in norms.items() if name.startswith(silent))
        assert all(norm > 0 for name, norm in norms.items() if name.startswith(f"decoder_{own}."))
        assert norms[f"encoder_{own}.fc_mu.weight"] > 0
        if kind == "translated":
            used, unused = ("b_to_a", "a_to_b") if own == "A" else ("a_to_b", "b_to_a")
            assert norms[f"injection.{used}.weight"] > 0
            assert norms[f"injection.{unused}.weight"] == 0


@pytest.mark.parametrize("kind", ["plain", "translated"])
def test_gradient_of_the_own_encoder_is_scaled_by_what_is_left_of_its_code(kind):
    injection = CrossInjection(kind).double()
    z_a, z_b = latents().requires_grad_(True)
    mixed_a, _ = injection(z_a, z_b, 0.7)
    own, other = torch.autograd.grad(mixed_a.sum(), (z_a, z_b), allow_unused=True)
    torch.testing.assert_close(own, torch.full_like(own, 0.3))
    assert other is None


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["Plain", "", None])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match="injection is 'plain' or 'translated', got "):
        DualVAE(kind)


def test_mixes_of_prior_draws():
    z_a, z_b = latents()
    torch.testing.assert_close(mix_prior_draws(z_a, z_b, 0.7, "additive"), z_a + 0.7 * z_b)
    torch.testing.assert_close(mix_prior_draws(z_a, z_b, 0.6, "preserving"), 0.8 * z_a + 0.6 * z_b)
    assert torch.equal(mix_prior_draws(z_a, z_b, 0, "preserving"), z_a)
    assert torch.equal(mix_prior_draws(z_a, z_b, 1, "preserving"), z_b)
    # 100,000 × 16 normal numbers: a standard deviation is known to 1/√3,200,000 = 0.06%; 0.5% is allowed.
    z_a, z_b = latents(100_000, seed=5)
    for rho in (0.5, 0.7):
        assert float(mix_prior_draws(z_a, z_b, rho, "preserving").std()) == pytest.approx(1, rel=0.005)
        widened = float(mix_prior_draws(z_a, z_b, rho, "additive").std())
        assert widened == pytest.approx((1 + rho**2) ** 0.5, rel=0.005)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("rho", "mix", "said"),
    [
        (-0.1, "additive", r"lies in \[0, 1\], got -0\.1"),
        (1.1, "preserving", r"lies in \[0, 1\], got 1\.1"),
        (0.5, "other", "unknown mix 'other'"),
    ],
)
def test_impossible_mixes_are_refused(rho, mix, said):
    with pytest.raises(ValueError, match=said):
        mix_prior_draws(*latents(), rho, mix)
