"""The weights that give every operation its fair share of the prior."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.recipe import Uniformity as Settings
from ternary_vae.resolution.coverage import decoded_indices
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.trainer import Trainer
from ternary_vae.training.uniformity import Uniformity

CPU = torch.device("cpu")
ALL = torch.arange(19_683)


def usage(seed=0):
    return torch.rand(2, 19_683, generator=torch.Generator().manual_seed(seed)) * 2


def test_running_mean_by_loop():
    table, expected = Uniformity(Settings(strength=0.5, momentum=0.75), CPU), torch.ones(2, 19_683)
    for seed in range(4):
        table.update(usage(seed))
        expected = 0.75 * expected + 0.25 * usage(seed)
    assert torch.allclose(table.table, expected, atol=1e-6)


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


def test_usage_is_what_prior_draws_decode_to(small_recipe):
    """Counted again, one draw at a time, from the same random numbers."""
    recipe = small_recipe()
    trainer = Trainer(recipe)
    found = evaluate(trainer.averaged, recipe, epoch=1).usage
    for row, (vae, task) in zip(found, (("A", 2), ("B", 0))):
        seed = (recipe.seed * 1_000_003 + 1) * 8 + task
        expected = [0.0] * 19_683
        for index in decoded_indices(trainer.averaged, vae, 1000, torch.Generator().manual_seed(seed)).tolist():
            expected[index] += 19_683 / 1000
        assert torch.allclose(row, torch.tensor(expected))
