"""Recorded steps do what steps do, to the bit. On a CPU the place of a graph of kernels is taken by a tape of the
operations that a step has run, played again on the same memory; `test_cuda.py` does the same with CUDA's."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ternary_vae.acceleration import recorded as recording
from ternary_vae.acceleration.fleet import Fleet
from ternary_vae.training.epoch import Trainer

# Of 937 operations: steps with prior information and without are 8 and 21 in the first epoch, of smaller batches, and 7
# and 7 in the second, beside each one's last. Six of a kind are worth a record.
FEW = {
    "data__train_share": 0.3,
    "optimizer__batch_size": 64,
    "optimizer__first_batches__size": 32,
    "objective__prior_information__every_steps": 2,
}


class Tape(TorchDispatchMode):
    """Notes every operation with the very tensors that it reads and writes. As with a graph of kernels, what is around
    them is done once, while it is noted: Python's branches, numbers, attributes. And what it makes for itself is of no
    use afterwards: a graph's memory is used again."""

    def __init__(self):
        super().__init__()
        self.calls, self.before, self.own, self.played = [], {}, {}, 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        options = options or {}
        for tensor in written_by(operation, arguments, options):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.before:
                self.before[storage.data_ptr()] = storage, storage.clone()
        made = operation(*arguments, **options)
        self.calls.append((operation, arguments, options, made))
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in((arguments, options))}
        for storage in (tensor.untyped_storage() for tensor in tensors_in(made)):
            if storage.data_ptr() not in given:
                self.own[storage.data_ptr()] = storage
        return made

    def undo(self):
        """Noting does nothing: what was written is as before."""
        for storage, content in self.before.values():
            storage.copy_(content)
        self._spoil()

    def _spoil(self):
        for storage in self.own.values():
            storage.fill_(255)  # as float32 not a number

    @torch.no_grad()
    def play(self):
        self.played += 1
        for operation, arguments, options, made in self.calls:
            again = operation(*arguments, **options)
            for place, tensor in zip(tensors_in(made), tensors_in(again), strict=True):
                if place.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr():
                    place.copy_(tensor)
        self._spoil()


def written_by(operation, arguments, options):
    """Tensors that an operation changes."""
    named = dict(zip((each.name for each in operation._schema.arguments), arguments)) | options
    for each in operation._schema.arguments:
        if each.alias_info is not None and each.alias_info.is_write and each.name in named:
            yield from tensors_in(named[each.name])


def tensors_in(values):
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


@pytest.fixture
def tapes(monkeypatch):
    """Makes steps be recorded, on these tapes."""
    made = []

    def recorded(work, device):
        with Tape() as tape:
            work()
        tape.undo()
        made.append(tape)
        return tape.play

    monkeypatch.setattr(recording, "pays_recorded", lambda device: True)
    monkeypatch.setattr(recording, "recorded", recorded)
    return made


def state(trainer):
    tensors = [*trainer.model.parameters(), *trainer.averaged.parameters(), trainer.generator.get_state()]
    return [tensor.detach().clone() for tensor in (*tensors, trainer.gradient_norms)]


@pytest.mark.parametrize("name", ["resolution", "ternary_v5_5"])
def test_an_epoch_recorded_is_an_epoch(name, small_recipe, tapes):
    """Two kinds of step in `resolution`, with and without prior information; the last batch is smaller."""
    recipe = small_recipe(name, **FEW)
    plain, replayed = Trainer(recipe), Trainer(recipe)
    kinds = 2 if name == "resolution" else 1
    for epoch in range(2):
        assert replayed.train_epoch(recording.take_steps) == plain.train_epoch()
        assert len(tapes) == kinds * (epoch + 1)
        played = sum(tape.played for tape in tapes[-kinds:])
        assert played == len(replayed.plan.batches) - 1 - kinds  # all but the first of a kind, and the last
    assert all(map(torch.equal, state(plain), state(replayed)))


def test_of_several_runs_too(small_recipe, tapes, monkeypatch):
    recipes = [small_recipe(seed=seed, optimizer__averaging_epochs=0.5 + seed, **FEW) for seed in range(3)]
    plain, replayed = (Fleet([Trainer(recipe) for recipe in recipes]) for _ in range(2))
    for _ in range(2):
        rows = replayed.train_epoch()
        with monkeypatch.context() as without:
            without.setattr(recording, "pays_recorded", lambda device: False)
            assert rows == plain.train_epoch()
    assert len(replayed._stacks) == 1
    assert len(tapes) == 4  # of two kinds in each epoch
    assert sum(tape.played for tape in tapes) > 10
    for one, other in zip(plain.trainers, replayed.trainers):
        assert all(map(torch.equal, state(one), state(other)))


@pytest.mark.parametrize(("every_steps", "records"), [(2, 0), (10, 1)])
def test_few_steps_of_a_kind_are_not_worth_a_record(every_steps, records, small_recipe, tapes):
    """Ten steps before the last: five of each kind, or one and nine."""
    few = {"data__train_share": 0.2, "optimizer__batch_size": 60, "optimizer__first_batches__epochs": 0}
    trainer = Trainer(small_recipe(objective__prior_information__every_steps=every_steps, **few))
    trainer.train_epoch(recording.take_steps)
    assert len(trainer.plan.batches) == 11
    assert len(tapes) == records
