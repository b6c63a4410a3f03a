"""The weights that give every operation its fair share of the prior."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.operations import all_operations
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


def test_shares_of_values_by_loop():
    table = Uniformity(Settings(), CPU)
    shares = table.shares_of_values(usage())
    operations = all_operations()
    for vae, entry, value in ((0, 0, -1), (0, 8, 0), (1, 3, 1), (1, 5, -1)):
        own = operations[:, entry] == value
        assert shares[vae, entry, value + 1].item() == pytest.approx(usage()[vae][own].mean().item(), rel=1e-4)
    assert torch.allclose(table.shares_of_values(torch.ones(2, 19_683)), torch.ones(2, 9, 3), rtol=1e-5)


def test_weights_of_values_move_until_the_middle_has_the_share_that_is_wanted():
    """Shares that answer the weights, as training does: in proportion. VAE-B's middle value is 1."""
    table = Uniformity(Settings(level_step=0.3, middle_share=1.06), CPU, middle_values=(0, 1))
    generator = torch.Generator().manual_seed(3)
    skewed = (torch.randn(2, 9, 3, generator=generator) * 0.1).exp()
    of_values = torch.nn.functional.one_hot(all_operations().long() + 1, 3).float()
    product = torch.einsum("kjc,vjc->vk", of_values, skewed.log()).exp()
    for _ in range(60):
        shares = product * torch.stack(table.weights(ALL))
        table.update(shares / shares.mean(dim=1, keepdim=True))
    shares = product * torch.stack(table.weights(ALL))
    found = table.shares_of_values(shares / shares.mean(dim=1, keepdim=True))
    assert torch.allclose(found[0], torch.tensor([0.97, 1.06, 0.97]).expand(9, 3), atol=1e-3)
    assert torch.allclose(found[1], torch.tensor([0.97, 0.97, 1.06]).expand(9, 3), atol=1e-3)


def test_the_tables_go_on_from_what_was_kept():
    settings = Settings(strength=0.5, level_step=0.1)
    table, again = Uniformity(settings, CPU), Uniformity(settings, CPU)
    table.update(usage(1))
    again.restore(table.tensors())
    for each in (table, again):
        each.update(usage(2))
    for one, other in zip(table.weights(ALL), again.weights(ALL)):
        assert torch.equal(one, other)


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
