"""The hypergradient against finite differences, and StateNet learning from it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from ternary_vae.model import DualVAE, StateNet
from ternary_vae.model.statenet import CORRECTIONS, STATE
from ternary_vae.operations import all_operations
from ternary_vae.recipe import Objective, load_recipe
from ternary_vae.training.hypergradient import Controller, trainable, validation_objective
from ternary_vae.training.objective import Controls, Noise, Weights, objective
from ternary_vae.training.trainer import Trainer

STATE_EXAMPLE = dict(zip(STATE, (2.9, 3.1, 12.0, 14.0, 1.1, 0.3, 0.7, 0.68, 0.35)))
LEARNS = {"statenet__learning": "hypergradient"}


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class OneStep:
    """A real AdamW step of a tiny batch, with everything that the finite differences need to repeat it."""

    rows = 16

    def __init__(self, factor_a=1.0):
        generator = torch.Generator().manual_seed(3)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.model = DualVAE("translated")
        chosen = torch.randint(19_683, (self.rows,), generator=generator)
        self.classes = all_operations()[chosen].long() + 1
        self.x = self.classes - 1.0
        self.noise = Noise(*torch.randn(2, self.rows, 16, generator=generator))
        self.controls = Controls(
            learning_rate=2e-3, rho=0.35, temperature_a=0.8, temperature_b=0.6, beta_a=0.3, beta_b=0.2, lambda1=0.7,
            lambda2=0.6, lambda3=0.4, repulsion_b=0.01, learning_rate_factor_a=factor_a,
        )  # fmt: skip
        recipe = load_recipe("resolution", overrides={"statenet.learning": "hypergradient"})
        self.controller = Controller(recipe, self.model.state_net, torch.device("cpu"))
        self.controller.validation_index = chosen
        sides = {"A": ("encoder_A.", "decoder_A."), "B": ("encoder_B.", "decoder_B.", "injection.")}
        groups = [
            {
                "params": [p for name, p in self.model.named_parameters() if name.startswith(prefixes)],
                "lr": 2e-3 * (factor_a if side == "A" else 1.0),
            }
            for side, prefixes in sides.items()
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
        for _ in range(3):  # moments that differ from the last gradient
            self._step()
        self.before = copy.deepcopy(self.model)
        self.controller.before_last_step(self.model, self.loss_under, self.controls)
        self._step()
        self.tables = all_operations().double()
        self.controller.after_last_step(
            self.model, self.optimizer, self.tables, all_operations().long() + 1, self.controls, self.validation_noise()
        )
        self.found = dict(zip(CORRECTIONS, self.controller.hypergradients.tolist()))

    def loss_under(self, model, controls):
        settings = Objective(entropy_alignment_differentiable=True)
        return objective(model, self.x, self.classes, self.noise, controls, Weights(scale_a=0.9), settings, 0.25)

    def validation_noise(self):
        return torch.Generator().manual_seed(17)

    def value_at(self, shift):
        """V at the weights after the step, moved by `shift` (one tensor a parameter)."""
        moved = copy.deepcopy(self.model)
        with torch.no_grad():
            for parameter, change in zip(trainable(moved), shift):
                parameter += change
        generator = self.validation_noise()
        rows = self.controller.validation_index
        batch = rows[torch.randint(len(rows), (len(rows),), generator=generator)]
        classes = all_operations()[batch].long() + 1
        return validation_objective(moved, self.tables[batch], classes, 0.35, generator).item()

    def gradient(self, setting, change):
        controls = replace(self.controls, **{setting: getattr(self.controls, setting) + change})
        loss, _ = self.loss_under(self.before, controls)
        parameters = trainable(self.before)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found)]

    def by_finite_difference(self, setting, h):
        """V(θ' − P∘(g(θ, h ± δ) − g(θ, h))), P = η/(√v̂ + ε) held constant."""
        plain, values = self.gradient(setting, 0.0), []
        for sign in (1, -1):
            shift = []
            for parameter, moved, base in zip(trainable(self.model), self.gradient(setting, sign * h), plain):
                state = self.optimizer.state[parameter]
                group = next(g for g in self.optimizer.param_groups if any(p is parameter for p in g["params"]))
                root = (state["exp_avg_sq"] / (1 - 0.999 ** state["step"].item())).sqrt()
                shift.append(-group["lr"] * (moved - base) / (root + 1e-8))
            values.append(self.value_at(shift))
        return (values[0] - values[1]) / (2 * h)

    def _step(self):
        loss, _ = self.loss_under(self.model, self.controls)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class TestAgainstFiniteDifferences:
    """In float64 with differences of 1e-6, narrow enough to meet no ReLU's kink; found to agree to 1e-7."""

    @pytest.fixture(params=[1.0, 1.5], ids=["one rate", "raised rate of A"])
    def step(self, request, double_precision):
        return OneStep(request.param)

    @pytest.mark.parametrize("setting", ["lambda1", "lambda2", "lambda3"])
    def test_weights(self, step, setting):
        expected = step.by_finite_difference(setting, 1e-6)
        assert abs(expected) > 1e-6
        assert step.found[setting] == pytest.approx(expected, rel=1e-5)

    def test_permeability_in_translated_injection(self, step):
        expected = step.by_finite_difference("rho", 1e-6)
        assert abs(expected) > 1e-6
        assert step.found["rho"] == pytest.approx(expected, rel=1e-5)

    def test_learning_rate(self, step):
        """θ' = θ + η·d: V at θ + (η ± δ)·d."""
        h = 1e-6
        direction = [
            (after - before).detach() / step.controls.learning_rate
            for before, after in zip(trainable(step.before), trainable(step.model))
        ]
        up, down = (step.value_at([sign * h * d for d in direction]) for sign in (1, -1))
        assert step.found["learning_rate"] == pytest.approx((up - down) / (2 * h), rel=1e-5)


class TestValidationObjective:
    def test_lower_is_better(self):
        """A model that reconstructs beats an untrained one, and the value does not depend on λ or temperatures."""
        recipe = load_recipe("resolution", overrides={"data.train_share": 0.05, "optimizer.batch_size": 128})
        trainer = Trainer(recipe)
        x, classes = trainer.inputs[:500], trainer.classes[:500]

        def value():
            return validation_objective(trainer.model, x, classes, 0.1, torch.Generator().manual_seed(0)).item()

        before = value()
        for _ in range(6):
            trainer.train_epoch()
        assert value() < before - 1

    def test_held_out_operations_where_there_are_any(self, small_recipe):
        from ternary_vae.splits import training_split

        recipe = small_recipe()
        controller = Controller(recipe, StateNet(), torch.device("cpu"))
        assert torch.equal(controller.validation_index, training_split(recipe).validation)
        everything = load_recipe("resolution", overrides={"data.train_share": 1.0, "data.validation_share": 0.0})
        assert len(Controller(everything, StateNet(), torch.device("cpu")).validation_index) == 19_683


def controller_for(adaptive=False, **changes):
    dotted = {f"statenet.{key}": value for key, value in changes.items()}
    recipe = load_recipe("resolution", overrides={"permeability.adaptive": adaptive, **dotted})
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Controller(recipe, StateNet(adaptive), torch.device("cpu"))


class TestLearning:
    @pytest.mark.parametrize("adaptive", [False, True])
    def test_corrections_settle_where_slope_and_penalty_cancel(self, adaptive):
        """Loss Σ s·a + p·a²: the answer settles at a = −s/2p for a normalised slope s of ±1, at 0 for a slope of 0."""
        controller = controller_for(adaptive, learning="hypergradient", correction_penalty=2.0)
        slopes = torch.tensor([5.0, -1e-6, 0.0, 300.0, -0.2])
        for _ in range(300):
            controller.hypergradients = slopes.clone()
            log = controller.learn(STATE_EXAMPLE)
        found = list(controller.corrections(STATE_EXAMPLE).values())
        expected = [-0.25, 0.25, 0.0, -0.25, 0.25]
        assert found == pytest.approx(expected[: 5 if adaptive else 4], abs=0.02)
        assert list(log["hypergradients"]) == list(CORRECTIONS[: 5 if adaptive else 4])

    def test_an_epoch_without_a_hypergradient_teaches_nothing(self):
        controller = controller_for(learning="hypergradient")
        before = copy.deepcopy(controller.net.state_dict())
        log = controller.learn(STATE_EXAMPLE)
        assert (log["hypergradients"], log["loss"]) == (None, None)
        assert all(torch.equal(before[name], tensor) for name, tensor in controller.net.state_dict().items())

    def test_a_hypergradient_that_is_not_finite_teaches_nothing(self):
        controller = controller_for(learning="hypergradient")
        before = copy.deepcopy(controller.net.state_dict())
        controller.hypergradients = torch.tensor([1.0, float("nan"), 0.0, 1.0, 1.0])
        assert controller.learn(STATE_EXAMPLE)["loss"] is None
        assert all(torch.equal(before[name], tensor) for name, tensor in controller.net.state_dict().items())
        assert torch.isfinite(controller.mean_squares).all()

    def test_restored_it_learns_on_to_the_same_bits(self):
        first, second = controller_for(learning="hypergradient"), controller_for(learning="hypergradient")
        slopes = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
        for slope in slopes[:3]:
            first.hypergradients = slope
            first.learn(STATE_EXAMPLE)
        second.net.load_state_dict(first.net.state_dict())
        second.restore_optimizer(first.optimizer_tensors())
        for slope in slopes[3:]:
            for controller in (first, second):
                controller.hypergradients = slope.clone()
                controller.learn(STATE_EXAMPLE)
        assert first.corrections(STATE_EXAMPLE) == second.corrections(STATE_EXAMPLE)
        assert torch.equal(first.mean_squares, second.mean_squares)

    def test_switched_off_it_says_nothing(self):
        controller = controller_for(enabled=False)
        assert set(controller.corrections(STATE_EXAMPLE).values()) == {0.0}
        assert controller.learn(STATE_EXAMPLE) is None


class TestInTraining:
    """Two epochs of a trainer: does StateNet really change, and are its corrections really applied?"""

    def two_epochs(self, recipe):
        trainer = Trainer(recipe)
        start = copy.deepcopy(trainer.model.state_net.state_dict())
        rows = [trainer.train_epoch() for _ in range(2)]
        changed = [n for n, tensor in trainer.model.state_net.state_dict().items() if not torch.equal(tensor, start[n])]
        return trainer, rows, changed

    def test_the_default_recipe_trains_it(self, small_recipe):
        recipe = small_recipe()
        assert recipe.statenet.learning == "hypergradient"
        trainer, rows, changed = self.two_epochs(recipe)
        assert set(changed) == set(trainer.model.state_net.state_dict())  # every weight and bias
        assert rows[0]["statenet"]["corrections"] == dict.fromkeys(CORRECTIONS[:4], 0.0)  # no state before the first
        assert rows[1]["statenet"]["loss"] is not None
        assert set(rows[1]["statenet"]["hypergradients"]) == set(CORRECTIONS[:4])
        assert any(rows[1]["statenet"]["corrections"].values())

    def test_the_plans_recipe_does_not(self, small_recipe):
        _, rows, changed = self.two_epochs(small_recipe("ternary_v5_5"))
        assert changed == []
        assert rows[1]["statenet"]["hypergradients"] is None
        assert any(rows[1]["statenet"]["corrections"].values())  # at its random start it still answers

    def test_option_c_has_five_outputs_and_can_learn(self, small_recipe):
        _, rows, changed = self.two_epochs(small_recipe("ternary_v5_5_adaptive_rho", **LEARNS))
        assert changed
        assert set(rows[1]["statenet"]["corrections"]) == set(CORRECTIONS)
        assert set(rows[1]["statenet"]["hypergradients"]) == set(CORRECTIONS)

    def test_switched_off_costs_no_double_backward(self, small_recipe, monkeypatch):
        trainer = Trainer(small_recipe(statenet__enabled=False))
        monkeypatch.setattr("ternary_vae.training.hypergradient.copy.deepcopy", lambda _: pytest.fail("looked ahead"))
        assert trainer.train_epoch()["statenet"] is None

    def test_learning_uses_no_gradient_of_the_step_it_watches(self, small_recipe):
        """Looking ahead leaves the weights' own update alone: one step with and without it is the same."""
        trainers = [Trainer(small_recipe(statenet__learning=learning)) for learning in ("none", "hypergradient")]
        for trainer in trainers:
            batch = trainer.training_index[:64]
            trainer.begin_epoch()
            trainer.step(batch, trainer.draw(batch, with_prior=False), look_ahead=True)
        first, second = (dict(trainer.model.named_parameters()) for trainer in trainers)
        assert all(torch.equal(first[name], second[name]) for name in first)

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_bounds_of_the_corrections(self, small_recipe, sign, monkeypatch):
        """lr·(1 ± 0.05) in [1e-6, 0.01]; λi ± 0.01 in [0.5, 0.95]; λ3 ± 0.01 in [0.15, 0.75]; ρ ± 0.05."""
        trainer = Trainer(small_recipe("ternary_v5_5_adaptive_rho"))
        monkeypatch.setattr(trainer.controller, "corrections", lambda _: dict.fromkeys(CORRECTIONS, sign))
        controls, row = trainer._controls(0)
        assert controls.learning_rate == pytest.approx(1e-3 * (1 + 0.05 * sign))
        assert controls.lambda1 == controls.lambda2 == pytest.approx(0.7 + 0.01 * sign)
        assert controls.lambda3 == pytest.approx(0.3 + 0.01 * sign)
        assert controls.rho == pytest.approx(0.1 + 0.05 * sign)
        assert row["rho_target"] == pytest.approx(0.1)
        for _ in range(40):
            controls, _ = trainer._controls(0)
        assert controls.lambda1 == (0.95 if sign > 0 else 0.5)
        assert controls.rho == pytest.approx(0.1 + 0.05 * sign)  # about the schedule: it does not add up

    def test_learning_rate_stays_in_bounds(self, small_recipe, monkeypatch):
        trainer = Trainer(small_recipe("ternary_v5_5", optimizer__learning_rate__steps={0: 0.0099}))
        monkeypatch.setattr(trainer.controller, "corrections", lambda _: dict.fromkeys(CORRECTIONS, 1.0))
        assert trainer._controls(0)[0].learning_rate == 0.01

    def test_without_adaptive_rho_nothing_corrects_it(self, small_recipe):
        trainer, rows, _ = self.two_epochs(small_recipe("ternary_v5_5"))
        assert "rho" not in rows[1]["statenet"]["corrections"]
        assert rows[1]["rho"] == rows[1]["rho_target"] == 0.1
        assert len(trainer.model.state_net.outputs) == 4
