"""Truth tables as tensors: a space's operations, their indices, random ones, and distances.

An entry of a table is a value, as `Space` has them; its class is its place among the values, from 0. The index of an
operation is the sum over its entries j of class_j · q^j. Unless told otherwise the space is that of the 3^9 = 19,683
ternary operations of two inputs, whose index 0 answers −1 everywhere and 19,682 answers +1 everywhere.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Int, Int8, Shaped
from torch import Tensor

from ternary_vae.errors import UserError, shortened
from ternary_vae.space import MOST_LISTED, MOST_MEASURED, TWO_INPUT_TERNARY, Space


class Operations(NamedTuple):
    """Operations that something is measured on."""

    tables: Int8[Tensor, "n entries"]
    indices: Int[Tensor, " n"]

    def rows(self, chosen: Int[Tensor, " m"] | slice) -> Operations:
        """Some of them."""
        return Operations(self.tables[chosen], self.indices[chosen])


@cache
def _all_operations_on(device: torch.device, space: Space) -> Int8[Tensor, "operations entries"]:
    return _tables(torch.arange(space.operations, device=device), space)


def all_operations(
    device: torch.device | str = "cpu", space: Space = TWO_INPUT_TERNARY
) -> Int8[Tensor, "operations entries"]:
    """Every truth table, row i holding the operation of index i. Shared within the process, so do not write into it.

    Raises:
        UserError: there are too many to list.
    """
    require_enumerable(space, "listing every operation", MOST_LISTED)
    return _all_operations_on(torch.device(device), space)


def measured_operations(space: Space, sample: int, generator: torch.Generator) -> Operations:
    """All operations in order where they can be listed; else as many as `sample`, drawn uniformly. On the generator's
    device."""
    if space.is_enumerable():
        tables = all_operations(generator.device, space)
        return Operations(tables, torch.arange(len(tables), device=generator.device))
    tables = random_operations(sample, space, generator)
    return Operations(tables, class_index(as_classes(tables, space), space.values))


def require_enumerable(space: Space, what: str, limit: int = MOST_MEASURED) -> None:
    """Refuses what needs a list of all operations where there is none.

    Raises:
        UserError: there are more than `limit`.
    """
    if not space.is_enumerable(limit):
        count = shortened(f"{space.operations:,}")
        raise UserError(f"{what}: the space of {space} has {count} operations, and at most {limit:,} can be listed")


def release_operations() -> None:
    """Forgets the shared tables of `all_operations` on every device; the next call makes them again."""
    _all_operations_on.cache_clear()


def operation_index(
    tables: Shaped[Tensor, "*batch entries"], space: Space = TWO_INPUT_TERNARY
) -> Int[Tensor, "*batch"]:
    """Index of each truth table, the inverse of `operation_table`.

    Raises:
        ValueError: if the last dimension is not the space's entries, an entry is none of its values, or indices of
            the space do not fit signed 64 bits.
    """
    _require_64_bits(space)
    require_tables(tables, space)
    return class_index(as_classes(tables, space), space.values)


def require_tables(tables: Shaped[Tensor, "*batch entries"], space: Space) -> None:
    """Checks that tables are truth tables of a space.

    Raises:
        ValueError: as `operation_index`.
    """
    if tables.shape[-1:] != (space.entries,):
        raise ValueError(f"a truth table has {space.entries} entries, got shape {tuple(tables.shape)}")
    if not bool(((tables == tables.long()) & (tables >= space.lowest) & (tables <= space.highest)).all()):
        raise ValueError(f"truth table entries must be {space.lowest} to {space.highest}")


def class_index(classes: Int[Tensor, "*batch entries"], values: int = 3) -> Int[Tensor, "*batch"]:
    """Index of tables given as classes 0 … values − 1. Unchecked: meant for decoder output."""
    return (classes * _powers(values, classes.shape[-1], classes.device)).sum(dim=-1)


def operation_table(
    index: Shaped[Tensor, "*batch"], space: Space = TWO_INPUT_TERNARY
) -> Int8[Tensor, "*batch entries"]:
    """Truth table of each index, the inverse of `operation_index`.

    Raises:
        ValueError: if an index is no integer, or outside 0 … operations − 1, or as `operation_index` of the space.
    """
    _require_64_bits(space)
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise ValueError(f"an operation index is an integer in 0 … {space.operations - 1:,}, got {index.dtype}")
    index = index.long()  # in a narrow type bound and powers would wrap
    if bool(((index < 0) | (index >= space.operations)).any()):
        raise ValueError(f"an operation index lies in 0 … {space.operations - 1:,}")
    return _tables(index, space)


def random_operations(count: int, space: Space, generator: torch.Generator) -> Int8[Tensor, "count entries"]:
    """Truth tables drawn uniformly and independently, on the generator's device."""
    classes = torch.randint(space.values, (count, space.entries), generator=generator, device=generator.device)
    return (classes + space.lowest).to(torch.int8)


def skewed_operations(count: int, space: Space, generator: torch.Generator) -> Int8[Tensor, "count entries"]:
    """Truth tables that mostly answer the same, such as constants and their neighbours, of which uniform draws of many
    entries have none. The entries of each are drawn from its own distribution over the values, and that from the prior
    of Jeffreys (1946) for a multinomial distribution: a symmetric Dirichlet distribution of concentration 1/2. On the
    generator's device."""
    device = generator.device
    weights = torch.randn(count, space.values, generator=generator, device=device).square()
    shares = (weights / weights.sum(dim=-1, keepdim=True)).cumsum(dim=-1)
    places = torch.rand(count, space.entries, generator=generator, device=device)
    classes = torch.searchsorted(shares[:, :-1].contiguous(), places)
    return (classes + space.lowest).to(torch.int8)


def hamming_distance(
    first: Shaped[Tensor, "*#batch entries"], second: Shaped[Tensor, "*#batch entries"]
) -> Int[Tensor, "..."]:
    """Number of entries in which two truth tables differ; batches are broadcast."""
    return (first != second).sum(dim=-1)


def as_classes(tables: Shaped[Tensor, "*batch entries"], space: Space) -> Int[Tensor, "*batch entries"]:
    """Truth tables as the classes 0 … values − 1 of their entries."""
    return tables.long() - space.lowest


def one_hot(tables: Shaped[Tensor, "n entries"], space: Space) -> Int[Tensor, "n indicators"]:
    """1 for the value that an entry has, 0 for its others: all values of the first entry, of the second, …"""
    return torch.nn.functional.one_hot(as_classes(tables, space), space.values).flatten(1)


def _require_64_bits(space: Space) -> None:
    if not space.is_indexed_in_64_bits:
        raise ValueError(f"indices of {space} do not fit a tensor's signed 64 bits; use Space.index or Space.table")


def _tables(index: Int[Tensor, "*batch"], space: Space) -> Int8[Tensor, "*batch entries"]:
    powers = _powers(space.values, space.entries, index.device)
    return (index[..., None] // powers % space.values + space.lowest).to(torch.int8)


def _powers(values: int, entries: int, device: torch.device) -> Int[Tensor, " entries"]:
    return torch.tensor([values**entry for entry in range(entries)], device=device)
