"""What keeps the two VAEs in balance, in closed form, of one run and of several at once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.recipe import GradientBalance
from ternary_vae.resolution.complementarity import NoiseOutcome
from ternary_vae.training.balancing import averaged_norms, log_ratio_of_homes, loss_scales, moved_balance

BY_NORMS = {(1.0, 1.0): (1.0, 1.0), (1.0, 1.5): (1.5, 1 / 1.5), (1.0, 9.0): (2.0, 0.5), (1.0, 0.0): (0.5, 2.0)}


def outcome(home_a, home_b, nowhere=0, draws=64):
    """So many operations at home in A, in B and in neither: exact in twenty draws more with one of the two, or in
    one."""
    only_a = torch.tensor([21] * home_a + [1] * home_b + [2] * nowhere, dtype=torch.long)
    only_b = torch.tensor([1] * home_a + [21] * home_b + [1] * nowhere, dtype=torch.long)
    return NoiseOutcome(only_a, only_b, draws - only_a - only_b, draws)


class TestGradientNorms:
    @pytest.mark.parametrize(("norms", "scales"), BY_NORMS.items())
    def test_scales_are_the_others_norm_over_ones_own_within_bounds(self, norms, scales):
        found = loss_scales(torch.tensor(norms), GradientBalance())
        assert [scale.item() for scale in found] == pytest.approx(scales)

    def test_of_several_runs_each_ones_own(self):
        scale_a, scale_b = loss_scales(torch.tensor(list(BY_NORMS)).T, GradientBalance())
        assert list(zip(scale_a.tolist(), scale_b.tolist())) == [pytest.approx(each) for each in BY_NORMS.values()]

    def test_switched_off_nothing_is_scaled(self):
        assert loss_scales(torch.tensor([1.0, 9.0]), GradientBalance(enabled=False)) == (1.0, 1.0)

    def test_averages_of_several_runs_move_by_their_own_ratio(self):
        """Momentum 0.95 while the ratio of the averages is in (0.8, 1.2), and 0.5 elsewhere."""
        averages, norms = torch.tensor([[1.0, 1.0], [1.0, 3.0]]), torch.tensor([[2.0, 2.0], [4.0, 4.0]])
        found = averaged_norms(norms, averages, GradientBalance())
        expected = torch.tensor([[0.95 + 0.05 * 2, 0.5 + 0.5 * 2], [0.95 + 0.05 * 4, 1.5 + 0.5 * 4]])
        torch.testing.assert_close(found, expected)
        for run in range(2):
            torch.testing.assert_close(
                averaged_norms(norms[:, run], averages[:, run], GradientBalance()), found[:, run]
            )


class TestHomes:
    @given(home_a=st.integers(0, 300), home_b=st.integers(0, 300), nowhere=st.integers(0, 50))
    def test_the_ratio_by_counting_with_five_beforehand(self, home_a, home_b, nowhere):
        expected = math.log((home_a + 5) / (home_b + 5))
        assert log_ratio_of_homes(outcome(home_a, home_b, nowhere)).item() == pytest.approx(expected, abs=1e-6)
        assert log_ratio_of_homes(outcome(home_b, home_a, nowhere)).item() == pytest.approx(-expected, abs=1e-6)

    def test_few_operations_say_little(self):
        """Four to one, of ever more operations: ln 4 in the end."""
        ratios = [log_ratio_of_homes(outcome(4 * few, few)).item() for few in (0, 1, 5, 50, 5000)]
        assert ratios == sorted(ratios)
        assert ratios[:2] == [0.0, pytest.approx(math.log(9 / 6))]
        assert ratios[-1] == pytest.approx(math.log(4), rel=1e-3)

    def test_what_differs_by_chance_is_at_home_nowhere(self):
        """Seven draws of seven are not enough, see `really_more_often`."""
        only_a = torch.full((500,), 7)
        assert log_ratio_of_homes(NoiseOutcome(only_a, torch.zeros_like(only_a), 64 - only_a, 64)) == 0


class TestMovedBalance:
    @given(home_a=st.integers(0, 300), home_b=st.integers(0, 300), balance=st.floats(-0.4, 0.4))
    def test_moves_against_the_logarithm_of_the_ratio_by_a_step_at_most(self, home_a, home_b, balance):
        before = torch.tensor(balance)
        moved = (moved_balance(before, outcome(home_a, home_b, 1), 0.05) - before).item()
        lead = min(1.0, max(-1.0, math.log((home_a + 5) / (home_b + 5))))
        assert moved == pytest.approx(-0.05 * lead, abs=1e-6)
        assert moved * (home_b - home_a) >= 0  # a positive balance is weight for A

    @pytest.mark.parametrize(("homes", "end"), [((400, 0), -0.5), ((0, 400), 0.5)])
    def test_stops_at_its_bound(self, homes, end):
        balance, path = torch.zeros(()), []
        for _ in range(30):
            balance = moved_balance(balance, outcome(*homes), 0.03)
            path.append(balance.item() / end)
        assert path[0] == pytest.approx(0.06)
        assert path == sorted(path)
        assert path[-1] == 1

    def test_equal_halves_leave_it(self):
        assert moved_balance(torch.tensor(0.2), outcome(70, 70, 9), 0.05).item() == pytest.approx(0.2)
