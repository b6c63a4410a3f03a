"""A trained encoder as a function from gates to vectors, without torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload, runtime_checkable

import numpy as np
from jaxtyping import Float32, Shaped

from ternary_vae.errors import UserError, shown
from ternary_vae.formats import counted
from ternary_vae.gates.names import Gate, find_gate
from ternary_vae.pretrained.files import DEFAULT, find_model
from ternary_vae.pretrained.networks import SIDES, Networks
from ternary_vae.space import TWO_INPUT_TERNARY, Space

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class DataFrame(Protocol):
    """A data frame or a series of pandas or polars."""

    def to_numpy(self) -> np.ndarray: ...


Gates = (
    DataFrame | str | Gate | Sequence[str | Gate] | Sequence[int] | Sequence[Sequence[int]] | Shaped[np.ndarray, "..."]
    | Sequence[Shaped[np.ndarray, " entries"]]
)  # fmt: skip


class FrozenEncoder:
    """The posterior means of a trained model: `FrozenEncoder().encode("SUM")` is a vector of 16 numbers.

    Args:
        model: as `DualVAE.from_pretrained` takes it.
        vae: whose code; "both" is that of A, then that of B, 32 numbers.

    Raises:
        UserError: as `DualVAE.from_pretrained`; an unknown VAE.
    """

    def __init__(self, model: str | Path = DEFAULT, vae: Literal["A", "B", "both"] = "A") -> None:
        if vae not in (*SIDES, "both"):
            raise UserError(f"vae is 'A', 'B' or 'both', got {shown(vae)}")
        self.networks = Networks(find_model(model))
        self.sides = SIDES if vae == "both" else (vae,)

    @overload
    def encode(self, gates: Tensor) -> Tensor: ...

    @overload
    def encode(self, gates: Gates) -> Float32[np.ndarray, "*n d"]: ...

    def encode(self, gates: Gates | Tensor) -> Float32[np.ndarray, "*n d"] | Tensor:
        """Codes of gates: of one a vector, of several a matrix. Of a torch tensor they are a tensor on its device.

        Args:
            gates: names as `ternary-vae gate` reads them, each a text or a `Gate`, or truth tables (…, entries) of the
                values of the model's space, such as −1, 0, 1; `Space.table` makes these of indices.

        Raises:
            UserError: names that name no gate of the model's space, or what is no truth table.
        """
        if type(gates).__module__.partition(".")[0] == "torch":
            import torch

            tensor: Any = gates
            # numpy has no bfloat16, and double precision holds every value of the other types
            return torch.from_numpy(self._codes(tensor.detach().cpu().double().numpy())).to(tensor.device)
        return self._codes(as_tables(gates, self.networks.space))

    @property
    def feature_names(self) -> list[str]:
        """A name for each of the numbers, those of the columns of exported embeddings."""
        one = self.networks.space.table([0])
        return [
            f"mean_{side.lower()}_{number}"
            for side in self.sides
            for number in range(self.networks.encode(one, side)[0].shape[1])
        ]

    def _codes(self, tables: Shaped[np.ndarray, "*n entries"]) -> Float32[np.ndarray, "*n d"]:
        self.networks.space.index(tables)  # says what is wrong with them
        rows = tables.reshape(-1, tables.shape[-1])
        codes = np.concatenate([self.networks.encode(rows, side)[0] for side in self.sides], axis=-1)
        return codes.reshape(*tables.shape[:-1], codes.shape[-1])


def as_tables(gates: Gates, space: Space = TWO_INPUT_TERNARY) -> Shaped[np.ndarray, "*n entries"]:
    """Truth tables of gates given by name, as they are, or as tables. As many zeros as entries are values, as
    `Gate.text` writes them.

    Raises:
        UserError: a name that names no gate of the space, a gate of another space, or what is neither.
    """
    if isinstance(gates, DataFrame):  # the rows, and not the columns' names
        gates = gates.to_numpy()
    if isinstance(gates, np.ndarray) and gates.dtype.kind in "OTU":
        gates = (gates[:, 0] if gates.ndim == 2 and gates.shape[1] == 1 else gates).tolist()  # a column of names
    if isinstance(gates, str):
        zeros = space.values == 3 and gates == "0" * space.entries  # fewer are a heptavintimal name or an index
        gates = find_gate(",".join(gates) if zeros else gates, space.values, space.inputs)[0]
    if isinstance(gates, Gate):
        if gates.space != space:
            raise UserError(f"{gates.text}: is a gate of {gates.space}; expected one of {space}")
        return gates.table
    if isinstance(gates, int | np.integer):
        raise UserError(f"{gates}: is a number; write an index as text, such as 'index:{gates}'")
    if not isinstance(gates, Collection):
        raise UserError(f"{shown(gates)}: is no gate; expected names as `ternary-vae gate` reads them, or truth tables")
    if isinstance(gates, np.ndarray):
        return gates
    if not any(isinstance(gate, str | Gate) for gate in gates):
        try:
            tables = np.asarray(gates)
        except ValueError:
            raise UserError(f"truth tables of different lengths; each has {space.entries} entries") from None
        if tables.ndim == 1 and len(tables) != space.entries:
            raise UserError(
                f"a truth table has {space.entries} entries, got {counted(len(tables), 'number')}; write indices as "
                "texts, such as 'index:5681'"
            )
        return tables
    tables = []
    for row, gate in enumerate(gates):
        if not isinstance(gate, str | Gate):
            raise UserError(f"gate {row}: {shown(gate)} is no gate; expected a name as `ternary-vae gate` reads it")
        try:
            tables.append(as_tables(gate, space))
        except UserError as failure:
            raise UserError(f"gate {row}: {failure}") from None
    return np.stack(tables)
