"""Which operations a recipe trains on, and which it never sees."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float64, Int, Int8
from torch import Tensor

from ternary_vae.operations import as_classes, class_index, random_operations, require_enumerable, skewed_operations
from ternary_vae.recipe import Recipe
from ternary_vae.space import Space

Part = Literal["train", "validation", "test"]
_HASH_BITS = 53  # what a float of 64 bits tells apart


class Split(NamedTuple):
    """Indices of operations, in three parts that share none and together are all of a space that can be listed."""

    train: Int[Tensor, " train"]
    validation: Int[Tensor, " validation"]
    test: Int[Tensor, " test"]


def training_split(recipe: Recipe) -> Split:
    """The recipe's split of a space that can be listed, on the CPU: a permutation drawn from its seed, cut at the
    rounded shares. What is neither trained on nor validated with is the test part; a part may be empty. The same recipe
    always gives the same split.

    Raises:
        UserError: the space is too large.
    """
    space = recipe.space.as_space()
    require_enumerable(space, "a split by permutation")
    generator = torch.Generator().manual_seed(recipe.seed)
    order = torch.randperm(space.operations, generator=generator)
    train = max(1, round(recipe.data.train_share * space.operations))
    validation = min(round(recipe.data.validation_share * space.operations), space.operations - train)
    return Split(*order.split([train, validation, space.operations - train - validation]))


def drawn_operations(
    recipe: Recipe, count: int, generator: torch.Generator, part: Part = "train", skewed_share: float = 0.0
) -> Int8[Tensor, "count entries"]:
    """Operations of one part of a space that need not be listed: drawn independently, uniformly but for a share of
    skewed ones, those that a hash of their index puts into another part left out. On the generator's device.

    Raises:
        ValueError: the part is empty.
    """
    space, (low, high) = recipe.space.as_space(), part_bounds(recipe, part)
    if high <= low:
        raise ValueError(f"the recipe has no {part} operations")
    if high - low == 1:
        return _mixed(count, space, skewed_share, generator)
    kept: list[Tensor] = []
    missing = count
    while missing > 0:
        # A tenth more than are needed on average, so that the first draw is mostly enough.
        tables = _mixed(int(1.1 * missing / (high - low)) + 16, space, skewed_share, generator)
        place = hashed(class_index(as_classes(tables, space), space.values), recipe.seed)
        kept.append(tables[(place >= low) & (place < high)][:missing])
        missing -= len(kept[-1])
    return torch.cat(kept)


def _mixed(count: int, space: Space, skewed_share: float, generator: torch.Generator) -> Int8[Tensor, "count entries"]:
    tables = random_operations(count, space, generator)
    if not skewed_share:
        return tables
    chosen = torch.rand(count, 1, generator=generator, device=generator.device) < skewed_share
    return torch.where(chosen, skewed_operations(count, space, generator), tables)


def part_bounds(recipe: Recipe, part: Part) -> tuple[float, float]:
    """The interval of [0, 1) into which `hashed` puts the operations of a part."""
    train = recipe.data.train_share
    validation = min(1.0, train + recipe.data.validation_share)
    return {"train": (0.0, train), "validation": (train, validation), "test": (validation, 1.0)}[part]


def hashed(index: Int[Tensor, "*n"], seed: int) -> Float64[Tensor, "*n"]:
    """A number of [0, 1) for each index, as good as random and always the same for a seed: the finalizer of SplitMix64
    (Steele et al. 2014, "Fast splittable pseudorandom number generators")."""
    mixed = index * _signed(0x9E3779B97F4A7C15) + seed
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ _shifted(mixed, shift)) * _signed(factor)
    mixed = mixed ^ _shifted(mixed, 31)
    return _shifted(mixed, 64 - _HASH_BITS).double() / 2**_HASH_BITS


def _shifted(number: Int[Tensor, "*n"], places: int) -> Int[Tensor, "*n"]:
    """To the right, as numbers without a sign are."""
    return (number >> places) & ((1 << (64 - places)) - 1)


def _signed(number: int) -> int:
    """A number of 64 bits without a sign, as tensors hold it."""
    return number - 2**64 if number >= 2**63 else number
