"""Each guard of the recipes fires on the row it is for, and its action changes what the trainer does next."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from ternary_vae.limits import coverage_limit
from ternary_vae.recipe import Guard, load_recipe, recipe_names
from ternary_vae.training import guards, schedules
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.guards import Interventions, watch

HEALTHY = {
    "exact_match_a": 1.0, "exact_match_b": 1.0, "exact_match_best_of_two": 1.0, "share_a": 0.5, "coverage": 0.989,
    "coverage_limit": coverage_limit(100_000), "terms": {"loss": 3.0},
}  # fmt: skip
EVALUATED = [key for key in HEALTHY if key != "terms"]


def row(epoch, **changes):
    return {"epoch": epoch, **HEALTHY, **changes}


def firings(recipe, rows, interventions=None):
    """Names of the guards that fire, a list an epoch."""
    interventions = interventions or Interventions()
    return [[e["name"] for e in watch(recipe, interventions, r, rows[:i])] for i, r in enumerate(rows)]


@pytest.fixture(scope="module", params=["resolution", "ternary_v5_5"])
def recipe(request):
    return load_recipe(request.param)


class TestEachGuardOfTheRecipes:
    def test_a_healthy_run_of_400_epochs_fires_none(self, recipe):
        assert firings(recipe, [row(epoch) for epoch in range(1, 401)]) == [[]] * 400

    def test_vae_a_below_30_by_150(self, recipe):
        rows = [row(epoch, exact_match_a=0.29) for epoch in range(1, 201)]
        fired = {r["epoch"] for r, names in zip(rows, firings(recipe, rows)) if "vae_a_below_30" in names}
        assert fired == {150, 160, 170, 180, 190}
        assert not any(firings(recipe, [row(150, exact_match_a=0.3)]))

    def test_vae_a_below_50_by_200(self, recipe):
        rows = [row(epoch, exact_match_a=0.49) for epoch in range(1, 401)]
        fired = [r["epoch"] for r, names in zip(rows, firings(recipe, rows)) if "vae_a_below_50" in names]
        assert fired == [200, 210, 220, 230, 240]  # and then its limit is reached
        assert not any(firings(recipe, [row(200, exact_match_a=0.5)]))

    @pytest.mark.parametrize(
        ("share", "fires"), [(0.91, True), (0.09, True), (0.89, False), (0.11, False), (None, False)]
    )
    def test_share_beyond_90_to_10_by_200(self, recipe, share, fires):
        assert firings(recipe, [row(200, share_a=share)]) == [["one_sided_share"] if fires else []]
        assert firings(recipe, [row(199, share_a=share)]) == [[]]

    def test_ensemble_below_99_9(self, recipe):
        guard = recipe.guards["ensemble_below_99_9"]
        assert firings(recipe, [row(guard.from_epoch, exact_match_best_of_two=0.9989)]) == [["ensemble_below_99_9"]]
        assert firings(recipe, [row(guard.from_epoch, exact_match_best_of_two=0.999)]) == [[]]

    def test_collapse(self, recipe):
        """A decoder that ignores its code is exact on one operation in 19,683."""
        fired = firings(recipe, [row(100, exact_match_a=5e-5, exact_match_b=5e-5, exact_match_best_of_two=5e-5)])
        assert "collapse" in fired[0]

    @pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("epoch", [1, 7, 399])
    def test_not_finite(self, recipe, epoch, loss):
        rows = [row(epoch, terms={"loss": loss}) | dict.fromkeys(EVALUATED)]
        assert firings(recipe, rows) == [["not_finite"]]

    def test_all_of_the_plans_guards_are_in_every_recipe(self):
        names = {name: set(load_recipe(name).guards) for name in recipe_names()}
        wanted = {
            "vae_a_below_30", "vae_a_below_50", "one_sided_share", "coverage_plateau", "ensemble_below_99_9",
            "collapse", "not_finite",
        }  # fmt: skip
        assert all(wanted <= guards for guards in names.values())


class TestCoveragePlateau:
    def run(self, recipe, coverages, first=1):
        rows = [row(first + i, coverage=c) for i, c in enumerate(coverages)]
        return [r["epoch"] for r, names in zip(rows, firings(recipe, rows)) if "coverage_plateau" in names]

    def test_stopped_short_of_the_limit(self, recipe):
        assert self.run(recipe, [0.85] * 150) == [120, 130, 140]

    def test_a_log_that_lacks_it_for_some_epochs(self, recipe):
        history = [{"epoch": epoch} for epoch in range(1, 101)] + [row(i, coverage=0.85) for i in range(101, 120)]
        assert watch(recipe, Interventions(), row(120, coverage=0.85), history)

    def test_still_gaining(self, recipe):
        assert self.run(recipe, [0.85 + 0.0000675 * i for i in range(200)]) == []  # 0.002025 in 30 epochs

    def test_gaining_too_slowly(self, recipe):
        assert self.run(recipe, [0.85 + 0.000066 * i for i in range(200)])[0] == 120  # 0.00198 in 30 epochs

    def test_close_to_the_limit(self, recipe):
        assert self.run(recipe, [0.95] * 200) == []  # 4.4 points below 99.38%

    def test_needs_a_whole_window(self, recipe):
        assert self.run(recipe, [0.85] * 25, first=110) == []

    def test_unmeasured_epochs_are_passed_over(self, recipe):
        every_other = [0.85 if i % 2 else None for i in range(150)]  # even epochs are measured
        assert self.run(recipe, every_other) == [120, 130, 140]


class TestFiring:
    def test_limit(self):
        recipe = load_recipe(
            "ternary_v5_5", overrides={"guards": {"low": {"quantity": "exact_match_a", "below": 0.5, "limit": 2}}}
        )
        interventions = Interventions()
        rows = [row(epoch, exact_match_a=0.1) for epoch in range(1, 6)]
        recipe = recipe.model_copy(update={"guards": {"low": recipe.guards["low"]}})
        assert firings(recipe, rows, interventions) == [["low"], ["low"], [], [], []]
        assert interventions.fired == {"low": 2}
        assert interventions.fired_count == 2

    def test_both_ends_of_its_epochs_belong_to_it(self):
        guard = Guard(quantity="loss", above=0, from_epoch=2, until_epoch=6, every=2)
        assert [epoch for epoch in range(10) if guards._is_due(guard, epoch)] == [2, 4, 6]

    def test_event(self):
        recipe = load_recipe("resolution")
        (event,) = watch(recipe, Interventions(), row(150, exact_match_a=0.25), [])
        assert event["kind"] == "guard"
        assert (event["epoch"], event["name"], event["quantity"]) == (150, "vae_a_below_30", "exact_match_a")
        assert (event["value"], event["threshold"]) == (0.25, 0.3)
        assert event["actions"] == ["raise_temperature_a"]
        assert "0.25" in event["message"]

    def test_what_is_not_measured_does_not_fire(self):
        recipe = load_recipe("resolution")
        assert firings(recipe, [row(200) | dict.fromkeys(EVALUATED)]) == [[]]

    def test_not_finite_is_watched_at_every_epoch(self):
        """A guard scaled to a longer run is checked more rarely; this one must not be."""
        recipe = load_recipe("resolution", epochs=4000, scale_phases=True)
        rows = [row(123, terms={"loss": math.nan}) | dict.fromkeys(EVALUATED)]
        assert firings(recipe, rows) == [["not_finite"]]

    def test_state_is_plain_data(self):
        interventions = Interventions(temperature_factor=1.44, rho_bonus=0.05, fired={"a": 2})
        assert Interventions(**json.loads(json.dumps(asdict(interventions)))) == interventions


def fire(trainer, *actions, amount=1.2):
    """Takes actions as a guard would, through `watch`."""
    guard = Guard(quantity="exact_match_a", below=0.5, actions=actions, amount=amount)
    recipe = trainer.recipe.model_copy(update={"guards": {"test": guard}})
    assert len(watch(recipe, trainer.interventions, row(1, exact_match_a=0.0), [])) == 1


class TestActionsAreTaken:
    """What the trainer does in the next epoch, with and without."""

    @pytest.fixture
    def trainer(self, small_recipe):
        return Trainer(small_recipe("ternary_v5_5"))

    def test_temperature_of_a(self, trainer):
        before, _ = trainer._controls(0)
        fire(trainer, "raise_temperature_a")
        after, _ = trainer._controls(0)
        assert after.temperature_a == pytest.approx(1.2 * before.temperature_a)
        assert after.temperature_b == before.temperature_b

    def test_lambda1(self, trainer):
        before, _ = trainer._controls(0)
        fire(trainer, "raise_lambda1")
        after, _ = trainer._controls(0)
        assert after.lambda1 == pytest.approx(before.lambda1 + 0.05)
        assert after.lambda2 == before.lambda2
        for _ in range(9):
            trainer.interventions.fired.clear()  # the limit of the guard in this test
            fire(trainer, "raise_lambda1")
        assert trainer._controls(0)[0].lambda1 == 0.95  # its bound

    def test_learning_rate_of_as_parameters(self, trainer):
        fire(trainer, "raise_learning_rate_a", amount=1.5)
        trainer.train_epoch()
        rates = {group["name"]: group["lr"] for group in trainer.optimizer.param_groups}
        assert rates == {"A": pytest.approx(1.5e-3), "B": pytest.approx(1e-3)}

    def test_learning_rate_reaches_the_weights(self, small_recipe):
        moved = []
        for factor in (1.0, 3.0):
            trainer = Trainer(small_recipe("ternary_v5_5"))
            trainer.interventions.learning_rate_factor_a = factor
            start = [parameter.detach().clone() for parameter in trainer.model.parameters()]
            trainer.plan_epoch()
            batch, steps = trainer.training_index[:64], trainer.steps()
            steps.step(batch, steps.draw(batch, with_prior=False))
            names = [name for name, _ in trainer.model.named_parameters()]
            change = {n: (p - s).abs().mean().item() for n, p, s in zip(names, trainer.model.parameters(), start)}
            moved.append(change)
        assert moved[1]["decoder_A.decoder.4.bias"] == pytest.approx(3 * moved[0]["decoder_A.decoder.4.bias"], rel=1e-3)
        assert moved[1]["decoder_B.fc_out.bias"] == pytest.approx(moved[0]["decoder_B.fc_out.bias"])

    def test_repulsion(self, small_recipe):
        """Also where a recipe has none to begin with: the term appears in the log."""
        trainer = Trainer(small_recipe("resolution"))
        assert trainer.train_epoch()["terms"]["repulsion_b"] is None
        fire(trainer, "raise_repulsion")
        assert trainer._controls(1)[0].repulsion_b == pytest.approx(0.01)
        assert trainer.train_epoch()["terms"]["repulsion_b"] is not None

    def test_rho(self, small_recipe):
        for name in ("ternary_v5_5", "resolution"):
            trainer = Trainer(small_recipe(name))
            before, _ = trainer._controls(0)
            fire(trainer, "raise_rho")
            assert trainer._controls(0)[0].rho == pytest.approx(before.rho + 0.05)

    def test_temperature_boost(self, trainer):
        quiet, boosted = trainer._controls(0)[0], trainer._controls(270)[0]
        fire(trainer, "raise_temperature_boost", amount=1.4)
        assert trainer._controls(0)[0].temperature_a == quiet.temperature_a  # phase 4 only
        base = 1 - 0.7 * 270 / 400
        assert boosted.temperature_a == pytest.approx(base + 0.5)
        assert trainer._controls(270)[0].temperature_a == pytest.approx(base + 0.5 * 1.4)

    def test_restoring_halves_the_learning_rate(self, trainer):
        before = trainer._controls(0)[0].learning_rate
        fire(trainer, "restore")
        assert trainer._controls(0)[0].learning_rate == pytest.approx(before / 2)
        for _ in range(30):
            trainer.interventions.fired.clear()
            fire(trainer, "restore")
        assert trainer._controls(0)[0].learning_rate == 1e-6  # the recipe's bound

    def test_reporting_changes_nothing(self, trainer):
        before = trainer._controls(0)
        fire(trainer, "report")
        assert trainer._controls(0) == before

    def test_actions_survive_a_checkpoint(self, trainer, small_recipe):
        fire(trainer, "raise_temperature_a", "raise_rho", "raise_repulsion")
        other = Trainer(small_recipe("ternary_v5_5"))
        other.restore(trainer.checkpoint())
        assert other.interventions == trainer.interventions
        assert other._controls(0)[0] == trainer._controls(0)[0]

    def test_the_schedules_themselves_stay_pure(self, trainer):
        fire(trainer, "raise_temperature_a", "raise_rho")
        assert schedules.temperature_a(trainer.recipe, 0) == pytest.approx(1.1)
        assert schedules.permeability_target(trainer.recipe, 0, False) == 0.1


@pytest.mark.parametrize("action", ["raise_temperature_a", "raise_learning_rate_a", "raise_temperature_boost"])
def test_factors_stay_finite_however_often_a_guard_fires(action):
    guard = Guard(quantity="loss", above=0, limit=1000, amount=1e6, actions=(action,))
    interventions = Interventions()
    for _ in range(100):
        guards._actions[action](interventions, guard)
    assert all(math.isfinite(value) for value in asdict(interventions).values() if isinstance(value, float))
