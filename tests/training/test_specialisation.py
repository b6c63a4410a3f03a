"""The table that says which VAE an operation is at home in, and the weights that follow."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from ternary_vae.recipe import Specialisation as Settings
from ternary_vae.resolution.complementarity import NoiseOutcome
from ternary_vae.training.evaluation import Evaluation
from ternary_vae.training.specialisation import Specialisation, log_ratio_of_homes
from ternary_vae.training.trainer import Trainer

CPU = torch.device("cpu")
ALL = torch.arange(19_683)


DRAWS = 64
FAIR = torch.ones(2, 19_683)
NONE_WRONG = torch.zeros(2, 19_683, dtype=torch.bool)


def outcome(seed=0, count=19_683):
    """A exact alone in 10 to 29 draws, B in 0 to 19: A ahead nearly everywhere."""
    generator = torch.Generator().manual_seed(seed)
    only_a = torch.randint(10, 30, (count,), generator=generator)
    only_b = torch.randint(0, 30, (count,), generator=generator)
    return NoiseOutcome(only_a, only_b, torch.zeros_like(only_a), DRAWS)


def specialised(strength=0.3, start_epoch=0):
    return Specialisation(Settings(strength=strength, start_epoch=start_epoch), CPU)


def test_the_median_splits_the_space_in_halves():
    """However far one VAE is ahead, neither half is larger than 9,841 operations; what ties with the median is
    nobody's."""
    table = specialised()
    table.update(ALL, outcome())
    for_a, for_b = table.weights(ALL, epoch=1)
    lead = outcome().only_a - outcome().only_b
    median = lead.sort().values[9841]
    assert torch.allclose(for_a, torch.where(lead > median, 1.3, torch.where(lead < median, 0.7, 1.0)))
    assert torch.allclose(for_a + for_b, torch.full((19_683,), 2.0))
    assert 8000 < (for_a > 1).sum() <= 9841
    assert 8000 < (for_a < 1).sum() <= 9841


def test_a_batch_gets_its_own_rows():
    table = specialised()
    table.update(ALL, outcome())
    batch = torch.tensor([5, 19_682, 5, 77])
    everything = table.weights(ALL, epoch=1)
    for part, whole in zip(table.weights(batch, epoch=1), everything):
        assert torch.equal(part, whole[batch])


def test_a_measurement_replaces_the_last_one_of_its_operations_alone():
    table = specialised()
    table.update(ALL, outcome())
    some = torch.arange(3, 19_683, 16)
    table.update(some, outcome(seed=1, count=len(some)))
    expected = torch.stack([outcome().only_a, outcome().only_b])
    expected[:, some] = torch.stack([outcome(1, len(some)).only_a, outcome(1, len(some)).only_b])
    assert torch.equal(table.table.long(), expected)


def test_ratio_of_homes_by_counting():
    nothing = torch.zeros(0, dtype=torch.long)
    assert log_ratio_of_homes(NoiseOutcome(nothing, nothing, nothing, DRAWS)) == 0
    found = outcome()
    homes = {1: 0, -1: 0}
    for only_a, only_b in zip(found.only_a.tolist(), found.only_b.tolist()):
        if stats.binomtest(only_a, only_a + only_b).pvalue <= 0.01:
            homes[1 if only_a > only_b else -1] += 1
    assert homes[1] > 1000 > homes[-1] > 10
    assert log_ratio_of_homes(found).item() == pytest.approx(math.log((homes[1] + 5) / (homes[-1] + 5)))


def test_balancing_by_homes_moves_weight_to_the_vae_that_is_behind(small_recipe):
    settings = {"balancing": 1.0, "balancing_homes_from": 1, "balancing_homes_step": 0.25, "balancing_bound": 0.4}
    changes = {f"objective__{name}": value for name, value in settings.items()}
    trainer = Trainer(small_recipe(evaluation__noise_draws=DRAWS, **changes))
    ahead = outcome()
    evaluation = Evaluation({}, ALL, ahead, FAIR, NONE_WRONG)
    trainer.take_measurement(evaluation)
    assert trainer.balance == 0  # too early
    trainer.epochs_completed = 1
    found = []
    for _ in range(2):
        trainer.take_measurement(evaluation)
        found.append(trainer.balance.item())
    behind = ahead._replace(only_a=ahead.only_b, only_b=ahead.only_a)
    trainer.take_measurement(Evaluation({}, ALL, behind, FAIR, NONE_WRONG))
    # A is ahead by far more than e : 1, so each step is a whole one, down to the bound; then up again.
    assert [*found, trainer.balance.item()] == pytest.approx([-0.25, -0.4, -0.15])


@pytest.mark.parametrize(("strength", "start", "epoch"), [(0.0, 0, 9), (0.3, 5, 4), (0.3, 0, 0)])
def test_nothing_to_weigh(strength, start, epoch):
    table = specialised(strength, start)
    table.update(ALL, outcome())
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
        trainer.specialisation.table = torch.stack([home > 0, home < 0]).int()
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
