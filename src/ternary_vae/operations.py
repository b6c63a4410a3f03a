"""The space: all 3^9 = 19,683 ternary operations, their indices and distances.

An operation is a function of two inputs a, b in {-1, 0, 1}. Its truth table has nine entries; entry
j = 3(a + 1) + (b + 1) holds the answer for (a, b). Its index is sum over j of (entry_j + 1) * 3^j, so that
index 0 answers -1 everywhere and index 19,682 answers +1 everywhere.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float, Int, Int8, Shaped
from torch import Tensor

VALUES = (-1, 0, 1)
ENTRIES = 9
OPERATION_COUNT = len(VALUES) ** ENTRIES

_POWERS = tuple(3**j for j in range(ENTRIES))


@cache
def _all_operations_on(device: torch.device) -> Int8[Tensor, "19683 9"]:
    index = torch.arange(OPERATION_COUNT, device=device)[:, None]
    powers = torch.tensor(_POWERS, device=device)
    return (index // powers % 3 - 1).to(torch.int8)


def all_operations(device: torch.device | str = "cpu") -> Int8[Tensor, "19683 9"]:
    """Every truth table, row i holding the operation of index i. 177 kB; shared within the process, so do
    not write into it."""
    return _all_operations_on(torch.device(device))


def release_operations() -> None:
    """Forgets the shared tables of `all_operations` on every device; the next call makes them again."""
    _all_operations_on.cache_clear()


def operation_index(tables: Shaped[Tensor, "*batch 9"]) -> Int[Tensor, "*batch"]:
    """Index of each truth table, the inverse of `operation_table`.

    Raises:
        ValueError: if the last dimension is not 9 or an entry is not -1, 0 or 1.
    """
    if tables.shape[-1:] != (ENTRIES,):
        raise ValueError(f"a truth table has {ENTRIES} entries, got shape {tuple(tables.shape)}")
    if not bool(((tables == -1) | (tables == 0) | (tables == 1)).all()):
        raise ValueError("truth table entries must be -1, 0 or 1")
    return class_index(tables.long() + 1)


def class_index(classes: Int[Tensor, "*batch 9"]) -> Int[Tensor, "*batch"]:
    """Index of tables given as classes 0, 1, 2 (for values -1, 0, 1). Unchecked: meant for decoder output."""
    powers = torch.tensor(_POWERS, device=classes.device)
    return (classes * powers).sum(dim=-1)


def operation_table(index: Int[Tensor, "*batch"]) -> Int8[Tensor, "*batch 9"]:
    """Truth table of each index, the inverse of `operation_index`.

    Raises:
        ValueError: if an index is outside 0 … 19,682.
    """
    if bool(((index < 0) | (index >= OPERATION_COUNT)).any()):
        raise ValueError(f"an operation index lies in 0 … {OPERATION_COUNT - 1}")
    return all_operations(index.device)[index]


def hamming_distance(first: Shaped[Tensor, "*batch 9"], second: Shaped[Tensor, "*batch 9"]) -> Int[Tensor, "*batch"]:
    """Number of entries (0 … 9) in which two truth tables differ."""
    return (first != second).sum(dim=-1)


def as_input(tables: Shaped[Tensor, "*batch 9"]) -> Float[Tensor, "*batch 9"]:
    """Truth tables as the encoders read them."""
    return tables.float()
