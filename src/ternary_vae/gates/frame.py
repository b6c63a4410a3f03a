"""All gates of a space in one data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ternary_vae.errors import not_installed
from ternary_vae.gates.equivalence import EQUIVALENCES, classes
from ternary_vae.gates.names import Gate
from ternary_vae.gates.properties import all_properties
from ternary_vae.space import Space

if TYPE_CHECKING:
    import pandas


def gate_columns(space: Space) -> dict[str, Any]:
    """Columns with a row for each gate of a space: truth table, heptavintimal name where values are three, names,
    properties, and of each kind of class the least index in it (`class_…`) and its size (`size_…`).

    Raises:
        UserError: there are too many gates to list.
    """
    properties = all_properties(space)
    gates = [Gate(space, index) for index in range(space.operations)]
    columns: dict[str, Any] = {
        "table": [gate.text for gate in gates],
        **({"heptavintimal": [gate.heptavintimal for gate in gates]} if space.values == 3 else {}),
        "names": ["; ".join(gate.names) for gate in gates],
        **properties,
    }
    for kind in EQUIVALENCES:
        columns[f"class_{kind}"], columns[f"size_{kind}"] = classes(space, kind)
    return columns


def data_frame(space: Space | None = None) -> pandas.DataFrame:
    """The columns of `gate_columns` as a pandas data frame, its index that of the gates; of the ternary gates of two
    inputs unless a space is given.

    Raises:
        UserError: pandas is not installed, or there are too many gates to list.
    """
    try:
        import pandas
    except ImportError:
        raise not_installed("data_frame", "pandas", "frame") from None
    space = space or Space()
    return pandas.DataFrame(gate_columns(space), index=pandas.RangeIndex(space.operations, name="index"))
