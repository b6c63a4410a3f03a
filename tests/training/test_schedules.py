"""Schedules against the plan's numbers written out again, epoch by epoch, and what a run makes of the gate."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.recipe import GradientBalance, Lambdas, PriorInformation, load_recipe
from ternary_vae.training import schedules

PLAN = load_recipe("ternary_v5_5")
EPOCHS = range(400)


def plan_learning_rate(epoch):
    for first, rate in ((350, 5e-6), (300, 1e-5), (250, 2e-5), (220, 5e-5), (180, 1e-4), (120, 3e-4), (50, 5e-4)):
        if epoch >= first:
            return rate
    return 1e-3


def plan_temperature_a(epoch, boost_from=250):
    base = 1.0 - 0.7 * epoch / 400
    amplitude = 0.5 if epoch >= boost_from else 0.1 * base
    return max(0.1, base + amplitude * math.cos(2 * math.pi * (epoch % 30) / 30))


def plan_temperature_b(epoch, boost_from=250):
    return 0.3 if epoch >= boost_from else 0.9 - 0.7 * max(0, epoch - 30) / 400


def plan_beta_a(epoch):
    return 0.3 * epoch / 50 if epoch < 50 else 0.3 + 0.5 * (epoch - 50) / 350


def plan_beta_b(epoch):
    return 0.0 if epoch < 50 else abs(math.sin(0.785)) * plan_beta_a(epoch)


def plan_rho(epoch, gate_open):
    if epoch < 40:
        return 0.1
    if epoch < 120:
        return 0.1 + 0.2 * (epoch - 40) / 80
    if epoch < 250:
        return 0.3 + 0.4 * min(1.0, (epoch - 120) / 80) if gate_open else 0.3
    return 0.7


class TestThePlansRecipe:
    @pytest.mark.parametrize(
        ("ours", "plans"),
        [
            (schedules.learning_rate, plan_learning_rate),
            (schedules.temperature_a, plan_temperature_a),
            (schedules.temperature_b, plan_temperature_b),
            (schedules.beta_a, plan_beta_a),
            (schedules.beta_b, plan_beta_b),
        ],
        ids=lambda f: f"{f.__module__.split('.')[0]}.{f.__name__}",
    )
    def test_every_epoch(self, ours, plans):
        assert [ours(PLAN, epoch) for epoch in EPOCHS] == pytest.approx([plans(epoch) for epoch in EPOCHS], abs=1e-12)

    @pytest.mark.parametrize("gate_open", [True, False])
    def test_permeability_at_every_epoch(self, gate_open):
        ours = [schedules.permeability_target(PLAN, epoch, gate_open) for epoch in EPOCHS]
        assert ours == pytest.approx([plan_rho(epoch, gate_open) for epoch in EPOCHS], abs=1e-12)

    def test_the_plan_bounds_no_step(self):
        """The jump from 0.3 to 0.7 at epoch 250 is the plan's own."""
        before, after = (
            schedules.permeability(PLAN, schedules.permeability_target(PLAN, epoch, False)) for epoch in (249, 250)
        )
        assert (before, after) == (0.3, 0.7)

    def test_lambda_3_at_every_epoch(self):
        expected = [0.3 + 0.15 * math.cos(2 * math.pi * (epoch % 30) / 30 + math.pi / 2) for epoch in EPOCHS]
        assert [schedules.lambda_3(PLAN.lambdas, epoch) for epoch in EPOCHS] == pytest.approx(expected, abs=1e-12)

    def test_numbers_told_in_words(self):
        """A few values that can be read off the plan without any formula."""
        assert schedules.temperature_a(PLAN, 0) == pytest.approx(1.1)
        assert schedules.temperature_a(PLAN, 15) == pytest.approx(0.9 * (1 - 0.7 * 15 / 400))
        assert schedules.temperature_a(PLAN, 270) == pytest.approx(1 - 0.7 * 270 / 400 + 0.5)
        assert schedules.temperature_a(PLAN, 375) == pytest.approx(0.1)
        assert schedules.temperature_b(PLAN, 30) == 0.9
        assert schedules.temperature_b(PLAN, 250) == 0.3
        assert schedules.beta_a(PLAN, 50) == 0.3
        assert schedules.beta_a(PLAN, 400) == pytest.approx(0.8)
        assert schedules.beta_b(PLAN, 50) == pytest.approx(0.2120475, abs=1e-7)

    def test_beta_waits_at_next_to_nothing_then_rises_and_never_falls(self):
        waits = {"beta.delay_epochs": 30, "beta.waiting_share": 0.001, "beta.warmup_epochs": 60}
        recipe = load_recipe("resolution", overrides=waits)
        found = [schedules.beta_a(recipe, epoch) for epoch in EPOCHS]
        assert found[:31] == pytest.approx([0.0013] * 31)
        assert found[31:90] == pytest.approx([1.3 * since / 60 for since in range(1, 60)])
        assert found[90:] == [1.3] * 310
        assert found == [schedules.beta_b(recipe, epoch) for epoch in EPOCHS]
        # As before there was a share: a run of then goes on by its own schedule.
        at_nothing = load_recipe("resolution", overrides=waits | {"beta.waiting_share": 0.0})
        assert [schedules.beta_a(at_nothing, epoch) for epoch in (0, 30, 31)] == [0.0, 0.0, pytest.approx(1.3 / 60)]
        at_once = load_recipe("resolution")
        assert [schedules.beta_a(at_once, epoch) for epoch in (0, 1)] == [0.0, pytest.approx(1.3 / 20)]

    def test_moments_weigh_in_the_second_half(self):
        recipe = load_recipe("four_valued")
        found = [schedules.moment_weight(recipe.objective.prior_information, epoch) for epoch in EPOCHS]
        assert found == [0.0] * 200 + [80.0] * 200
        scaled = recipe.scaled_to(20).objective.prior_information
        assert [schedules.moment_weight(scaled, epoch) for epoch in (9, 10)] == [0.0, 80.0]
        at_once = PriorInformation(moment_weight=2.0)
        assert schedules.moment_weight(at_once, 0) == 2.0
        assert schedules.moment_weight(load_recipe("resolution").objective.prior_information, 399) == 0.0

    def test_skewed_operations_come_in_the_second_half(self):
        data = load_recipe("three_inputs").data
        assert [schedules.skewed_share(data, epoch) for epoch in (0, 199, 200, 399)] == [0.0, 0.0, 0.02, 0.02]
        scaled = load_recipe("three_inputs", epochs=20, scale_phases=True).data
        assert [schedules.skewed_share(scaled, epoch) for epoch in (9, 10)] == [0.0, 0.02]
        assert schedules.skewed_share(load_recipe("resolution").data, 399) == 0.0

    def test_past_the_end_schedules_hold(self):
        assert schedules.learning_rate(PLAN, 1000) == 5e-6
        assert schedules.permeability_target(PLAN, 1000, False) == 0.7
        assert schedules.beta_a(PLAN, 1000) == pytest.approx(0.8)
        assert schedules.temperature_b(PLAN, 1000) == 0.3


class TestTheOptions:
    def test_a_early_rho(self):
        recipe = load_recipe("ternary_v5_5_early_rho")

        def expected(epoch, gate_open):
            if epoch < 40:
                return 0.1
            if epoch < 100:
                return 0.3 + 0.2 * (epoch - 40) / 60
            if epoch < 200:
                return 0.5 + 0.2 * (epoch - 100) / 100 if gate_open else 0.5
            return 0.7

        for gate_open in (True, False):
            ours = [schedules.permeability_target(recipe, epoch, gate_open) for epoch in EPOCHS]
            assert ours == pytest.approx([expected(epoch, gate_open) for epoch in EPOCHS], abs=1e-12)
        boosted = [schedules.temperature_a(recipe, epoch) for epoch in EPOCHS]
        assert boosted == pytest.approx([plan_temperature_a(epoch, boost_from=200) for epoch in EPOCHS])

    def test_b_high_rho_differs_from_epoch_250_on_only(self):
        recipe = load_recipe("ternary_v5_5_high_rho")
        for gate_open in (True, False):
            ours = [
                schedules.permeability(recipe, schedules.permeability_target(recipe, epoch, gate_open))
                for epoch in EPOCHS
            ]
            expected = [plan_rho(epoch, gate_open) if epoch < 250 else 0.85 for epoch in EPOCHS]
            assert ours == pytest.approx(expected, abs=1e-12)

    def test_rho_never_exceeds_its_maximum(self):
        recipe = load_recipe("ternary_v5_5_high_rho")
        assert schedules.permeability(recipe, 0.99) == 0.85
        assert schedules.permeability(recipe, -0.2) == 0.0


class TestBatches:
    @given(first=st.integers(0, 6), size=st.integers(1, 40), then=st.integers(1, 40), operations=st.integers(1, 60))
    def test_steps_by_counting_batches(self, first, size, then, operations):
        changes = {"optimizer.batch_size": then, "optimizer.first_batches": {"epochs": first, "size": size}}
        recipe = load_recipe("ternary_v5_5", overrides=changes)
        done = 0
        for epoch in range(9):
            assert schedules.steps_before(recipe, epoch, operations) == done
            expected = size if epoch < first else then
            assert schedules.batch_size(recipe, epoch) == expected
            done += len(range(0, operations, expected))

    def test_a_shorter_run_begins_as_a_long_one(self):
        recipe = load_recipe("resolution")
        assert recipe.scaled_to(40).optimizer.first_batches == recipe.optimizer.first_batches
        assert recipe.optimizer.first_batches.epochs > 0


class TestCosine:
    recipe = load_recipe(
        "ternary_v5_5",
        overrides={
            "optimizer.learning_rate": {"kind": "cosine", "peak": 4e-3, "floor": 1e-5, "warmup_epochs": 5},
            "schedule_epochs": 105,
        },
    )

    def test_closed_form(self):
        for epoch in range(105):
            if epoch < 5:
                expected = 4e-3 * (epoch + 1) / 5
            else:
                expected = 1e-5 + (4e-3 - 1e-5) * math.cos(math.pi * (epoch - 5) / 200) ** 2
            assert schedules.learning_rate(self.recipe, epoch) == pytest.approx(expected, rel=1e-12)

    def test_it_rests_on_the_floor(self):
        assert schedules.learning_rate(self.recipe, 105) == pytest.approx(1e-5)
        assert schedules.learning_rate(self.recipe, 500) == pytest.approx(1e-5)


class TestGate:
    @pytest.mark.parametrize(
        ("ratio", "is_open"),
        [(0.5, False), (0.8, False), (0.801, True), (1.0, True), (1.199, True), (1.2, False), (3.0, False)],
    )
    def test_the_plans_gate_is_open_inside_its_interval(self, ratio, is_open):
        assert schedules.gate_is_open(PLAN.gradient_balance, ratio) is is_open

    def test_a_ratio_that_dithers_at_the_border_opens_and_closes_it_every_epoch(self):
        gates = [schedules.gate_is_open(GradientBalance(), 1.2 + 0.1 * (-1) ** epoch) for epoch in range(100)]
        assert gates == [epoch % 2 == 1 for epoch in range(100)]

    @given(st.floats(1e-5, 1e5))
    def test_nothing_closes_the_default_recipes(self, ratio):
        assert schedules.gate_is_open(load_recipe("resolution").gradient_balance, ratio)


class TestRhoOfAWholeRun:
    recipe = load_recipe("resolution")

    def run(self, recipe, gates):
        return [
            schedules.permeability(recipe, schedules.permeability_target(recipe, epoch, gates[epoch]))
            for epoch in EPOCHS
        ]

    @settings(max_examples=60)
    @given(seed=st.integers(0, 2**32))
    def test_of_the_default_recipe_never_leaps(self, seed):
        """Whatever the ratio of the gradients does: nowhere by more than a ramp of phase 3, 0.4 in 80 epochs. The gate
        is closed before the first epoch has been measured."""
        noise = random.Random(seed)
        balance = self.recipe.gradient_balance
        gates = [False, *(schedules.gate_is_open(balance, 10 ** noise.uniform(-5, 5)) for _ in EPOCHS)]
        path = self.run(self.recipe, gates)
        assert max(abs(after - before) for before, after in itertools.pairwise(path)) <= 0.4 / 80 + 1e-12
        assert 0 <= min(path) <= max(path) <= self.recipe.permeability.max

    def test_with_the_plans_gate_it_does(self):
        """The property above is not true by itself."""
        gates = [epoch % 2 == 0 for epoch in EPOCHS]
        path = self.run(PLAN, gates)
        assert max(abs(after - before) for before, after in itertools.pairwise(path)) > 0.3

    def test_it_gets_where_the_phases_lead(self):
        path = self.run(self.recipe, [True] * 400)
        assert path[-1] == pytest.approx(self.recipe.phases.phase_4.rho)
        assert path[0] == self.recipe.phases.phase_1.rho


class TestLambdas:
    def test_the_dominant_side_gains(self):
        """The direction that v5.5 checkpoints show: λ1 at its upper bound, λ2 at its lower one, B/A far below 0.8."""
        settings = Lambdas()
        assert schedules.adapted_lambdas(settings, 0.7, 0.7, 0.1, GradientBalance()) == pytest.approx((0.72, 0.68))
        assert schedules.adapted_lambdas(settings, 0.7, 0.7, 9.0, GradientBalance()) == pytest.approx((0.68, 0.72))
        assert schedules.adapted_lambdas(settings, 0.7, 0.7, 1.0, GradientBalance()) == (0.7, 0.7)

    def test_they_stay_in_bounds(self):
        lambda1 = lambda2 = 0.7
        for _ in range(50):
            lambda1, lambda2 = schedules.adapted_lambdas(Lambdas(), lambda1, lambda2, 1e-5, GradientBalance())
        assert (lambda1, lambda2) == (0.95, 0.5)


class TestPurity:
    def test_order_and_repetition_do_not_matter(self):
        functions = (
            schedules.learning_rate,
            schedules.temperature_a,
            schedules.temperature_b,
            schedules.beta_a,
            schedules.beta_b,
            lambda recipe, epoch: schedules.permeability_target(recipe, epoch, True),
            lambda recipe, epoch: schedules.lambda_3(recipe.lambdas, epoch),
        )
        for name in ("resolution", "ternary_v5_5"):
            recipe = load_recipe(name)
            before = recipe.model_dump()
            forward = {(i, epoch): f(recipe, epoch) for i, f in enumerate(functions) for epoch in EPOCHS}
            shuffled = list(forward)
            random.Random(0).shuffle(shuffled)
            assert {key: functions[key[0]](recipe, key[1]) for key in shuffled} == forward
            assert recipe.model_dump() == before

    def test_a_scaled_recipe_passes_through_the_same_values(self):
        """Half the length: epoch e of the short run is epoch 2e of the long one."""
        short = PLAN.scaled_to(200)
        for epoch in range(0, 200):
            assert schedules.learning_rate(short, epoch) == schedules.learning_rate(PLAN, 2 * epoch)
            assert schedules.beta_a(short, epoch) == pytest.approx(schedules.beta_a(PLAN, 2 * epoch))
            assert schedules.temperature_a(short, epoch) == pytest.approx(schedules.temperature_a(PLAN, 2 * epoch))
            for gate in (True, False):
                assert schedules.permeability_target(short, epoch, gate) == pytest.approx(
                    schedules.permeability_target(PLAN, 2 * epoch, gate)
                )
