"""What a trained model makes of a gate: its code in either VAE, how much noise that bears, and what lies near it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Int8, Shaped

from ternary_vae.errors import UserError
from ternary_vae.gates.names import Gate
from ternary_vae.gates.search import Distance
from ternary_vae.pretrained.networks import SIDES, Networks, Side
from ternary_vae.space import MOST_LISTED, Space

NOISE_SIGMA = 0.3
"""Standard deviation of the noise under which exactness is stated, as in the benchmarks' records."""
_SIGMAS = tuple(round(0.05 * step, 2) for step in range(41))
DRAWS = 1000
"""Of noise, for each gate and each σ."""


@dataclass(frozen=True)
class GateCode:
    """A gate in the latent space of one VAE.

    Attributes:
        vae: "A" or "B".
        mean, deviation: of the posterior; the mean is the code.
        exact_under_noise: share of draws z = mean + 0.3·ε that decode to the gate.
        noise_borne: σ at which half of the draws z = mean + σ·ε still decode to it, from a grid in steps of 0.05 up to
            2; None if it is not decoded without noise, or always.
        neighbours: the nearest other gates and the distances of their means, the nearest first; in a space that cannot
            be listed the nearest of those that differ in one entry or two.
    """

    vae: Side
    mean: Float32[np.ndarray, " latent"]
    deviation: Float32[np.ndarray, " latent"]
    exact_under_noise: float
    noise_borne: float | None
    neighbours: list[tuple[Gate, float]]


def gate_codes(gate: Gate, networks: Networks, neighbours: int = 5) -> list[GateCode]:
    """A gate in both VAEs. 1,000 draws of noise, always the same: their standard error is at most 0.016.

    Raises:
        UserError: the gate is not of the model's space.
    """
    require_space(gate.space, networks)
    return [_code(gate, networks, vae, neighbours) for vae in SIDES]


def latent_distance(networks: Networks, vae: Side) -> Distance:
    """A distance for `find_gates`: Euclidean, between posterior means."""

    def distance(
        tables: Shaped[np.ndarray, "n entries"], table: Shaped[np.ndarray, " entries"]
    ) -> Float[np.ndarray, " n"]:
        return np.linalg.norm(networks.encode(tables, vae)[0] - networks.encode(table[None], vae)[0], axis=-1)

    return distance


def require_space(space: Space, networks: Networks) -> None:
    """Checks that a model knows gates of a space.

    Raises:
        UserError: it does not.
    """
    if space != networks.space:
        raise UserError(f"{networks.place}: knows gates of {networks.space}, not of {space}")


def _code(gate: Gate, networks: Networks, vae: Side, neighbours: int) -> GateCode:
    mean, logvar = (part[0] for part in networks.encode(gate.table[None], vae))
    noise = _noise(len(mean))
    shares: dict[float, float] = {}
    for sigma in _SIGMAS:
        decoded = networks.decoded_tables(mean + np.float32(sigma) * noise, vae)
        shares[sigma] = float((decoded == gate.table).all(axis=1).mean())
        if sigma >= NOISE_SIGMA and shares[sigma] < 0.5:
            break
    return GateCode(
        vae=vae,
        mean=mean,
        deviation=np.exp(logvar / 2),
        exact_under_noise=shares[NOISE_SIGMA],
        noise_borne=half_crossing(list(shares.items())),
        neighbours=_nearest(gate, networks, vae, neighbours),
    )


def half_crossing(shares: Sequence[tuple[float, float]]) -> float | None:
    """σ at which a curve of (σ, share) first falls from at least one half to below it, linearly interpolated; None if
    it never does, or starts below."""
    for (left, before), (right, after) in itertools.pairwise(shares):
        if before >= 0.5 > after:
            fallen = (before - 0.5) / (before - after)
            return left + (right - left) * fallen
    return None


def _nearest(gate: Gate, networks: Networks, vae: Side, count: int) -> list[tuple[Gate, float]]:
    tables = _all_tables(gate.space) if gate.space.is_enumerable(MOST_LISTED) else _around(gate)
    distances = latent_distance(networks, vae)(tables, gate.table)
    distances[(tables == gate.table).all(axis=1)] = np.inf
    nearest = np.argsort(distances, kind="stable")[: min(count, np.isfinite(distances).sum())]
    return [(Gate(gate.space, int(gate.space.index(tables[row]))), float(distances[row])) for row in nearest]


def _around(gate: Gate) -> Int8[np.ndarray, "n entries"]:
    """All tables that differ from a gate's in one entry or two."""
    space = gate.space
    steps = [(entry, shift) for entry in range(space.entries) for shift in range(1, space.values)]
    changes = [(step,) for step in steps]
    changes += [pair for pair in itertools.combinations(steps, 2) if pair[0][0] != pair[1][0]]
    classes = np.repeat(gate.table[None].astype(np.int64) - space.lowest, len(changes), axis=0)
    for row, change in enumerate(changes):
        for entry, shift in change:
            classes[row, entry] = (classes[row, entry] + shift) % space.values
    return (classes + space.lowest).astype(np.int8)


@cache
def _all_tables(space: Space) -> Int8[np.ndarray, "operations entries"]:
    return space.table(np.arange(space.operations))


@cache
def _noise(dimensions: int) -> Float32[np.ndarray, "draws dimensions"]:
    return np.random.default_rng(0).standard_normal((DRAWS, dimensions), dtype=np.float32)
