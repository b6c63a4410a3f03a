"""Coverage: which operations a decoder answers when it is fed prior draws.

Operations are counted by index. Everything runs in chunks, so that memory does not
grow with the number of draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ternary_vae.limits import coverage_limit
from ternary_vae.model import Sizes, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import class_index
from ternary_vae.resolution.records import Coverage, CoveragePoint
from ternary_vae.resolution.statistics import repeat_interval
from ternary_vae.space import Space

_CHUNK_CPU = 4096  # what the layers answer then stays in the second-level cache
_CHUNK_DEVICE = 131_072


@runtime_checkable
class Decoder(Protocol):
    """What coverage asks of a model."""

    sizes: Sizes

    def decode(self, z: Float[Tensor, "n latent"], vae: Side) -> Float[Tensor, "n entries values"]: ...


@torch.no_grad()
def indices_of_latents(model: Decoder, vae: Side, z: Float[Tensor, "n latent"]) -> Int[Tensor, " n"]:
    """Index of the operation that each latent decodes to (argmax)."""
    return torch.cat([most_likely(model.decode(chunk, vae)) for chunk in in_chunks(z)])


def most_likely(logits: Float[Tensor, "n entries values"]) -> Int[Tensor, " n"]:
    """Index of the most likely operation."""
    values = logits.shape[-1]
    return class_index(logits_to_tables(logits) - Space(values, 1).lowest, values)


def decoded_indices(model: Decoder, vae: Side, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    """Indices of operations decoded (argmax) by one VAE alone from `count` prior draws z ~ N(0, I), on the
    generator's device. About 0.15 s for 195,000 draws of VAE-B on two cores."""
    return indices_of_latents(model, vae, prior_draws(model, count, generator))


@torch.no_grad()
def decoded_and_categorical_indices(
    model: Decoder, vae: Side, count: int, generator: torch.Generator
) -> tuple[Int[Tensor, " count"], Int[Tensor, " count"]]:
    """As `decoded_indices`, and from the same latents the operations drawn entry by entry from the decoder's
    softmax, which is how the plan counts. A decoder that ignores z does well in the second only."""
    decoded, drawn = [], []
    for chunk in in_chunks(prior_draws(model, count, generator)):
        logits = model.decode(chunk, vae)
        decoded.append(most_likely(logits))
        drawn.append(_categorical(logits, generator))
    return torch.cat(decoded), torch.cat(drawn)


def prior_draws(model: Decoder, count: int, generator: torch.Generator) -> Float[Tensor, "count latent"]:
    """z ~ N(0, I), on the generator's device."""
    return torch.randn(count, model.sizes.latent_dimensions, generator=generator, device=generator.device)


def in_chunks(rows: Shaped[Tensor, "n *shape"]) -> Sequence[Shaped[Tensor, "m *shape"]]:
    """Rows cut into pieces of a size that decodes fast on their device."""
    return rows.split(rows_at_once(rows.device))


def rows_at_once(device: torch.device) -> int:
    """How many rows decode fast together."""
    return _CHUNK_CPU if device.type == "cpu" else _CHUNK_DEVICE


def counts_by_draws(draws: Sequence[int], *indices: Int[Tensor, " n"], operations: int) -> list[int]:
    """Number of different operations after each number of draws, taken in order and in equal parts from each of
    the given index vectors.

    Args:
        draws: totals over all vectors, ascending, none more than there is.
    """
    table = torch.zeros(operations, dtype=torch.bool, device=indices[0].device)
    counts, start = [], 0
    for total in draws:
        end = total // len(indices)
        for vector in indices:
            table[vector[start:end]] = True
        counts.append(table.sum())
        start = end
    return torch.stack(counts).tolist() if counts else []


def coverage_record(counts: Sequence[int], draws: int, operations: int) -> Coverage:
    """Coverage from the number of operations met in each of several repeats of `draws` draws."""
    shares = [count / operations for count in counts]
    interval = repeat_interval(shares)
    return Coverage(
        coverage_rate=interval.mean,
        coverage_limit=coverage_limit(draws, operations),
        unique_operations=sum(counts) / len(counts),
        draws=draws,
        interval=interval,
    )


def coverage_points(draws: Sequence[int], repeats: Sequence[Sequence[int]], operations: int) -> list[CoveragePoint]:
    """The curve of coverage against draws, mean over repeats of `counts_by_draws`."""
    return [
        CoveragePoint(
            draws=total,
            coverage_rate=sum(counts) / len(counts) / operations,
            coverage_limit=coverage_limit(total, operations),
        )
        for total, counts in zip(draws, zip(*repeats))
    ]


def covers_everything(model: Decoder, draws: int, generator_for: Callable[[str], torch.Generator]) -> bool:
    """Whether `draws` decoded draws of each VAE alone meet all operations, both VAEs.

    A perfectly uniform model leaves K·(1 − 1/K)^N operations unmet on average: of 19,683 0.98 at 195,000 draws, so that
    even it succeeds with one VAE in about 3 measurements of 8.
    """
    vaes: tuple[Side, Side] = ("A", "B")
    drawn = (decoded_indices(model, vae, draws, generator_for(f"full coverage {vae}")) for vae in vaes)
    return all(len(indices.unique()) == model.sizes.space.operations for indices in drawn)


def _categorical(logits: Float[Tensor, "n entries values"], generator: torch.Generator) -> Int[Tensor, " n"]:
    """One draw an entry by inversion: a uniform number against the cumulative probabilities."""
    entries, values = logits.shape[-2:]
    uniform = torch.rand(len(logits), entries, 1, generator=generator, device=logits.device)
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)[..., : values - 1]
    return class_index((uniform >= cumulative).sum(dim=-1), values)
