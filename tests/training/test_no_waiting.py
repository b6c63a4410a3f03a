"""A training step never asks the device for a value: checked operation by operation, so that no GPU is needed.

What would wait on one is looked for on the CPU: operations whose result the host reads or whose shape depends on the
data, copies to the host, and tensors made from the host's numbers. `test_cuda.py` asks CUDA itself.
"""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ternary_vae.acceleration.fleet import Fleet, StackedSteps
from ternary_vae.training import epoch as training_epoch
from ternary_vae.training.epoch import Trainer

READS = {
    "_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2", "unique_dim",
    "unique_consecutive", "bincount", "repeat_interleave", "lift_fresh",
}  # fmt: skip
METHODS = {"item", "tolist", "cpu", "numpy", "__array__", "__bool__", "__float__", "__int__", "__index__"}


class WouldWait(Exception):
    pass


class _Operations(TorchDispatchMode):
    """What the library really runs, backward pass and optimizer included."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        name = operation.overloadpacket.__name__
        self.seen.add(name)
        masks = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in arguments[1]
        )
        elsewhere = (options or {}).get("device")
        if name in READS or masks or (elsewhere is not None and torch.device(elsewhere).type != "cpu"):
            raise WouldWait(name)
        return operation(*arguments, **(options or {}))


class _Calls(TorchFunctionMode):
    """What is asked of a tensor: on the CPU some of it runs no operation."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        name = getattr(function, "__name__", "")
        if name in METHODS:
            raise WouldWait(name)
        return function(*arguments, **(options or {}))


@pytest.fixture(scope="module")
def trainer(small_recipe):
    return Trainer(small_recipe(optimizer__batch_size=64))


def step(trainer, with_prior):
    """One watched training step; the names of the operations it ran and of its terms."""
    plan = trainer.plan_epoch()
    steps = trainer.steps()
    with _Operations() as operations, _Calls():
        terms = steps.step(plan.batches[0], steps.draw(plan.batches[0], with_prior))
    return operations.seen, set(terms)


@pytest.mark.parametrize(
    "name", ["resolution", "ternary_v5_5_adaptive_rho", "two_valued_two_inputs", "four_valued", "three_inputs"]
)
def test_no_step_of_a_recipe_waits(name, small_recipe):
    recipe = small_recipe(name, optimizer__batch_size=64)
    trainer = Trainer(recipe)
    for with_prior in {False, recipe.objective.prior_information.weight > 0}:
        seen, terms = step(trainer, with_prior)
        assert {"addmm", "threshold_backward", "_fused_adamw_"} <= seen  # forward, backward and optimizer were watched
        assert ("recognition_a" in terms) == ("prior_entropy_b" in terms) == with_prior


def test_no_step_of_several_runs_waits(small_recipe, monkeypatch):
    fleet = Fleet([Trainer(small_recipe(seed=seed, data__train_share=0.13)) for seed in range(2)])
    take, watched = StackedSteps.step, set()

    def in_watch(self, batches, noise):
        with _Operations(), _Calls():
            terms = take(self, batches, noise)
        watched.update(terms)
        return terms

    monkeypatch.setattr(StackedSteps, "step", in_watch)
    fleet.train_epoch()
    assert {"recognition_a", "best_of_two", "subspace_overlap", "prior_entropy_b"} <= watched


@pytest.mark.parametrize(
    "asks",
    [
        float, int, bool, lambda x: x.item(), lambda x: x.tolist(), lambda x: x.cpu(), lambda x: x.numpy(),
        lambda x: 1 if x > 0 else 0, lambda x: x[None][x[None] > 0], lambda x: x[None].masked_select(x[None] > 0),
        lambda x: (x[None] > 0).nonzero(), lambda x: torch.where(x[None] > 0), lambda x: x.unique(),
        lambda x: torch.equal(x, x), lambda x: torch.ones(1).index_put_((x[None] > 0,), x),
        lambda x: torch.tensor(1.0), lambda x: x.to("meta"),
    ],
)  # fmt: skip
def test_one_that_asks_is_caught(asks, trainer, monkeypatch):
    monkeypatch.setattr(training_epoch, "averaged_norms", lambda norms, *_, out: asks(norms[0]))
    with pytest.raises(WouldWait):
        step(trainer, with_prior=False)
