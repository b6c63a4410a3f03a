"""One epoch: which operations it sees, what it averages, and that its row is what schedules and controller said."""

from __future__ import annotations

import math

import pytest
import torch

from ternary_vae.splits import training_split
from ternary_vae.storage.checkpoints import load_checkpoint, save_checkpoint
from ternary_vae.training import schedules
from ternary_vae.training.epoch import Steps, Trainer


@pytest.fixture
def steps(monkeypatch):
    """Every step of the trainers of a test: (batch, whether prior information was due, terms)."""
    seen, step = [], Steps.step

    def watched(self, batch, noise):
        terms = step(self, batch, noise)
        seen.append((batch, noise.prior_draws is not None, terms))
        return terms

    monkeypatch.setattr(Steps, "step", watched)
    return seen


class TestOneEpoch:
    def test_sees_every_training_operation_once_and_no_other(self, small_recipe, steps):
        recipe = small_recipe()
        trainer = Trainer(recipe)
        orders = []
        for size in (256, 512):  # the first epoch's batches are smaller
            steps.clear()
            trainer.train_epoch()
            orders.append(torch.cat([batch for batch, _, _ in steps]))
            assert torch.equal(orders[-1].sort().values, training_split(recipe).train.sort().values)
            assert {len(batch) for batch, _, _ in steps[:-1]} == {size}
        assert not torch.equal(*orders)  # in another order each epoch

    def test_terms_are_means_over_steps(self, small_recipe, steps):
        trainer = Trainer(small_recipe(objective__prior_information__every_steps=3))
        row = trainer.train_epoch()
        for name in ("loss", "reconstruction_a", "kl_b"):
            mean = sum(terms[name].item() for _, _, terms in steps) / len(steps)
            assert row["terms"][name] == pytest.approx(mean, rel=1e-5)
        informed = [terms["prior_information_a"].item() for _, _, terms in steps if "prior_information_a" in terms]
        assert 0 < len(informed) < len(steps)
        assert row["terms"]["prior_information_a"] == pytest.approx(sum(informed) / len(informed), rel=1e-5)

    def test_prior_information_comes_every_so_many_steps_across_epochs(self, small_recipe, steps):
        whole = {"optimizer__first_batches__epochs": 0}
        trainer = Trainer(small_recipe(objective__prior_information__every_steps=3, **whole))
        for _ in range(3):
            trainer.train_epoch()
        assert [due for _, due, _ in steps] == [step % 3 == 0 for step in range(len(steps))]

    def test_smaller_first_batches_bring_prior_draws_every_as_many_operations(self, small_recipe, steps):
        few = {
            "data__train_share": 0.2, "optimizer__batch_size": 40,
            "optimizer__first_batches": {"epochs": 1, "size": 10},
        }  # fmt: skip
        trainer = Trainer(small_recipe(objective__prior_information__every_steps=2, **few))
        trainer.train_epoch()
        assert {len(batch) for batch, _, _ in steps[:-1]} == {10}
        assert [due for _, due, _ in steps] == [step % 8 == 0 for step in range(len(steps))]
        first = len(steps)
        trainer.train_epoch()
        assert [due for _, due, _ in steps[first:]] == [step % 2 == 0 for step in range(first, len(steps))]

    OF_DRAWS = ("objective__prior_information__weight", "objective__prior_information__entropy_weight",
                "objective__recognition")  # fmt: skip

    def test_weights_of_zero_draw_none(self, small_recipe, steps):
        row = Trainer(small_recipe(**dict.fromkeys(self.OF_DRAWS, 0.0))).train_epoch()
        assert not any(due for _, due, _ in steps)
        for name in ("prior_information_a", "prior_entropy_b", "recognition_a"):
            assert row["terms"][name] is None

    @pytest.mark.parametrize("name", OF_DRAWS)
    def test_each_term_of_the_draws_is_reason_enough_for_them(self, small_recipe, steps, name):
        fixed = {"optimizer__first_batches__epochs": 0, "objective__prior_information__every_steps": 2}
        others = dict.fromkeys(self.OF_DRAWS, 0.0) | fixed
        Trainer(small_recipe(**{**others, name: 0.5})).train_epoch()
        assert [due for _, due, _ in steps] == [step % 2 == 0 for step in range(len(steps))]

    @pytest.mark.parametrize("name", ["resolution", "ternary_v5_5", "ternary_v5_5_adaptive_rho"])
    def test_rows_are_what_schedules_and_corrections_say(self, small_recipe, name):
        # Eight steps in the first epoch and four in each other: so many that the gate closes, and ρ waits for it.
        few = {
            "data__train_share": 0.1, "optimizer__batch_size": 80,
            "optimizer__first_batches": {"epochs": 1, "size": 40},
        }  # fmt: skip
        recipe = small_recipe(name, epochs=400, **few).scaled_to(10)  # an epoch of ours is forty of the plan's
        trainer, gate, gates = Trainer(recipe), False, set()
        for epoch in range(10):
            row = trainer.train_epoch()
            assert (row["statenet"] is None) == (name == "resolution")
            corrections = row["statenet"]["corrections"] if row["statenet"] else {"learning_rate": 0, "lambda3": 0}
            assert (row["epoch"], row["phase"]) == (epoch + 1, recipe.phase_at(epoch))
            rate = schedules.learning_rate(recipe, epoch) * (1 + 0.05 * corrections["learning_rate"])
            assert row["learning_rate"] == pytest.approx(schedules.clamp(rate, recipe.optimizer.learning_rate.bounds))
            assert row["temperature_a"] == schedules.temperature_a(recipe, epoch)
            assert row["temperature_b"] == schedules.temperature_b(recipe, epoch)
            assert row["beta_a"] == schedules.beta_a(recipe, epoch)
            assert row["beta_b"] == schedules.beta_b(recipe, epoch)
            lambda3 = schedules.lambda_3(recipe.lambdas, epoch) + 0.01 * corrections["lambda3"]
            assert row["lambda3"] == pytest.approx(schedules.clamp(lambda3, recipe.lambdas.lambda3_bounds))
            target = schedules.permeability_target(recipe, epoch, gate)
            assert row["rho_target"] == target
            rho = schedules.permeability(recipe, target + schedules.clamp(corrections.get("rho", 0), (-0.05, 0.05)))
            assert row["rho"] == pytest.approx(rho)
            assert trainer.model.permeability == row["rho"]
            ratio = row["gradient_norm_b"] / row["gradient_norm_a"]
            assert row["gradient_ratio"] == pytest.approx(ratio)
            gate = schedules.gate_is_open(recipe.gradient_balance, ratio)
            assert row["gate_open"] is gate
            gates.add(gate)
            assert all(rate["lr"] == row["learning_rate"] for rate in trainer.optimizer.param_groups)
        assert gates == ({True} if name == "resolution" else {True, False})


class TestGradients:
    def gradients(self, trainer, size_a, size_b):
        """A gradient for every parameter, so that the two VAEs' norms are as asked for."""
        found = []
        for group, size in zip(trainer.optimizer.param_groups, (size_a, size_b)):
            count = sum(parameter.numel() for parameter in group["params"])
            found += [torch.full_like(parameter, size / math.sqrt(count)) for parameter in group["params"]]
        return found

    @pytest.mark.parametrize(("size_a", "size_b"), [(3.0, 4.0), (0.3, 0.4), (0.0, 0.5)])
    def test_the_whole_norm_is_clipped_and_each_vaes_averaged(self, small_recipe, size_a, size_b):
        """Momentum 0.95 while the ratio of the averages is in (0.8, 1.2), here 1 at the start, and 0.5 elsewhere."""
        trainer = Trainer(small_recipe("ternary_v5_5"))
        clip = min(1.0, 1 / math.hypot(size_a, size_b))
        trainer.plan_epoch()
        trainer.steps()._move(self.gradients(trainer, size_a, size_b))
        # AdamW's first moment after one step is 1 − β₁ of the gradient that it was given.
        moments = trainer.optimizer.state
        norms = [
            math.sqrt(sum(moments[p]["exp_avg"].square().sum().item() for p in group["params"]))
            for group in trainer.optimizer.param_groups
        ]
        given = 1 - trainer.recipe.optimizer.betas[0]
        assert norms == pytest.approx([size_a * clip * given, size_b * clip * given], rel=1e-4)
        averages = [0.95 + 0.05 * size * clip for size in (size_a, size_b)]
        assert trainer.gradient_norms.tolist() == pytest.approx(averages, rel=1e-4)

        trainer.gradient_norms = torch.tensor([1.0, 0.5])
        trainer.steps()._move(self.gradients(trainer, size_a, size_b))
        averages = [0.5 * old + 0.5 * size * clip for old, size in zip((1.0, 0.5), (size_a, size_b))]
        assert trainer.gradient_norms.tolist() == pytest.approx(averages, rel=1e-4)


class TestBalance:
    @pytest.mark.parametrize(("exact", "sign"), [((0.42, 0.40), -1), ((0.40, 0.42), 1)])
    def test_weight_goes_to_the_one_that_is_exact_less_often(self, small_recipe, exact, sign):
        trainer = Trainer(small_recipe(objective__balancing=3.0))
        for _ in range(2):
            before = trainer.balance.weight
            trainer.take_measurement(dict(zip(("exact_under_noise_a", "exact_under_noise_b"), exact)))
            assert sign * (trainer.balance.weight - before) > 0.01
        assert trainer.train_epoch()["balance"] == trainer.balance.weight

    def test_switched_off(self, small_recipe):
        trainer = Trainer(small_recipe(objective__balancing=0.0))
        trainer.take_measurement({"exact_under_noise_a": 0.7, "exact_under_noise_b": 0.3})
        assert trainer.balance.weight == 0


class TestAveraging:
    def test_against_a_running_average_by_hand(self, small_recipe, monkeypatch):
        trainer = Trainer(small_recipe(optimizer__averaging_epochs=2.0))
        steps = math.ceil(len(trainer.training_index) / 512)
        expected = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
        step_by_itself, done = Steps.step, 0

        def step(*given, **named):
            terms = step_by_itself(*given, **named)
            nonlocal done
            share = 1 / max(1.0, min(2.0 * steps, 1 + 0.2 * done))
            for name, weight in trainer.model.named_parameters():
                expected[name] += share * (weight.detach() - expected[name])
            done += 1
            return terms

        monkeypatch.setattr(Steps, "step", step)
        for _ in range(3):
            trainer.train_epoch()
        averaged = dict(trainer.averaged.named_parameters())
        for name in dict(trainer.model.named_parameters()):
            if not name.startswith("state_net."):
                assert torch.allclose(averaged[name], expected[name], atol=1e-6), name
        assert not torch.equal(averaged["decoder_A.decoder.0.weight"], trainer.model.decoder_A.decoder[0].weight)
        assert trainer.averaged.state_net is trainer.model.state_net

    def test_a_checkpoint_keeps_the_average_and_what_is_trained(self, small_recipe, tmp_path):
        trainer = Trainer(small_recipe())
        trainer.train_epoch()
        save_checkpoint(tmp_path / "kept.safetensors", trainer.checkpoint())
        checkpoint = load_checkpoint(tmp_path / "kept.safetensors")
        again = Trainer(small_recipe(seed=9))
        again.restore(checkpoint)
        for of in ("model", "averaged"):
            for mine, other in zip(getattr(trainer, of).parameters(), getattr(again, of).parameters()):
                assert torch.equal(mine, other)
        assert torch.equal(checkpoint.model["decoder_B.fc_in.weight"], trainer.averaged.decoder_B.fc_in.weight)

    def test_without_it_there_is_one_model(self, small_recipe):
        trainer = Trainer(small_recipe("ternary_v5_5"))
        assert trainer.averaged is trainer.model


class TestWeights:
    def test_of_the_model_come_from_the_seed_alone(self, small_recipe):
        first = Trainer(small_recipe(seed=1)).model.state_dict()
        torch.manual_seed(99)
        again, other = (
            Trainer(small_recipe(seed=1)).model.state_dict(),
            Trainer(small_recipe(seed=2)).model.state_dict(),
        )
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not torch.equal(first["encoder_A.fc_mu.weight"], other["encoder_A.fc_mu.weight"])

    def test_the_optimizer_holds_each_once_and_not_the_controllers(self, small_recipe):
        trainer = Trainer(small_recipe())
        held = [id(p) for group in trainer.optimizer.param_groups for p in group["params"]]
        names = {id(p): name for name, p in trainer.model.named_parameters()}
        assert len(held) == len(set(held))
        assert {names[i] for i in held} == {name for name in names.values() if not name.startswith("state_net.")}
