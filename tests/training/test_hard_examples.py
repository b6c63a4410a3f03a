"""Weights of operations that are hard: against a slow table in Python, and against what the model answers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ternary_vae.operations import all_operations
from ternary_vae.recipe import HardExamples as Settings
from ternary_vae.recipe import load_recipe
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.hard_examples import HardExamples
from ternary_vae.training.trainer import Trainer

ALL = torch.arange(19_683)


def hard(*pairs):
    """A table with the given (VAE, operation) pairs hard."""
    table = torch.zeros(2, 19_683, dtype=torch.bool)
    for vae, operation in pairs:
        table[vae, operation] = True
    return table


def test_weights_against_a_slow_table():
    settings = Settings(step=0.5, momentum=0.9, bound=4.0, start_epoch=3)
    examples, expected = HardExamples(settings, ALL), {}
    one = [(0, 7)]
    for epoch, pairs in ((1, one), (3, [(0, 7), (1, 9)]), (4, one), (5, []), (6, one), (7, one), (8, one)):
        examples.update(hard(*pairs), epoch)
        if epoch >= 3:
            for pair in {*expected, *pairs}:
                grown = 0.9 * expected.get(pair, 0.0) + 0.5 * (pair in pairs)
                expected[pair] = min(grown, math.log(4.0))
        slow = [[math.exp(expected.get((vae, operation), 0.0)) for operation in range(19_683)] for vae in (0, 1)]
        for found, plain in zip(examples.weights(ALL), slow):
            mean = sum(plain) / len(plain)
            assert found.tolist() == pytest.approx([weight / mean for weight in plain], rel=1e-5)
    assert expected[0, 7] == pytest.approx(math.log(4.0))


def test_a_batch_gets_its_own():
    examples = HardExamples(Settings(step=1.0), ALL)
    examples.update(hard((1, 5)), 0)
    weight_a, weight_b = examples.weights(torch.tensor([3, 5, 5]))
    assert weight_a.tolist() == [1, 1, 1]
    mean = (19_682 + math.e) / 19_683
    assert weight_b.tolist() == pytest.approx([1 / mean, math.e / mean, math.e / mean])


def test_nothing_is_weighed_without_a_step():
    examples = HardExamples(Settings(), ALL)
    examples.update(hard((0, 1)), 100)
    assert examples.weights(ALL) == (None, None)
    assert not examples.table.any()


@pytest.mark.parametrize("lead", [0.0, 0.5])
def test_what_is_hard_is_what_the_model_answers(small_recipe, lead):
    """Every operation decoded by itself from its posterior means, alone and coupled, in double precision."""
    recipe = small_recipe(objective__hard_examples__lead=lead, data__train_share=0.8)
    trainer = Trainer(recipe)
    trainer.train_epoch()
    model = trainer.averaged
    found = evaluate(model, recipe, epoch=1).hard
    outright = evaluate(model, small_recipe(objective__hard_examples__lead=0.0), epoch=1).hard
    barely = (found & ~outright).any(dim=0).nonzero()[:, 0]
    assert (len(barely) > 0) == (lead > 0)
    some = torch.cat([torch.arange(0, 19_683, 400), barely[:20]])
    model.double().eval()
    for index in some.tolist():
        table = all_operations()[index]
        with torch.no_grad():
            codes = model.encode(table[None])
            answers = [model.decode(codes.mu_a, "A"), model.decode(codes.mu_b, "B")]
            answers += model.decode_coupled(codes.mu_a, codes.mu_b)
        leads = []
        for logits in answers:
            entries = zip(logits[0].tolist(), table.tolist())
            leads.append(min(of[value + 1] - max(of[: value + 1] + of[value + 2 :]) for of, value in entries))
        smallest = [min(leads[0], leads[2]), min(leads[1], leads[3])]
        assert found[:, index].tolist() == [each < lead for each in smallest]
    assert found.any()


def test_errors_reach_the_weights_and_the_checkpoint(small_recipe):
    recipe = small_recipe(objective__hard_examples__step=0.5)
    trainer = Trainer(recipe)
    trainer.train_epoch()
    evaluation = evaluate(trainer.averaged, recipe, epoch=1)
    trainer.take_measurement(evaluation)
    operations = trainer.training_index[:64]
    plain = Trainer(small_recipe(objective__hard_examples__step=0.0))
    plain.epochs_completed = trainer.epochs_completed
    plain.specialisation.table = trainer.specialisation.table
    plain.uniformity.restore(trainer.uniformity.tensors())
    expected = plain.operation_weights(operations)
    for found, own, hard_ones in zip(trainer.operation_weights(operations), expected, evaluation.hard):
        factor = torch.where(hard_ones, math.exp(0.5), 1.0)
        factor = factor[operations] / factor[trainer.training_index].mean()
        assert torch.allclose(found, factor if own is None else own * factor)
    again = Trainer(recipe)
    again.restore(trainer.checkpoint())
    assert torch.equal(again.hard_examples.table, trainer.hard_examples.table)
    assert trainer.hard_examples.table.any()


def test_errors_on_operations_held_out_change_nothing(small_recipe):
    """With or without them, the same weights for what is trained on."""
    recipe = small_recipe(objective__hard_examples__step=0.5, data__train_share=0.1)
    weights = []
    for held_out_is_hard in (False, True):
        trainer = Trainer(recipe)
        trainer.train_epoch()
        evaluation = evaluate(trainer.averaged, recipe, epoch=1)
        table = torch.full_like(evaluation.hard, held_out_is_hard)
        table[:, trainer.training_index] = evaluation.hard[:, trainer.training_index]
        trainer.take_measurement(replace(evaluation, hard=table))
        weights.append(torch.stack(trainer.operation_weights(trainer.training_index)))
        assert trainer.hard_examples.table[:, trainer.training_index].any()
    assert torch.equal(*weights)


def test_a_scaled_run_starts_as_early():
    recipe, whole = load_recipe("resolution", epochs=100, scale_phases=True), load_recipe("resolution")
    assert recipe.objective.hard_examples.start_epoch == round(whole.objective.hard_examples.start_epoch / 4)
