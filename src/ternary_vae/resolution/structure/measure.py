"""The benchmark `structure`: what the manifold knows about operations."""

from __future__ import annotations

import time
from functools import partial

import torch
from jaxtyping import Float64, Int8
from torch import Tensor

from ternary_vae.acceleration.parallel import Tasks, on_one_core, side_by_side
from ternary_vae.devices import choose_device
from ternary_vae.gates import Properties
from ternary_vae.model import DualVAE
from ternary_vae.operations import one_hot
from ternary_vae.resolution.kept import SIDES, Kept
from ternary_vae.resolution.measure import encoded, finite, header_of
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.resolution.structure.arithmetic import arithmetic
from ternary_vae.resolution.structure.axes import axes, level_means, level_orders
from ternary_vae.resolution.structure.codes import (
    AxisCode,
    Code,
    ModelCode,
    RandomOrthogonalCode,
    right,
)
from ternary_vae.resolution.structure.distances import distances
from ternary_vae.resolution.structure.noise import noise
from ternary_vae.resolution.structure.paths import paths
from ternary_vae.resolution.structure.probes import probe
from ternary_vae.resolution.structure.records import CodeStructure, Probe, StructureRecord
from ternary_vae.space import Space
from ternary_vae.storage.checkpoints import Checkpoint

RANDOM_CODES = 3
SAMPLE = 20_000
"""Operations looked at where a space cannot be listed, of those that the other benchmarks draw: about as many as the
plan's space has."""


def measure_structure(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", probed: bool = True
) -> StructureRecord:
    """Measures what the codes of a checkpoint know about operations. The same checkpoint, seed and device give the same
    figures, whatever has been drawn before and however many cores there are.

    Args:
        probed: whether linear probes are fitted too, which takes two thirds of the time.

    Raises:
        UserError: device not available, weights that do not fit the model, or figures that are not finite.
    """
    device = torch.device(choose_device(device))
    started = time.perf_counter()
    kept = Kept(checkpoint, device)
    model, _ = encoded(kept)
    tables = kept.operations.tables.cpu()
    if not model.space.is_enumerable():
        tables = tables[:SAMPLE]
    with finite(checkpoint):
        codes, read = structures_of_model(model, tables, seed, probed)
        return StructureRecord(
            header=header_of(checkpoint, seed, device, started),
            space=checkpoint.recipe.space,
            operations=len(tables),
            all_operations=model.space.is_enumerable(),
            codes=codes,
            probes=read,
        )


def structures_of_model(
    model: DualVAE, tables: Int8[Tensor, "n entries"], seed: int = 0, probed: bool = True
) -> tuple[dict[str, CodeStructure], dict[str, Probe]]:
    """Structures of a model's codes and of known codes beside them, by the names of `StructureRecord.codes`; and what
    probes read, by property.

    Args:
        tables: all operations of the space, or a uniform sample.
        probed: as `measure_structure` has it.
    """
    space = model.space
    cpu = torch.device("cpu")  # networks answer where they are; all else is counted here
    with on_one_core(cpu):
        codes: dict[str, Code] = {f"vae_{vae.lower()}": ModelCode(model, vae) for vae in SIDES}
        points = {name: code.encode(tables) for name, code in codes.items()}
        known = known_codes(space, tables, points, named_generator(seed, "random orthogonal code", "cpu"))
    codes |= known
    points |= {name: code.encode(tables) for name, code in known.items()}
    read_by_probes = {"probes": lambda: probes(space, tables, points["vae_a"], points["vae_b"], seed)}
    tasks: Tasks = {
        **(read_by_probes if probed else {}),
        **{name: partial(structure_of, code, tables, points[name], seed) for name, code in codes.items()},
    }
    results = side_by_side(tasks, cpu)
    read = results.pop("probes", {})
    return results, read


def known_codes(
    space: Space,
    tables: Int8[Tensor, "n entries"],
    points: dict[str, Float64[Tensor, "n dimensions"]],
    generator: torch.Generator,
) -> dict[str, Code]:
    """Codes of known structure to set beside those of both VAEs."""
    ideal = {
        name.replace("vae", "ideal_axes"): AxisCode(space, level_orders(level_means(tables, code, space)))
        for name, code in points.items()
    }
    dimensions = next(iter(points.values())).shape[1]
    return {**ideal, "random_orthogonal": RandomOrthogonalCode(space, dimensions, generator)}


def structure_of(
    code: Code, tables: Int8[Tensor, "n entries"], points: Float64[Tensor, "n dimensions"], seed: int
) -> CodeStructure:
    """All measures of one code. Every code is measured with the same random numbers.

    Raises:
        ValueError: points that are not in double precision on the CPU.
    """
    for some in (points, code.encode(tables[:1])):
        if (some.dtype, some.device.type) != (torch.float64, "cpu"):
            raise ValueError(f"a code's points are in double precision on the CPU; got {some.dtype} on {some.device}")

    def generator(measure: str) -> torch.Generator:
        return named_generator(seed, f"structure {measure}", "cpu")

    return CodeStructure(
        exact_match_rate=right(code.decode(points), tables).exact_rate,
        distances=distances(code, tables, points, generator("distances")),
        axes=axes(tables, points, code.space),
        arithmetic=arithmetic(code, generator("arithmetic")),
        paths=paths(code, generator("paths")),
        noise=noise(code, tables, points, generator("noise")),
    )


def probes(
    space: Space,
    tables: Int8[Tensor, "n entries"],
    points_a: Float64[Tensor, "n dimensions"],
    points_b: Float64[Tensor, "n dimensions"],
    seed: int,
) -> dict[str, Probe]:
    """Linear probes for every property of `ternary_vae.gates`, from the means of A, of B, of both, and from tables: a 0
    or 1 for each entry and value, the values themselves (which is what ideal axes hold), and random orthogonal codes of
    as many dimensions as A's."""
    generator = named_generator(seed, "random orthogonal codes", "cpu")
    random = [RandomOrthogonalCode(space, points_a.shape[1], generator).encode(tables) for _ in range(RANDOM_CODES)]
    features = {
        "vae_a": [points_a],
        "vae_b": [points_b],
        "both": [torch.cat([points_a, points_b], dim=1)],
        "table_one_hot": [one_hot(tables, space).double()],
        "table_values": [tables.double()],
        "random_orthogonal": random,
    }
    return {
        name: probe(values, features, named_generator(seed, f"structure probe {name}", "cpu"))
        for name, values in Properties(space, tables.numpy()).items()
    }
