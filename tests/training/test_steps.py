"""Recorded steps do what steps do, to the bit. On a CPU what a record is made of is done again in place of the graph of
kernels; `test_cuda.py` does the same on CUDA."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.training import steps
from ternary_vae.training.fleet import Fleet
from ternary_vae.training.trainer import Trainer

FEW = {"data__train_share": 0.05, "optimizer__batch_size": 64, "optimizer__first_batches__size": 32}


@pytest.fixture
def records(monkeypatch):
    """Makes steps be recorded; one list a record, which grows by an item every time it is replayed."""
    made = []

    def recorded(work):
        replayed = []
        made.append(replayed)

        def repeat():
            replayed.append(True)
            work()

        return repeat

    monkeypatch.setattr(steps, "pays_recorded", lambda device: True)
    monkeypatch.setattr(steps, "recorded", recorded)
    return made


def state(trainer):
    tensors = [*trainer.model.parameters(), *trainer.averaged.parameters(), trainer.generator.get_state()]
    return [tensor.detach().clone() for tensor in (*tensors, *(getattr(trainer, name) for name in steps.RUNNING))]


@pytest.mark.parametrize("name", ["resolution", "ternary_v5_5"])
def test_an_epoch_recorded_is_an_epoch(name, small_recipe, records, monkeypatch):
    """Two kinds of step in `resolution`, with and without prior information; the last batch is smaller."""
    recipe = small_recipe(name, objective__prior_information__every_steps=3, **FEW | {"data__train_share": 0.1})
    plain, replayed = Trainer(recipe), Trainer(recipe)
    for _ in range(3):
        before = len(records)
        row = replayed.train_epoch()
        new = records[before:]
        with monkeypatch.context() as without:
            without.setattr(steps, "pays_recorded", lambda device: False)
            assert plain.train_epoch() == row
        kinds = 2 if name == "resolution" else 1
        assert len(new) == kinds
        assert sum(map(len, new)) == len(replayed.plan.batches) - 1 - kinds  # but the first of a kind, and the last
    assert all(map(torch.equal, state(plain), state(replayed)))


def test_few_steps_of_a_kind_are_not_worth_a_record(small_recipe, records):
    """Four full batches and a last one, smaller."""
    trainer = Trainer(small_recipe("ternary_v5_5", optimizer__first_batches__epochs=0))
    trainer.train_epoch()
    assert len(trainer.plan.batches) < steps.WORTH_RECORDING
    assert not records


def test_of_several_runs_too(small_recipe, records, monkeypatch):
    recipes = [small_recipe(seed=seed, optimizer__averaging_epochs=0.5 + seed, **FEW) for seed in range(3)]
    plain, replayed = (Fleet([Trainer(recipe) for recipe in recipes]) for _ in range(2))
    for _ in range(2):
        rows = replayed.train_epoch()
        with monkeypatch.context() as without:
            without.setattr(steps, "pays_recorded", lambda device: False)
            assert plain.train_epoch() == rows
    assert len(replayed._stacks) == 1
    assert sum(map(len, records)) > 10
    for one, other in zip(plain.trainers, replayed.trainers):
        assert all(map(torch.equal, state(one), state(other)))
