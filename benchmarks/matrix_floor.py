"""The floor: the matrix products of one epoch and nothing else.

Forward and both backward products of every linear layer, at the batch sizes of a recipe's training steps,
prior draws and evaluation; plain `torch.addmm` and `torch.mm` into outputs allocated beforehand. No
activation, loss, optimizer step, random number or count. What also multiplies matrices but is no layer (the
joint distribution of the prior information term, the overlap of the codes) is left out, so the floor is a
little lower than it could be.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ternary_vae.model import DualVAE, Sizes
from ternary_vae.model.injection import BentTranslation, CrossInjection
from ternary_vae.model.linear import as_factor
from ternary_vae.model.networks import Encoder
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.coverage import in_chunks
from ternary_vae.space import TWO_INPUT_TERNARY
from ternary_vae.splits import training_split

PARTS = ("training steps", "prior draws", "evaluation")


@dataclass(frozen=True)
class Layer:
    """A linear layer at one batch size.

    Attributes:
        rows: batch size.
        backward: whether gradients are computed at all.
        to_input: whether the gradient goes on to what feeds this layer; data needs none.
        hidden: whether its rows are multiplied in the format that hidden layers use; the last layers use float32.
    """

    inputs: int
    outputs: int
    rows: int
    backward: bool
    to_input: bool
    hidden: bool

    @property
    def operations(self) -> int:
        """Floating-point operations of its products, a multiplication and an addition counted as two."""
        products = 1 + self.backward + (self.backward and self.to_input)
        return 2 * self.rows * self.inputs * self.outputs * products


class MatrixFloor:
    """All products of one epoch, ready to run.

    Args:
        recipe: gives batch size, injection, prior draws and what is evaluated.
    """

    def __init__(self, recipe: Recipe) -> None:
        model = DualVAE.of(recipe)
        self._layers = {part: list(_layers_of(part, recipe, model)) for part in PARTS}
        self._buffers: dict[tuple[bool, str, int, int], Tensor] = {}
        self._products = {part: self._ready(layers) for part, layers in self._layers.items()}

    def run(self, part: str) -> None:
        """Multiplies everything that one part of an epoch multiplies."""
        with torch.no_grad():
            for bias, first, second, result in self._products[part]:
                if bias is None:
                    torch.mm(first, second, out=result)
                else:
                    torch.addmm(bias, first, second, out=result)

    def operations(self) -> int:
        """Floating-point operations of an epoch's products."""
        return sum(layer.operations for layers in self._layers.values() for layer in layers)

    def _ready(self, layers: list[Layer]) -> list[tuple[Tensor | None, Tensor, Tensor, Tensor]]:
        """Products as (bias or none, first factor, second factor, result)."""
        products: list[tuple[Tensor | None, Tensor, Tensor, Tensor]] = []
        for layer in layers:
            buffer = partial(self._buffer, layer.hidden)
            x = buffer("input", layer.rows, layer.inputs)
            weight = buffer("weight", layer.outputs, layer.inputs)
            bias = buffer("bias", 1, layer.outputs)[0]
            products.append((bias, x, weight.T, buffer("result", layer.rows, layer.outputs)))
            if not layer.backward:
                continue
            gradient = buffer("gradient", layer.rows, layer.outputs)
            products.append((None, gradient.T, x, buffer("result", layer.outputs, layer.inputs)))
            if layer.to_input:
                products.append((None, gradient, weight, buffer("result", layer.rows, layer.inputs)))
        return products

    def _buffer(self, hidden: bool, role: str, rows: int, columns: int) -> Tensor:
        """One buffer a role, shape and format, shared by all layers: kind to the cache, as a floor should be."""
        key = (hidden, role, rows, columns)
        if key not in self._buffers:
            values = torch.randn(rows, columns) * 0.1
            self._buffers[key] = as_factor(values) if hidden else values
        return self._buffers[key]


def _layers_of(part: str, recipe: Recipe, model: DualVAE) -> Iterator[Layer]:
    decoders = (model.decoder_A, model.decoder_B)
    batches = _batches(len(training_split(recipe).train), recipe.optimizer.batch_size)
    if part == "training steps":
        for rows in batches:
            for network in (model.encoder_A, model.encoder_B):
                yield from _layers(network, rows, gradient_stops_at={0})
            for network in (model.injection.b_to_a, model.injection.a_to_b):
                yield from _layers(network, rows, gradient_stops_at={0, 1})  # the other's code is detached
            for network in decoders:
                yield from _layers(network, rows)
    elif part == "prior draws":
        settings = recipe.objective.prior_information
        counts = settings.weight or settings.entropy_weight or recipe.objective.recognition
        for _ in range(round(len(batches) / settings.every_steps) if counts else 0):
            for network in decoders:
                yield from _layers(network, settings.draws, gradient_stops_at={0})
            if recipe.objective.recognition:
                for network in (model.encoder_A, model.encoder_B):
                    yield from _layers(network, settings.draws)
    else:
        yield from _evaluation(recipe, model)


def _evaluation(recipe: Recipe, model: DualVAE) -> Iterator[Layer]:
    """All operations encoded once, and decoded alone and coupled; the epoch's share of them encoded again and decoded
    under noise; and the prior draws of coverage. Draws of full coverage beyond those count only where a VAE may meet
    everything, so they are left out."""
    settings = recipe.evaluation
    decoders = (model.decoder_A, model.decoder_B)
    for rows in _chunks(TWO_INPUT_TERNARY.operations):
        for network in (model.encoder_A, model.encoder_B, model.injection, *decoders, *decoders):
            yield from _layers(network, rows, backward=False)
    under_noise = -(-TWO_INPUT_TERNARY.operations // settings.noise_cycle)
    for network in (model.encoder_A, model.encoder_B):
        yield from _layers(network, under_noise, backward=False)
    draws = [under_noise * settings.noise_draws, settings.coverage_draws // 2]
    for network in decoders:
        for count in draws:
            for rows in _chunks(count):
                yield from _layers(network, rows, backward=False)


def _layers(
    network: nn.Module, rows: int, backward: bool = True, gradient_stops_at: Set[int] = frozenset()
) -> Iterator[Layer]:
    """Linear layers of a network. The layers numbered in `gradient_stops_at` are fed by data, which needs no
    gradient."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    last = 2 if isinstance(network, Encoder) else 1
    translates = isinstance(network, (CrossInjection, BentTranslation))
    for number, module in enumerate(linear):
        to_input = number not in gradient_stops_at
        hidden = not translates and number < len(linear) - last
        yield Layer(module.in_features, module.out_features, rows, backward, to_input, hidden)


def _chunks(count: int) -> list[int]:
    return [len(chunk) for chunk in in_chunks(torch.empty(count, Sizes().latent_dimensions))]


def _batches(count: int, size: int) -> list[int]:
    return [min(size, count - start) for start in range(0, count, size)]
