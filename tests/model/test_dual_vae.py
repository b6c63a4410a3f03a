"""The dual VAE: what forward returns, and the ensemble's rules against slow versions, one sample at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.model import STRATEGIES, DualVAE, combine, draw_latents, logits_to_tables
from ternary_vae.operations import all_operations

VALUES = (-1, 0, 1)
POSTERIOR_KEYS = {"mu_A", "logvar_A", "z_A", "mu_B", "logvar_B", "z_B"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = DualVAE("translated").eval()
    model.permeability = 0.4
    return model


# --- the ensemble's rules, slowly -------------------------------------------------------------------


def softmax(logits):
    exponentials = [math.exp(value - max(logits)) for value in logits]
    return [value / sum(exponentials) for value in exponentials]


def first_largest(values):
    return max(range(len(values)), key=lambda k: (values[k], -k))


def slow_best_of_two(x, a, b):
    answer_a = [first_largest(entry) - 1 for entry in a]
    answer_b = [first_largest(entry) - 1 for entry in b]
    wrong_a = sum(found != wanted for found, wanted in zip(answer_a, x))
    wrong_b = sum(found != wanted for found, wanted in zip(answer_b, x))
    return answer_a if wrong_a <= wrong_b else answer_b


def slow_voting(x, a, b):
    votes = ((first_largest(one) - 1, first_largest(two) - 1) for one, two in zip(a, b))
    return [one if one == two else two for one, two in votes]


def slow_confidence_weighted(x, a, b):
    answer = []
    for one, two in zip(a, b):
        surer = one if max(softmax(one)) > max(softmax(two)) else two
        answer.append(first_largest(surer) - 1)
    return answer


def slow_product_of_experts(x, a, b):
    return [first_largest([p * q for p, q in zip(softmax(one), softmax(two))]) - 1 for one, two in zip(a, b)]


def slow_majority(x, *voters):
    answer = []
    for entries in zip(*voters):
        votes = [0, 0, 0]
        probability = [0.0, 0.0, 0.0]
        for logits in entries:
            votes[first_largest(logits)] += 1
            probability = [total + p for total, p in zip(probability, softmax(logits))]
        answer.append(max(range(3), key=lambda k: (votes[k], probability[k])) - 1)
    return answer


# Logits on a coarse grid, so that equal answers, equal errors and ties of votes are common. Two
# probabilities of the grid differ by far more than float32 rounds, or are equal exactly.
grid = st.sampled_from([-2.0, -0.5, 0.0, 1.0, 3.0])
table = st.lists(st.lists(grid, min_size=3, max_size=3), min_size=9, max_size=9)
truth = st.lists(st.sampled_from(VALUES), min_size=9, max_size=9)


@settings(max_examples=200)
@given(truth, table, table)
def test_two_voter_strategies_against_slow_versions(x, a, b):
    tensors = [torch.tensor([part]) for part in (x, a, b)]
    assert combine(*tensors, "best_of_two")[0].tolist() == slow_best_of_two(x, a, b)
    assert combine(*tensors, "voting")[0].tolist() == slow_voting(x, a, b)
    # Equal confidences may differ by a rounding: the comparison is made where they do not.
    fast, slow = combine(*tensors, "confidence_weighted")[0].tolist(), slow_confidence_weighted(x, a, b)
    for j in range(9):
        if abs(max(softmax(a[j])) - max(softmax(b[j]))) > 1e-6:
            assert fast[j] == slow[j]
        else:
            assert fast[j] in (first_largest(a[j]) - 1, first_largest(b[j]) - 1)


@settings(max_examples=200)
@given(truth, table, table, table, table)
def test_majority_against_a_slow_version(x, a, b, coupled_a, coupled_b):
    voters = (a, b, coupled_a, coupled_b)
    tensors = [torch.tensor([part], dtype=torch.float64) for part in voters]
    fast = combine(torch.tensor([x]), tensors[0], tensors[1], "majority", tuple(tensors[2:]))[0].tolist()
    slow = slow_majority(x, *voters)
    for j in range(9):
        totals = [sum(softmax(voter[j])[k] for voter in voters) for k in range(3)]
        if all(abs(totals[k] - totals[m]) > 1e-9 for k in range(3) for m in range(k)):
            assert fast[j] == slow[j]
        else:
            votes = [sum(first_largest(voter[j]) == k for voter in voters) for k in range(3)]
            assert votes[fast[j] + 1] == max(votes)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_strategies_on_random_logits(seed, n):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, n, 9, 3, generator=generator, dtype=torch.float64)
    x = torch.randint(-1, 2, (n, 9), generator=generator)
    a, b = logits[0], logits[1]
    slow = {
        "best_of_two": slow_best_of_two,
        "voting": slow_voting,
        "confidence_weighted": slow_confidence_weighted,
        "product_of_experts": slow_product_of_experts,
    }
    for name, rule in slow.items():
        expected = [rule(x[i].tolist(), a[i].tolist(), b[i].tolist()) for i in range(n)]
        assert combine(x, a, b, name).tolist() == expected, name
    expected = [slow_majority(None, *logits[:, i].tolist()) for i in range(n)]
    assert combine(x, a, b, "majority", (logits[2], logits[3])).tolist() == expected


def entry(*logits):
    """Logits of nine entries, the given ones first, the rest sure of class 1."""
    return torch.tensor([[*logits, *[[0.0, 9.0, 0.0]] * (9 - len(logits))]])


def test_majority_tie_goes_to_the_larger_summed_probability():
    minus, plus, weak_plus = [3.0, 0.0, 0.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.5]
    x = torch.zeros(1, 9)

    def answer(*four):
        a, b, *coupled = (entry(logits) for logits in four)
        return int(combine(x, a, b, "majority", tuple(coupled))[0, 0])

    assert answer(minus, plus, minus, plus) == 1  # two votes each, plus is surer
    assert answer(minus, weak_plus, minus, weak_plus) == -1  # two votes each, minus is surer
    assert answer(minus, minus, minus, plus) == -1  # three weak votes beat a sure one
    # Two, one, one: the pair wins whatever the probabilities.
    assert answer([0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 99.0, 0.0], [0.0, 0.0, 99.0]) == -1


def test_majority_decides_ties_by_differences_far_below_one_vote():
    x = torch.zeros(1, 9)
    one, other = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0 + 1e-6]
    for first, second in ((one, other), (other, one)):
        assert int(combine(x, entry(first), entry(second), "majority")[0, 0]) == 1


def test_best_of_two_takes_a_on_equal_errors():
    a, b = entry([5.0, 0, 0]), entry([0, 0, 5.0])  # A says −1, B says +1 in entry 0; the rest is alike
    assert int(combine(torch.zeros(1, 9), a, b, "best_of_two")[0, 0]) == -1
    assert int(combine(torch.tensor([[1.0, *[0] * 8]]), a, b, "best_of_two")[0, 0]) == 1


def test_voting_is_b_always_and_confidence_ties_go_to_b():
    generator = torch.Generator().manual_seed(4)
    a, b = torch.randn(2, 500, 9, 3, generator=generator)
    x = torch.randint(-1, 2, (500, 9), generator=generator)
    assert torch.equal(combine(x, a, b, "voting"), logits_to_tables(b))
    # A margin of 40 leaves a probability of exactly 1 in float32: both are equally sure everywhere.
    sure_a, sure_b = (40 * torch.nn.functional.one_hot(logits.argmax(-1), 3).float() for logits in (a, b))
    assert not torch.equal(logits_to_tables(sure_a), logits_to_tables(sure_b))
    assert torch.equal(combine(x, sure_a, sure_b, "confidence_weighted"), logits_to_tables(sure_b))


def test_unknown_strategy_is_refused(model):
    with pytest.raises(ValueError, match="best_of_two"):
        combine(torch.zeros(1, 9), entry(), entry(), "median")
    with pytest.raises(ValueError, match="unknown ensemble strategy 'median'"):
        model.ensemble_reconstruct(torch.zeros(1, 9), "median")


# --- the model ---------------------------------------------------------------------------------------


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


def test_majority_of_the_model_hears_four_voters(model):
    x = all_operations()[::97]
    posteriors = model.encode(x)
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b, 0.4)
    voters = (model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B"), *coupled)
    expected = [slow_majority(None, *(voter[i].tolist() for voter in voters)) for i in range(len(x))]
    assert model.ensemble_reconstruct(x, "majority").tolist() == expected


def test_reconstruct_is_the_ensemble_by_default_and_one_vae_on_request(model):
    x = all_operations()[::61]
    posteriors = model.encode(x)
    assert torch.equal(model.reconstruct(x), model.ensemble_reconstruct(x, "best_of_two"))
    for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b)):
        expected = logits_to_tables(model.decode(mu, vae))
        assert torch.equal(model.reconstruct(x, strategy=None, vae=vae), expected)


def test_reconstruction_is_of_values_and_needs_no_gradient(model):
    answer = model.reconstruct(all_operations()[:100])
    assert answer.dtype == torch.int8
    assert set(answer.unique().tolist()) <= set(VALUES)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float64])
def test_any_number_type_is_read_alike(model, dtype):
    x = all_operations()[::301]
    assert torch.equal(model.encode(x.to(dtype)).mu_b, model.encode(x.float()).mu_b)


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


def test_impossible_requests_are_refused(model):
    with pytest.raises(ValueError, match="negative"):
        model.sample(-1)
    with pytest.raises(ValueError, match="'both'"):
        model.sample(3, "C")
    with pytest.raises(ValueError, match="'A' or 'B'"):
        model.decode(torch.zeros(1, 16), "both")


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
