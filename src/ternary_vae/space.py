"""Spaces of truth tables: functions of some inputs over some values, and their numbering.

An operation of a `Space` has one entry for each combination of its inputs. The first input is the most significant
digit of an entry's number, so that the last one changes fastest. With an odd number of values they are balanced
(-1, 0, 1 of three), with an even number they are 0 … q - 1; a value's class is its place among them, from 0. The index
of an operation is the sum over its entries j of class_j * q**j.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8, Shaped
from numpy.typing import ArrayLike

from ternary_vae.errors import UserError, shown

MOST_MEASURED = 100_000
"""Operations that training and measuring go through one by one, unless another limit is given. Of a larger space they
draw, and measure as many: distances between all pairs of 823,543 would take hours."""
MOST_LISTED = 2**20
"""Operations that are still held in memory all at once, where gates are searched and codes are written."""
_MOST_VALUES = 36
_MOST_ENTRIES = 1024


@dataclass(frozen=True)
class Space:
    """All functions of `inputs` inputs over `values` values; 19,683 of them for three values and two inputs.

    Raises:
        UserError: a number that is not whole, fewer than 2 or more than 36 values, no input, or more than 1,024
            entries.
    """

    values: int = 3
    inputs: int = 2

    def __post_init__(self) -> None:
        for name in ("values", "inputs"):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | np.integer):
                raise UserError(f"a space of {shown(given)} {name}: expected a whole number")
            # One of numpy's would overflow without a word, where operations are more than it holds.
            object.__setattr__(self, name, int(given))
        if not 2 <= self.values <= _MOST_VALUES:
            raise UserError(f"a space of {shown(self.values)} values: expected 2 to {_MOST_VALUES}")
        if self.inputs < 1:
            raise UserError(f"a space of {shown(self.inputs)} inputs: expected at least 1")
        if self.inputs > _MOST_ENTRIES.bit_length() or self.entries > _MOST_ENTRIES:
            raise UserError(
                f"a space of {self.values} values and {shown(self.inputs)} inputs: a truth table may have at most "
                f"{_MOST_ENTRIES:,} entries"
            )

    def __str__(self) -> str:
        return f"{self.values} values and {self.inputs} input{'s' if self.inputs > 1 else ''}"

    @property
    def entries(self) -> int:
        """Entries of a truth table."""
        return self.values**self.inputs

    @property
    def operations(self) -> int:
        """Operations there are."""
        return self.values**self.entries

    @property
    def bits(self) -> float:
        """Information in one operation drawn uniformly, in bits; 14.26 of 19,683."""
        return math.log2(self.operations)

    @property
    def lowest(self) -> int:
        """The lowest value, whose class is 0."""
        return -(self.values // 2) if self.values % 2 else 0

    @property
    def highest(self) -> int:
        """The highest value, whose class is one less than there are values."""
        return self.lowest + self.values - 1

    def is_enumerable(self, limit: int = MOST_MEASURED) -> bool:
        """Whether there are at most `limit` operations."""
        return self.operations <= limit

    @property
    def is_indexed_in_64_bits(self) -> bool:
        """Whether every index is a signed 64-bit number, as tensors hold them."""
        return self.operations <= 2**63

    def as_input(self, tables: Any) -> Any:
        """Truth tables of shape `(*batch, entries)`, of numpy or torch, as the encoders read them, in their own number
        type: values spread evenly over [−1, 1]."""
        if self.values == 3:
            return tables
        step = 2 / (self.values - 1)
        return tables * step if self.values % 2 else tables * step - 1

    def arguments(self) -> Int8[np.ndarray, "entries inputs"]:
        """The values of the inputs at each entry. Small numbers: a product of many values needs wider ones."""
        return (np.indices((self.values,) * self.inputs).reshape(self.inputs, -1).T + self.lowest).astype(np.int8)

    def table(self, index: ArrayLike) -> Int8[np.ndarray, "*batch entries"]:
        """Truth table of each index, the inverse of `index`.

        Raises:
            UserError: an index is no whole number of 0 … operations - 1.
        """
        # Beyond 64 bits numpy calculates with Python's integers.
        indices = np.asarray(index, dtype=None if self.is_indexed_in_64_bits else object)
        if not indices.size:
            return np.zeros((*indices.shape, self.entries), dtype=np.int8)
        if indices.dtype == object:
            whole = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in indices.flat)
        else:
            whole = np.issubdtype(indices.dtype, np.integer)
        if not whole or indices.min() < 0 or indices.max() >= self.operations:
            raise UserError(f"index {shown(index)}: expected 0 to {shown(self.operations - 1)}")
        if indices.dtype != object:
            indices = indices.astype(np.int64)
        classes = indices[..., None] // self._powers() % self.values
        return (classes.astype(np.int64) + self.lowest).astype(np.int8)

    def index(self, table: ArrayLike) -> Shaped[np.ndarray, "*batch"]:
        """Index of each truth table, `(*batch, entries)` to `(*batch)`, the inverse of `table`: int64, or Python's
        integers where they need more bits.

        Raises:
            UserError: the last dimension is not `entries`, or an entry is none of the values.
        """
        tables = np.asarray(table)
        if tables.ndim == 0 or tables.shape[-1] != self.entries:
            raise UserError(f"a truth table has {self.entries} entries, got shape {tables.shape}")
        if not np.isin(tables, np.arange(self.values) + self.lowest).all():
            raise UserError(f"a truth table's entries are {self.lowest} to {self.highest}")
        powers = self._powers()
        # The type is said, for of one table the product is a number, of which numpy would make a uint64.
        return np.asarray((tables.astype(np.int64) - self.lowest) @ powers, dtype=powers.dtype)

    def _powers(self) -> Shaped[np.ndarray, " entries"]:
        powers = [self.values**entry for entry in range(self.entries)]
        return np.array(powers, dtype=np.int64 if self.is_indexed_in_64_bits else object)


def latent_dimensions_of(space: Space) -> int:
    """Dimensions of a code unless a recipe says another number: seven for every four entries, rounded up."""
    return -(-7 * space.entries // 4)


TWO_INPUT_TERNARY = Space(3, 2)
"""The space of the plan."""
