"""What keeps the two VAEs in balance, in closed form, of one run and of several at once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ternary_vae.objective.weighting import Balance, averaged_norms, loss_scales
from ternary_vae.recipe import GradientBalance

BY_NORMS = {(1.0, 1.0): (1.0, 1.0), (1.0, 1.5): (1.5, 1 / 1.5), (1.0, 9.0): (2.0, 0.5), (1.0, 0.0): (0.5, 2.0)}


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


def log_odds(share):
    return max(-1.0, min(1.0, math.log(share / (1 - share))))


class TestBalance:
    @given(shares=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=30), gain=st.floats(0, 0.5))
    def test_the_last_lead_and_a_tenth_of_all_while_no_bound_is_met(self, shares, gain):
        """Leads are averages of the log-odds, of which a fifth is new each time."""
        balance, leads = Balance(), [0.0]
        for share_a in shares:
            balance = balance.moved(share_a, gain)
            leads.append(0.8 * leads[-1] + 0.2 * log_odds(share_a))
            assume(abs(balance.weight) < 0.5)
        assert balance.weight == pytest.approx(-gain * (leads[-1] + sum(leads) / 10), abs=1e-9)

    @pytest.mark.parametrize(("share_a", "end"), [(1.0, -0.5), (0.0, 0.5)])
    def test_stops_at_its_bound(self, share_a, end):
        """A positive balance is weight for VAE-A."""
        balance, path = Balance(), []
        for _ in range(60):
            balance = balance.moved(share_a, 0.3)
            path.append(balance.weight / end)
        assert path[0] == pytest.approx(0.3 * 0.2 * (1 + 1 / 10) / 0.5)
        assert path == sorted(path)
        assert path[-1] == 1

    def test_where_nothing_is_at_home_nothing_moves(self):
        assert Balance(0.2, 0.01).moved(None, 0.3) == Balance(0.2, 0.01)

    def test_switched_off(self):
        assert Balance().moved(0.7, 0.0) == Balance()

    def test_brings_a_pair_that_answers_late_to_equal_shares(self):
        """A pair whose lead follows the balance only slowly, from 0.6 apart: within 0.03 after 200 measurements and
        from then on."""
        lead, balance, late = -0.6, Balance(), []
        for epoch in range(400):
            balance = balance.moved(1 / (1 + math.exp(-lead)), 0.03)
            lead += (7 * balance.weight - 0.6 - lead) / 30
            late += [lead] * (epoch >= 200)
        assert max(map(abs, late)) < 0.03
