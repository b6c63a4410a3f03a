"""The weights that give every operation its fair share of the prior."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.model import logits_to_tables
from ternary_vae.operations import all_operations
from ternary_vae.recipe import Uniformity as Settings
from ternary_vae.resolution.coverage import decoded_indices
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.trainer import Trainer
from ternary_vae.training.uniformity import Uniformity, coefficients, from_coefficients, orders

CPU = torch.device("cpu")
ALL = torch.arange(19_683)


def usage(seed=0):
    return torch.rand(2, 19_683, generator=torch.Generator().manual_seed(seed)) * 2


def test_running_mean_by_loop():
    table, expected = Uniformity(Settings(strength=0.5, momentum=0.75), CPU), torch.ones(2, 19_683)
    for seed in range(4):
        table.update(usage(seed))
        expected = 0.75 * expected + 0.25 * usage(seed)
    assert torch.allclose(table.tensors()["uniformity"], expected, atol=1e-6)


def test_weights_by_loop():
    table = Uniformity(Settings(strength=0.5, momentum=0.0, bounds=(0.8, 1.9)), CPU)
    table.update(usage())
    for shares, weights in zip(usage(), table.weights(ALL)):
        expected = torch.tensor([min(max((share or 1e-9) ** -0.5, 0.8), 1.9) for share in shares.tolist()])
        assert torch.allclose(weights, expected / expected.mean(), rtol=1e-4)
        assert weights.mean().item() == pytest.approx(1, abs=1e-4)


def test_an_operation_never_met_weighs_most_and_is_finite():
    table = Uniformity(Settings(strength=1.0, momentum=0.0), CPU)
    shares = torch.ones(2, 19_683)
    shares[0, 7] = 0
    table.update(shares)
    for_a, for_b = table.weights(ALL)
    assert for_a.argmax() == 7
    assert for_a[7] / for_a[8] == pytest.approx(2.0)
    assert torch.equal(for_b, torch.ones(19_683))


def test_nothing_to_weigh_without_strength():
    assert Uniformity(Settings(), CPU).weights(ALL) == (None, None)


CONTRASTS = {
    0: {-1: 1.0, 0: 1.0, 1: 1.0},
    1: {-1: -math.sqrt(1.5), 0: 0.0, 1: math.sqrt(1.5)},
    2: {-1: -math.sqrt(0.5), 0: math.sqrt(2), 1: -math.sqrt(0.5)},
}


@pytest.mark.parametrize("chosen", [{}, {0: 1}, {8: 2}, {0: 1, 8: 2}, {3: 2, 5: 1, 6: 1}])
def test_coefficients_by_loop(chosen):
    """The mean of a function times a product of contrasts, written out; `chosen`: entry → contrast."""
    product = [
        math.prod(CONTRASTS[which][table[entry]] for entry, which in chosen.items())
        for table in all_operations().tolist()
    ]
    shares = usage()
    place = sum(which * 3**entry for entry, which in chosen.items())
    found = coefficients(shares)[:, place]
    expected = (shares.double() * torch.tensor(product, dtype=torch.float64)).mean(dim=1)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    assert orders(CPU)[place] == len(chosen)
    alone = torch.zeros(19_683)
    alone[place] = 1
    assert torch.allclose(from_coefficients(alone), torch.tensor(product, dtype=torch.float32), atol=1e-5)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_coefficients_have_an_inverse_and_keep_mean_squares(seed):
    values = usage(seed)
    found = coefficients(values)
    assert torch.allclose(from_coefficients(found), values, atol=1e-5)
    assert torch.allclose(found.square().sum(dim=1), values.square().mean(dim=1), rtol=1e-5)


def shares_of_values(shares):
    """How often each entry has each value, 1 being fair: (2, 9, 3)."""
    of_values = torch.nn.functional.one_hot(all_operations().long() + 1, 3).float()
    return 3 * torch.einsum("vk,kjc->vjc", shares, of_values) / 19_683


def test_steering_goes_on_until_low_orders_are_gone():
    """Shares that answer the weights in proportion, as training's do roughly. What depends on pairs goes; what depends
    on three entries is left alone."""
    table = Uniformity(Settings(orders=2, orders_step=0.3), CPU)
    low, third = torch.zeros(2, 19_683), torch.zeros(2, 19_683)
    generator = torch.Generator().manual_seed(3)
    low[:, (orders(CPU) > 0) & (orders(CPU) <= 2)] = 0.01 * torch.randn(2, 162, generator=generator)
    third[:, 1 + 3 + 9] = 0.1
    product = from_coefficients(low + third).exp()
    for _ in range(60):
        shares = product * torch.stack(table.weights(ALL))
        table.update(shares / shares.mean(dim=1, keepdim=True))
    shares = product * torch.stack(table.weights(ALL))
    shares = shares / shares.mean(dim=1, keepdim=True)
    assert torch.allclose(shares_of_values(shares), torch.ones(2, 9, 3), atol=1e-3)
    found = coefficients(shares)
    assert found[:, orders(CPU) == 2].abs().max() < 1e-3
    assert found[:, 1 + 3 + 9].min() > 0.09


def test_nothing_is_steered_without_orders():
    table = Uniformity(Settings(strength=1.0), CPU)
    table.update(usage())
    assert not table.tensors()["uniformity_steering"].any()


def test_the_tables_go_on_from_what_was_kept():
    recipe = Settings(strength=0.5, orders=2)
    table, again = Uniformity(recipe, CPU), Uniformity(recipe, CPU)
    table.update(usage(1))
    again.restore(table.tensors())
    for each in (table, again):
        each.update(usage(2))
    for one, other in zip(table.weights(ALL), again.weights(ALL)):
        assert torch.equal(one, other)


@pytest.mark.parametrize("widened_share", [0.0, 0.25, 1.0])
def test_usage_is_what_prior_draws_decode_to(small_recipe, widened_share):
    """Counted again, one draw at a time, from the same random numbers: 1,000 draws a VAE, then 500 as wide as the
    sum of a draw and 0.7 of another, of which both VAEs' count for either."""
    recipe = small_recipe(objective__uniformity__widened_share=widened_share)
    trainer = Trainer(recipe)
    found = evaluate(trainer.averaged, recipe, epoch=1).usage
    own, of_both = [], [0.0] * 19_683
    for vae, task in (("A", 2), ("B", 0)):
        generator = torch.Generator().manual_seed((recipe.seed * 1_000_003 + 1) * 8 + task)
        own.append([0.0] * 19_683)
        for index in decoded_indices(trainer.averaged, vae, 1000, generator).tolist():
            own[-1][index] += (1 - widened_share) * 19_683 / 1000
        wide = math.sqrt(1 + 0.7**2) * torch.randn(500, 16, generator=generator)
        for table in logits_to_tables(trainer.averaged.decode(wide, vae)).tolist():
            of_both[index_of(table)] += widened_share * 19_683 / 1000
    assert torch.allclose(found, torch.tensor(own) + torch.tensor(of_both))


def test_as_few_draws_as_may_be(small_recipe):
    recipe = small_recipe(evaluation__coverage_draws=2, objective__uniformity__widened_share=0.5)
    usage = evaluate(Trainer(recipe).averaged, recipe, epoch=1).usage
    assert usage.sum(dim=1).tolist() == pytest.approx([19_683, 19_683])


def index_of(table):
    return sum((value + 1) * 3**entry for entry, value in enumerate(table))
