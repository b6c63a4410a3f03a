"""StateNet: size, range, order of its answers."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.model import StateNet
from ternary_vae.model.statenet import CORRECTIONS, STATE


@pytest.mark.parametrize(("adaptive", "outputs", "count"), [(False, 4, 1_068), (True, 5, 1_101)])
def test_size_and_outputs(adaptive, outputs, count):
    net = StateNet(adaptive)
    assert sum(parameter.numel() for parameter in net.parameters()) == count
    assert net.outputs == ("learning_rate", "lambda1", "lambda2", "lambda3", "rho")[:outputs]
    assert net(torch.randn(len(STATE))).shape == (outputs,)
    assert net(torch.randn(7, len(STATE))).shape == (7, outputs)


def test_state_is_the_plans():
    assert STATE == (
        "entropy_a",
        "entropy_b",
        "kl_a",
        "kl_b",
        "gradient_ratio",
        "rho",
        "lambda1",
        "lambda2",
        "lambda3",
    )
    assert CORRECTIONS[-1] == "rho"


def test_answers_stay_within_one_whatever_the_state():
    torch.manual_seed(0)
    net = StateNet(adaptive_rho=True)
    with torch.no_grad():
        net.decoder[-1].weight.mul_(1000)  # the last layer alone would answer in the hundreds
    answers = net(torch.randn(500, len(STATE)) * 1e4)
    assert bool((answers.abs() <= 1).all())
    assert bool((answers.abs() > 0.9).any())


def test_against_the_arithmetic_written_out():
    torch.manual_seed(1)
    net = StateNet().double()
    state = torch.randn(6, 9, dtype=torch.float64)
    first, norm, _, last = net.encoder
    hidden = state @ first.weight.T + first.bias
    mean = hidden.mean(1, keepdim=True)
    spread = (hidden - mean).square().mean(1, keepdim=True).add(1e-5).sqrt()
    hidden = ((hidden - mean) / spread * norm.weight + norm.bias).tanh()
    hidden = hidden @ last.weight.T + last.bias
    hidden = (hidden @ net.decoder[0].weight.T + net.decoder[0].bias).clamp(min=0)
    expected = (hidden @ net.decoder[2].weight.T + net.decoder[2].bias).tanh()
    torch.testing.assert_close(net(state), expected)


def test_every_parameter_receives_a_gradient():
    torch.manual_seed(2)
    net = StateNet(adaptive_rho=True)
    net(torch.randn(50, 9)).square().sum().backward()
    assert all(float(parameter.grad.norm()) > 0 for parameter in net.parameters())
