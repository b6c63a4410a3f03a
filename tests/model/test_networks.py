"""Networks: sizes, names, and each layer against the same arithmetic written out."""

from __future__ import annotations

import itertools

import pytest
import torch

from ternary_vae.model import DualVAE
from ternary_vae.model.networks import DecoderA, DecoderB, Encoder


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("network", "count"), [(Encoder, 45_792), (DecoderA, 4_411), (DecoderB, 71_707)])
def test_parameter_counts(network, count):
    assert parameters(network()) == count


@pytest.mark.parametrize(
    ("injection", "adaptive", "count"),
    [
        ("plain", False, 168_770),
        ("plain", True, 168_770 + 33),
        ("translated", False, 168_770 + 512),
        ("translated", True, 168_770 + 545),
    ],
)
def test_parameter_counts_of_the_whole(injection, adaptive, count):
    model = DualVAE(injection, adaptive)
    assert parameters(model) == count
    assert parameters(model.encoder_A) + parameters(model.decoder_A) == 50_203
    assert parameters(model.encoder_B) + parameters(model.decoder_B) == 117_499


def test_state_dict_has_the_names_and_shapes_of_version_5_5():
    expected = {}

    def linear(name, inputs, outputs):
        expected[f"{name}.weight"] = (outputs, inputs)
        expected[f"{name}.bias"] = (outputs,)

    for side in "AB":
        widths = (9, 256, 128, 64)
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            linear(f"encoder_{side}.encoder.{2 * number}", inputs, outputs)
        linear(f"encoder_{side}.fc_mu", 64, 16)
        linear(f"encoder_{side}.fc_logvar", 64, 16)
    widths = (16, 32, 64, 27)
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        linear(f"decoder_A.decoder.{2 * number}", inputs, outputs)
    linear("decoder_B.fc_in", 16, 128)
    for block in (1, 2):
        for layer in (0, 2):
            linear(f"decoder_B.residual{block}.block.{layer}", 128, 128)
    linear("decoder_B.fc_out", 128, 27)
    linear("state_net.encoder.0", 9, 32)
    expected |= {"state_net.encoder.1.weight": (32,), "state_net.encoder.1.bias": (32,)}
    linear("state_net.encoder.3", 32, 8)
    linear("state_net.decoder.0", 8, 32)
    linear("state_net.decoder.2", 32, 4)
    found = {name: tuple(tensor.shape) for name, tensor in DualVAE().state_dict().items()}
    assert found == expected


def affine(state, name, value):
    return value @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def relu(value):
    return torch.where(value > 0, value, torch.zeros_like(value))


@pytest.mark.parametrize("seed", [0, 1])
def test_layers_against_the_arithmetic_written_out(seed):
    torch.manual_seed(seed)
    model = DualVAE().double()
    state = model.state_dict()
    x = torch.randint(-1, 2, (50, 9)).double()
    z = torch.randn(50, 16).double()

    hidden = x
    for layer in (0, 2, 4):
        hidden = relu(affine(state, f"encoder_A.encoder.{layer}", hidden))
    mu, logvar = model.encoder_A(x)
    torch.testing.assert_close(mu, affine(state, "encoder_A.fc_mu", hidden))
    torch.testing.assert_close(logvar, affine(state, "encoder_A.fc_logvar", hidden))

    hidden = relu(affine(state, "decoder_A.decoder.0", z))
    hidden = relu(affine(state, "decoder_A.decoder.2", hidden))
    torch.testing.assert_close(model.decoder_A(z), affine(state, "decoder_A.decoder.4", hidden).reshape(50, 9, 3))

    def residual(name, value):
        return value + affine(state, f"{name}.block.2", relu(affine(state, f"{name}.block.0", value)))

    hidden = relu(affine(state, "decoder_B.fc_in", z))
    hidden = residual("decoder_B.residual2", relu(residual("decoder_B.residual1", hidden)))
    torch.testing.assert_close(model.decoder_B(z), affine(state, "decoder_B.fc_out", hidden).reshape(50, 9, 3))
