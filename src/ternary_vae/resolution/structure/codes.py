"""Codes of truth tables: a trained VAE's, and codes whose structure is known, for comparison."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int8, Int64
from scipy import linalg
from torch import Tensor

from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import as_classes
from ternary_vae.resolution.coverage import in_chunks
from ternary_vae.resolution.structure.ideal import normal_levels
from ternary_vae.resolution.structure.records import Accuracy
from ternary_vae.space import Space


@runtime_checkable
class Code(Protocol):
    """A map from truth tables to points, and back. Points are in double precision on the CPU."""

    space: Space

    def encode(self, tables: Int8[Tensor, "n entries"]) -> Float64[Tensor, "n dimensions"]:
        """The point of each truth table."""

    def decode(self, points: Float64[Tensor, "n dimensions"]) -> Int8[Tensor, "n entries"]:
        """The truth table that each point stands for."""


class ModelCode:
    """Posterior means of one VAE alone, and what its decoder answers (the most likely values)."""

    def __init__(self, model: DualVAE, vae: Side) -> None:
        self.space = model.space
        self._model = model
        self._vae: Side = vae
        self._weight = next(model.parameters())

    @torch.no_grad()
    def encode(self, tables: Int8[Tensor, "n entries"]) -> Float64[Tensor, "n dimensions"]:
        parts = [self._model.encode(chunk.to(self._weight.device)) for chunk in in_chunks(tables)]
        return torch.cat([part.of(self._vae)[0] for part in parts]).cpu().double()

    @torch.no_grad()
    def decode(self, points: Float64[Tensor, "n dimensions"]) -> Int8[Tensor, "n entries"]:
        parts = [self._model.decode(chunk.to(self._weight), self._vae) for chunk in in_chunks(points)]
        return torch.cat([logits_to_tables(part) for part in parts]).cpu()


class AxisCode:
    """The ideal code of an axis an entry: N(0, 1) cut into equally likely intervals, one a value, and each value at the
    mean of its interval. With three values the cuts lie at ±0.4307 and the levels at 0 and ±1.0908.

    Args:
        orders: the classes of each entry in the order in which they lie on its axis; ascending unless given.
    """

    def __init__(self, space: Space, orders: Int64[Tensor, "entries values"] | None = None) -> None:
        self.space = space
        self._orders = torch.arange(space.values).expand(space.entries, -1) if orders is None else orders
        self._places = self._orders.argsort(dim=1)
        self._cuts, self._levels = map(torch.from_numpy, normal_levels(space.values))

    def encode(self, tables: Int8[Tensor, "n entries"]) -> Float64[Tensor, "n dimensions"]:
        classes = as_classes(tables, self.space)
        return self._levels[self._places.expand(len(classes), -1, -1).gather(2, classes[..., None])[..., 0]]

    def decode(self, points: Float64[Tensor, "n dimensions"]) -> Int8[Tensor, "n entries"]:
        places = torch.bucketize(points.contiguous(), self._cuts)
        classes = self._orders.expand(len(points), -1, -1).gather(2, places[..., None])[..., 0]
        return (classes + self.space.lowest).to(torch.int8)


class RandomOrthogonalCode:
    """The values of each entry at the corners of a regular simplex (a triangle for three), entries at right angles to
    each other, all turned at random. With fewer dimensions than entries · (values − 1) they are projected on random
    directions, and some tables are then decoded wrongly. Every dimension has variance 1 over all operations; with more
    dimensions than that, they have it in the mean."""

    def __init__(self, space: Space, dimensions: int, generator: torch.Generator) -> None:
        self.space = space
        corners = math.sqrt(space.values) * torch.from_numpy(linalg.helmert(space.values).T)
        whole = space.entries * (space.values - 1)
        square = torch.randn(max(whole, dimensions), max(whole, dimensions), generator=generator, dtype=torch.float64)
        self._corners = corners
        self._turn = torch.linalg.qr(square).Q[:whole, :dimensions] * max(1.0, math.sqrt(dimensions / whole))

    def encode(self, tables: Int8[Tensor, "n entries"]) -> Float64[Tensor, "n dimensions"]:
        return self._corners[as_classes(tables, self.space)].flatten(1) @ self._turn

    def decode(self, points: Float64[Tensor, "n dimensions"]) -> Int8[Tensor, "n entries"]:
        placed = (points @ self._turn.T).unflatten(1, (self.space.entries, -1))
        return ((placed @ self._corners.T).argmax(dim=-1) + self.space.lowest).to(torch.int8)


def right(answers: Int8[Tensor, "n entries"], wanted: Int8[Tensor, "n entries"]) -> Accuracy:
    """How often entries, and whole tables, are as wanted."""
    equal = answers == wanted
    return Accuracy(entry_rate=float(equal.double().mean()), exact_rate=float(equal.all(dim=1).double().mean()))
