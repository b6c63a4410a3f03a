"""The table that says which VAE an operation is at home in, and the weights that follow."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.recipe import Specialisation as Settings
from ternary_vae.training.specialisation import Specialisation
from ternary_vae.training.trainer import Trainer

CPU = torch.device("cpu")
ALL = torch.arange(19_683)


def advantage(seed=0):
    return torch.randn(19_683, generator=torch.Generator().manual_seed(seed)) + 3.0  # A ahead nearly everywhere


def specialised(strength=0.3, start_epoch=0, momentum=0.9):
    return Specialisation(Settings(strength=strength, start_epoch=start_epoch, momentum=momentum), CPU)


def test_the_median_splits_the_space_in_halves():
    """However far one VAE is ahead, each gets its half: 9,841 operations, and the median itself is nobody's."""
    table = specialised()
    table.update(advantage())
    for_a, for_b = table.weights(ALL, epoch=1)
    assert (for_a == 1.3).sum() == (for_b == 1.3).sum() == 9841
    assert (for_a == 0.7).sum() == (for_b == 0.7).sum() == 9841
    assert ((for_a == 1) & (for_b == 1)).sum() == 1
    median = table.table.sort().values[9841]
    assert torch.equal(for_a > 1, table.table > median)
    assert torch.allclose(for_a + for_b, torch.full((19_683,), 2.0))


def test_a_batch_gets_its_own_rows():
    table = specialised()
    table.update(advantage())
    batch = torch.tensor([5, 19_682, 5, 77])
    everything = table.weights(ALL, epoch=1)
    for part, whole in zip(table.weights(batch, epoch=1), everything):
        assert torch.equal(part, whole[batch])


def test_running_mean_by_loop():
    table, expected = specialised(momentum=0.75), torch.zeros(19_683)
    for seed in range(4):
        table.update(advantage(seed))
        expected = 0.75 * expected + 0.25 * advantage(seed)
    assert torch.allclose(table.table, expected, atol=1e-6)


@pytest.mark.parametrize(("strength", "start", "epoch"), [(0.0, 0, 9), (0.3, 5, 4), (0.3, 0, 0)])
def test_nothing_to_weigh(strength, start, epoch):
    table = specialised(strength, start)
    table.update(advantage())
    assert table.weights(ALL, epoch) == (None, None)


def test_before_anything_is_measured_all_weigh_the_same():
    for_a, for_b = specialised().weights(ALL, epoch=1)
    assert torch.equal(for_a, torch.ones(19_683))
    assert torch.equal(for_b, torch.ones(19_683))


def test_in_training_it_moves_operations_home(small_recipe):
    """Homes by the first entry (1: A, −1: B, 0: nobody): with the weights A leads in its own half
    by 1 nat more (found: 3.0 after eight epochs)."""

    def agreement(strength):
        trainer = Trainer(
            small_recipe(objective__specialisation__strength=strength, optimizer__batch_size=256, epochs=400)
        )
        home = trainer.inputs[:, 0]
        trainer.specialisation.table = home
        for _ in range(8):
            trainer.train_epoch()
        losses = []
        with torch.no_grad():
            x, classes = trainer.inputs[trainer.training_index], trainer.classes[trainer.training_index]
            for encoder, decoder in (
                (trainer.model.encoder_A, trainer.model.decoder_A),
                (trainer.model.encoder_B, trainer.model.decoder_B),
            ):
                logits = decoder(encoder(x)[0])
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
                losses.append(loss.view(-1, 9).sum(1))
        lead = losses[1] - losses[0]
        own = home[trainer.training_index]
        return (lead[own > 0].mean() - lead[own < 0].mean()).item()

    without, with_it = agreement(0.0), agreement(0.6)
    assert with_it > without + 1
