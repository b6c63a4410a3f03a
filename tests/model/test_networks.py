"""Networks: sizes, names, and each layer against the same arithmetic written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ternary_vae.model import DualVAE
from ternary_vae.model.networks import DecoderA, DecoderB, Encoder, Sizes
from ternary_vae.operations import all_operations
from ternary_vae.recipe import load_recipe
from ternary_vae.space import Space


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("network", "count"), [(Encoder, 45_792), (DecoderA, 4_411), (DecoderB, 71_707)])
def test_parameter_counts(network, count):
    assert parameters(network()) == count


@pytest.mark.parametrize(
    ("injection", "adaptive", "units", "count"),
    [
        ("plain", False, 0, 168_770),
        ("plain", True, 0, 168_770 + 33),
        ("translated", False, 0, 168_770 + 512),
        ("translated", True, 0, 168_770 + 545),
        ("translated", False, 32, 168_770 + 512 + 32 * 66),
    ],
)
def test_parameter_counts_of_the_whole(injection, adaptive, units, count):
    model = DualVAE(injection, adaptive, translation_units=units)
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


@pytest.mark.parametrize("middle", [-1, 0, 1])
def test_the_middle_value_only_renames_what_an_encoder_reads(middle):
    torch.manual_seed(1)
    plain, turned = Encoder(), Encoder(middle)
    turned.load_state_dict(plain.state_dict())
    tables = all_operations().float()
    # Written out: the middle value becomes 0, the one after it in −1 → 0 → 1 → −1 becomes 1, the one before it −1.
    order = {-1: [1, -1, 0], 0: [-1, 0, 1], 1: [0, 1, -1]}[middle]
    renamed = torch.empty_like(tables)
    for value, read_as in zip((-1, 0, 1), (order.index(value) - 1 for value in (-1, 0, 1))):
        renamed[tables == value] = read_as
    assert (renamed[tables == middle] == 0).all()
    for found, expected in zip(turned(tables), plain(renamed)):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(("values", "middle"), [(2, 1), (4, 1), (5, -2)])
def test_other_values_are_read_so_many_places_around_their_cycle(values, middle):
    inputs = torch.linspace(-1, 1, values).requires_grad_()
    read = Encoder(middle, Sizes(Space(values, 1))).as_read(inputs)
    assert torch.allclose(read, inputs.roll(middle))
    assert torch.equal(torch.autograd.grad(read.sum(), inputs)[0], torch.ones(values))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("translation_units", (-1,)),
        ("latent_dimensions", (0, -1)),
        *((name, (0.0, -1.0, math.nan, math.inf)) for name in ("width", "decoder_a_width")),
    ],
)
def test_networks_without_a_size_are_refused(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"^{name}: expected .*, got {value}$"):
            DualVAE(**{name: value})


def test_a_recipe_describes_its_model():
    changes = {"model.injection": "translated", "model.translation_units": 5, "model.middle_value_b": -1}
    model = DualVAE.of(load_recipe("ternary_v5_5_adaptive_rho", overrides=changes))
    assert (model.encoder_A.middle_value, model.encoder_B.middle_value) == (0, -1)
    assert model.injection.a_to_b.inward.out_features == 5
    assert len(model.state_net.outputs) == 5


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
