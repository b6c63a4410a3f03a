"""Measures of both VAEs together, against numpy and hand-counted memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known_decoders import ALL

from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables
from ternary_vae.operations import TWO_INPUT_TERNARY, Operations, all_operations, operation_index
from ternary_vae.resolution import coupled
from ternary_vae.resolution.complementarity import complementary_coverage, decode_under_noise, ensembles_under_noise


@pytest.fixture(scope="module")
def model() -> DualVAE:
    torch.manual_seed(4)
    model = DualVAE("translated").eval().requires_grad_(False)
    model.permeability = 0.4
    return model


def test_latent_coupling_agrees_with_numpy_dimension_by_dimension() -> None:
    torch.manual_seed(0)
    mu_a = torch.randn(400, 16) * 3 + 5
    mu_b = 0.5 * mu_a * torch.linspace(-1, 1, 16) + torch.randn(400, 16)
    section = coupled.latent_coupling(mu_a, mu_b)
    slow = [np.corrcoef(mu_a[:, d].double(), mu_b[:, d].double())[0, 1] for d in range(16)]
    assert section.mean_correlation == pytest.approx(np.mean(slow), abs=1e-10)
    assert section.mean_absolute_correlation == pytest.approx(np.mean(np.abs(slow)), abs=1e-10)
    distance = np.mean([np.linalg.norm(a - b) for a, b in zip(mu_a.double().numpy(), mu_b.double().numpy())])
    assert section.mean_distance == pytest.approx(distance, rel=1e-6)


def test_mirrored_codes_couple_in_absolute_value_only_and_dead_dimensions_do_not() -> None:
    mu = torch.randn(300, 16, generator=torch.Generator().manual_seed(1))
    mirrored = mu * torch.tensor([1.0, -1.0] * 8)
    section = coupled.latent_coupling(mu, mirrored)
    assert section.mean_correlation == pytest.approx(0, abs=1e-7)
    assert section.mean_absolute_correlation == pytest.approx(1, abs=1e-7)
    dead = mu.clone()
    dead[:, :8] = 2.0
    assert coupled.latent_coupling(mu, dead).mean_correlation == pytest.approx(0.5, abs=1e-7)


def test_reconstructions_agree_with_the_models_own_ensemble(model: DualVAE) -> None:
    tables = all_operations()
    posteriors = model.encode(tables)
    ensemble, own = coupled.reconstructions(model, posteriors, ALL)
    for strategy in STRATEGIES:
        exact = (model.ensemble_reconstruct(tables, strategy) == tables).all(dim=1).sum()
        assert getattr(ensemble, strategy).exact_match_rate == pytest.approx(
            int(exact) / TWO_INPUT_TERNARY.operations, abs=1e-12
        )
    assert own.rho == 0.4
    logits_a, logits_b = model.decode_coupled(posteriors.mu_a, posteriors.mu_b, 0.4)
    for rate, logits in ((own.exact_match_rate_a, logits_a), (own.exact_match_rate_b, logits_b)):
        assert rate == pytest.approx(float(((logits.argmax(-1) - 1) == tables).all(dim=1).double().mean()), abs=1e-12)


def test_ensembles_under_noise_against_the_model_operation_by_operation(model: DualVAE) -> None:
    """The same noisy latents decoded again by way of the model's own decoders, one ensemble after another. What is
    right is what either VAE answers without noise: this model is not trained."""
    posteriors = model.encode(ALL.rows(slice(5, None, 61)).tables)
    means = posteriors.mu_a[::2], posteriors.mu_b[::2]
    posteriors = Posteriors(*(part[::2].repeat(2, 1) for part in posteriors))
    tables = torch.cat([logits_to_tables(model.decode(mu, vae)) for mu, vae in zip(means, "AB")])
    operations = Operations(tables, operation_index(tables))
    section = ensembles_under_noise(
        model, posteriors, operations, torch.Generator().manual_seed(8), tuple(STRATEGIES.values()), 0.1, 3
    )
    generator = torch.Generator().manual_seed(8)
    exact = dict.fromkeys(STRATEGIES, 0)
    for _ in range(3):
        epsilon = 0.1 * torch.randn(1, len(tables), 16, generator=generator)[0]
        z_a, z_b = posteriors.mu_a + epsilon, posteriors.mu_b + epsilon
        for name in STRATEGIES:
            answer = combine(
                tables, model.decode(z_a, "A"), model.decode(z_b, "B"), name, model.decode_coupled(z_a, z_b)
            )
            exact[name] += int((answer == tables).all(dim=1).sum())
    decodings = 3 * len(tables)
    rates = {name: each["exact_match_rate"] for name, each in section.model_dump().items()}
    assert rates == {name: count / decodings for name, count in exact.items()}
    assert min(rates.values()) > 0
    # Two of them are figures that the record has anyway, from more draws.
    noise = decode_under_noise(model, posteriors, operations, torch.Generator().manual_seed(8), 0.1, 3)
    zeros = torch.zeros(len(tables), dtype=torch.long)
    both = complementary_coverage(zeros, zeros, noise)
    assert section.best_of_two.exact_match_rate == both.exact_under_noise_ensemble
    assert section.voting.exact_match_rate == both.exact_under_noise_b


def test_live_bytes_are_counted_by_hand() -> None:
    given = torch.ones(1_000)

    def call() -> torch.Tensor:
        first = given + 1  # 4,000 bytes
        second = first.view(10, 100).t() + 1  # a view is free; 8,000 alive
        del first
        third = second.reshape(-1).double()  # copied 4,000 and converted 8,000: 16,000 alive
        return third[:10]

    assert coupled.peak_tensor_bytes(call, [given]) == 16_000
    assert coupled.peak_tensor_bytes(lambda: given.view(10, 100), [given]) == 0
    assert coupled.peak_tensor_bytes(lambda: [given + 1 for _ in range(3)]) == 12_000


def test_inference_overhead_relates_its_own_figures(model: DualVAE) -> None:
    section = coupled.inference_overhead(model, all_operations(), repeats=2)
    assert min(section.plain_milliseconds, section.ensemble_milliseconds) > 0
    assert section.time_overhead == pytest.approx(section.ensemble_milliseconds / section.plain_milliseconds - 1)
    assert section.memory_overhead is not None
    assert 0 <= section.memory_overhead < 1


def test_inference_overhead_is_what_combining_adds_to_a_pass(model: DualVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each the fastest of its repeats, which need not be the same one; what is combined is what the pass answered."""
    passes, combinings, answers = [0.5, 0.3, 0.4], [0.02, 0.03, 0.015], []
    between = [step for pair in zip(passes, combinings) for step in (0, pair[0], 0, pair[1])]
    clock = iter(np.cumsum(between).tolist())

    def watched(*arguments):
        answers.append(combine(*arguments))
        return answers[-1]

    monkeypatch.setattr(coupled.time, "thread_time", lambda: next(clock))
    monkeypatch.setattr(coupled, "combine", watched)
    section = coupled.inference_overhead(model, all_operations(), repeats=3)
    assert section.plain_milliseconds == pytest.approx(300)
    assert section.ensemble_milliseconds == pytest.approx(315)
    assert section.time_overhead == pytest.approx(0.05)
    usual = model(all_operations(), use_ensemble=True)["ensemble_reconstruction"]
    assert [torch.equal(answer, usual) for answer in answers] == [True] * 3
