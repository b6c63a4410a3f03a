"""Several runs at once: each becomes what it becomes alone, and stays an ordinary run."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch

from ternary_vae.acceleration.denormals import _are_flushed, flushed_denormals
from ternary_vae.acceleration.fleet import Fleet, pays_together, stacked_controls
from ternary_vae.acceleration.stacked import Stack
from ternary_vae.objective import Controls, Noise, draw_noise
from ternary_vae.recipe import load_recipe
from ternary_vae.storage.checkpoints import load_checkpoint, save_checkpoint
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.optimizer import FlatAdamW

FEW = {
    "data.train_share": 0.02,
    "data.validation_share": 0.1,
    "optimizer.batch_size": 64,
    "objective.prior_information.draws": 64,
    "objective.prior_information.subset_entries": 5,
    "objective.prior_information.every_steps": 2,
}


def recipes(name, count=3, **changes):
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return [load_recipe(name, overrides=FEW | dotted, seed=seed) for seed in range(1, count + 1)]


def weights(*trainers):
    return [parameter.detach().clone() for trainer in trainers for parameter in trainer.model.parameters()]


def measurement():
    """What an epoch may have measured."""
    return {"exact_under_noise_a": 0.41, "exact_under_noise_b": 0.40}


@pytest.fixture
def in_double(monkeypatch):
    """A function: trainers of recipes that compute in double precision, where rounding tips no ReLU over."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)

    def make(many):
        trainers = [Trainer(recipe) for recipe in many]
        for trainer in trainers:
            trainer.inputs = trainer.inputs.double()
        return trainers

    yield make
    torch.set_default_dtype(before)


class TestAgreesWithSingleRuns:
    @pytest.mark.parametrize("name", ["ternary_v5_5", "resolution"])
    def test_in_double_precision_to_rounding(self, in_double, name, monkeypatch):
        """Two epochs of different seeds, ρ, β, temperatures, learning rates, averages and controllers. Gradients are
        not clipped: the optimizer's kernel takes its factor in single precision. Also as an accelerator does it, with
        optimizers all at once."""
        free = {"optimizer__gradient_clip": 1e6}
        many = recipes(name, **free)
        many[1] = recipes(
            name, 2, permeability__adaptive=True, phases__phase_1__rho=0.4, temperature__a_start=0.7, **free
        )[1]  # fmt: skip
        many[2] = recipes(
            name, beta__warm=0.1, lambdas__initial=0.6, optimizer__learning_rate__peak=5e-4,
            optimizer__averaging_epochs=1.0, **free,
        )[2]  # fmt: skip
        alone, one_by_one, at_once = (in_double(many) for _ in range(3))
        fleets = Fleet(one_by_one), Fleet(at_once)
        for _ in range(2):
            rows_one_by_one = fleets[0].train_epoch()
            with monkeypatch.context() as accelerator:
                accelerator.setattr(Stack, "_moves_at_once", lambda stack: len(stack.rows) > 1)
                rows_at_once = fleets[1].train_epoch()
            rows_alone = [trainer.train_epoch() for trainer in alone]
            assert [len(fleet._stacks) for fleet in fleets] == [1, 1]
            for one, other in zip([*rows_alone, *rows_alone], [*rows_one_by_one, *rows_at_once], strict=True):
                assert flat(other) == pytest.approx(flat(one), rel=1e-7, abs=1e-9)
                assert one["terms"]["kl_a"] > 0
            for trainer in (*alone, *one_by_one, *at_once):
                trainer.take_measurement(measurement())
        for one, other in zip([*alone, *alone], [*one_by_one, *at_once], strict=True):
            for mine, theirs in zip(weights(one), weights(other)):
                torch.testing.assert_close(theirs, mine, rtol=1e-7, atol=1e-9)
            for mine, theirs in zip(one.averaged.parameters(), other.averaged.parameters()):
                torch.testing.assert_close(theirs, mine, rtol=1e-7, atol=1e-9)
            assert torch.equal(one.generator.get_state(), other.generator.get_state())
            for name in ("gradient_norms", "balance"):
                torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=1e-7, atol=1e-9)

    def test_in_single_precision(self):
        """Six steps. What remains is the rounding of sums, seen through Adam's division by small moments."""
        alone, together = ([Trainer(recipe) for recipe in recipes("ternary_v5_5")] for _ in range(2))
        Fleet(together).train_epoch()
        for one, other in zip(alone, together):
            one.train_epoch()
            for mine, theirs in zip(weights(one), weights(other)):
                torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=2e-6)

    def test_the_same_runs_together_give_the_same_bits(self):
        def train():
            fleet = Fleet([Trainer(recipe) for recipe in recipes("resolution")])
            rows = [fleet.train_epoch() for _ in range(2)]
            return rows, weights(*fleet.trainers)

        (first, weights_first), (second, weights_second) = train(), train()
        assert first == second
        assert all(map(torch.equal, weights_first, weights_second))


class TestStack:
    """How an accelerator moves the weights of all runs at once, on a CPU against the kernel of `torch.optim.AdamW`."""

    def test_all_runs_at_once_move_as_one_by_one(self, in_double):
        stacks = []
        for _ in range(2):
            trainers = in_double(recipes("resolution"))
            for number, trainer in enumerate(trainers):
                for group in trainer.optimizer.param_groups:
                    group["lr"] = (1 + number) * {"A": 1e-3, "B": 2e-3, "injection": 3e-3}[group["name"]]
            stacks.append(Stack([t.model for t in trainers], [t.optimizer for t in trainers]))
        one_by_one, at_once = stacks
        at_once._steps[1] += 7  # a run that is ahead of the others
        one_by_one._steps[1] += 7
        generator, excess = torch.Generator().manual_seed(4), torch.tensor([1.0, 1.0, 2.5])
        before = one_by_one.rows.detach().clone()
        for number in range(4):
            if number == 2:
                for stack in stacks:
                    stack._optimizers[0].param_groups[1]["lr"] = 5e-3
            gradient = torch.randn(before.shape, generator=generator) * 10.0 ** (-number)
            for stack, move in ((one_by_one, FlatAdamW._move), (at_once, Stack._move_at_once)):
                stack._steps += 1
                move(stack, gradient.clone(), excess)
        assert (one_by_one.rows != before).all()
        for name in ("rows", "_moments", "_steps"):
            torch.testing.assert_close(getattr(at_once, name), getattr(one_by_one, name), rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("with_prior", [False, True])
    def test_noise_of_several_is_each_ones_own(self, with_prior):
        (recipe,) = recipes("resolution", 1)
        seeds = (3, 1, 2)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        several = draw_noise(40, recipe.objective, generators, torch.device("cpu"), with_prior)
        for place, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            own = draw_noise(40, recipe.objective, generator, torch.device("cpu"), with_prior)
            for field in fields(Noise):
                value = getattr(several, field.name)
                expected = getattr(own, field.name)
                of_prior = field.name in ("prior_draws", "subsets")
                assert (value is None) == (expected is None) == (of_prior and not with_prior)
                assert value is None or torch.equal(value[place], expected)
            assert torch.equal(generators[place].get_state(), generator.get_state())


class TestGroups:
    def test_runs_of_different_shapes_train_apart(self):
        many = [*recipes("ternary_v5_5", 2), *recipes("ternary_v5_5", 2, optimizer__batch_size=128)]
        many += recipes("ternary_v5_5", 1, optimizer__weight_decay=0.01)
        fleet = Fleet([Trainer(recipe) for recipe in many])
        rows = fleet.train_epoch()
        assert set(fleet._stacks) == {(0, 1), (2, 3)}
        assert [row["epoch"] for row in rows] == [1] * 5
        alone = Trainer(many[4])
        assert alone.train_epoch() == rows[4]

    def test_epochs_are_planned_and_trained_on_one_core_denormals_flushed(self, monkeypatch):
        """Alone and together. Afterwards, and on other devices, all is as before."""
        able = torch.set_flush_denormal(True)
        torch.set_flush_denormal(False)
        torch.set_num_threads(2)  # `_one_core` sets it back
        seen = []

        def noted(name):
            method = getattr(Trainer, name)

            def noting(*given):
                seen.append((name, torch.get_num_threads(), _are_flushed()))
                return method(*given)

            monkeypatch.setattr(Trainer, name, noting)

        noted("plan_epoch")
        noted("close_epoch")
        fleet = Fleet([Trainer(recipe) for recipe in recipes("ternary_v5_5", 2, optimizer__batch_size=512)])
        fleet.train_epoch(only=[1])
        fleet.train_epoch()
        planned, closed = ("plan_epoch", 1), ("close_epoch", 1, able)
        assert seen == [(*planned, able), closed, *[(*planned, False)] * 2, *[closed] * 2]
        assert (torch.get_num_threads(), _are_flushed()) == (2, False)
        with flushed_denormals(torch.device("cuda")):
            assert not _are_flushed()
        with flushed_denormals(torch.device("cpu")):
            with flushed_denormals(torch.device("cpu")):
                pass
            assert _are_flushed() == able

    def test_large_batches_on_a_cpu_train_one_by_one(self):
        """There calling an operation costs less than doing it."""
        cpu, cuda = torch.device("cpu"), torch.device("cuda")
        large, small = (load_recipe("resolution", overrides={"optimizer.batch_size": n}) for n in (4096, 1280))
        assert [pays_together(recipe, device) for recipe in (small, large) for device in (cpu, cuda)] == [
            True, True, False, True,
        ]  # fmt: skip

    def test_every_control_that_may_differ_is_passed_on(self):
        """A new field of `Controls` is either read by the objective or belongs to the optimizer."""
        full = {field.name: 0.5 for field in fields(Controls)}
        found = stacked_controls([Controls(**full), Controls(**{**full, "rho": 0.25})], torch.device("cpu"))
        tensors = {field.name for field in fields(Controls) if isinstance(getattr(found, field.name), torch.Tensor)}
        assert tensors == set(full) - {"learning_rate", "learning_rate_factor_a"}
        assert found.rho.tolist() == [[[0.5]], [[0.25]]]
        assert found.lambda1.tolist() == [0.5, 0.5]

    def test_a_run_may_rest_be_restored_and_go_on_alone(self, tmp_path):
        """Restored from its checkpoint it repeats its epoch to the same bits, and alone it goes on from there."""
        fleet = Fleet([Trainer(recipe) for recipe in recipes("ternary_v5_5")])
        fleet.train_epoch()
        run = fleet.trainers[1]
        save_checkpoint(tmp_path / "first.safetensors", run.checkpoint())
        fleet.train_epoch()
        second, row = weights(run), run.checkpoint()
        others = weights(fleet.trainers[0], fleet.trainers[2])

        run.restore(load_checkpoint(tmp_path / "first.safetensors"))
        (repeated,) = fleet.train_epoch(only=[1])
        assert repeated["epoch"] == 2
        assert run.epochs_completed == 2
        for mine, theirs in zip(weights(run), second):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=2e-6)
        assert all(map(torch.equal, others, weights(fleet.trainers[0], fleet.trainers[2])))
        fresh = Trainer(run.recipe)
        fresh.restore(row)
        fleet.train_epoch()
        assert run.epochs_completed == 3

    def test_one_that_diverges_leaves_the_others_alone(self):
        def train(spoilt):
            trainers = [Trainer(recipe) for recipe in recipes("ternary_v5_5")]
            if spoilt:
                with torch.no_grad():
                    trainers[1].model.encoder_A.fc_mu.bias.fill_(math.inf)
            rows = Fleet(trainers).train_epoch()
            return rows, trainers

        (clean, _), (rows, trainers) = train(False), train(True)
        assert not math.isfinite(rows[1]["terms"]["loss"])
        assert (rows[0], rows[2]) == (clean[0], clean[2])
        assert all(torch.isfinite(weight).all() for weight in weights(trainers[0]))


def flat(row, prefix=""):
    """Numbers of a row by dotted name."""
    found = {}
    for key, value in row.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        elif value is not None:
            found[f"{prefix}{key}"] = value
    return found
