"""All gates of a space in one data frame."""

from __future__ import annotations

from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.gates.equivalence import EQUIVALENCES, classes
from ternary_vae.gates.names import Gate
from ternary_vae.gates.properties import all_properties
from ternary_vae.space import Space


def data_frame(space: Space | None = None) -> Any:
    """A pandas data frame of all gates, its index theirs: truth table, names, properties, and of each kind of class the
    least index in it (`class_…`) and its size (`size_…`); of the ternary gates of two inputs unless a space is given.

    Raises:
        UserError: pandas is not installed, or there are too many gates to list.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("data_frame: needs pandas, which is not installed; pip install pandas") from None
    space = space or Space()
    properties = all_properties(space)
    gates = [Gate(space, index) for index in range(space.operations)]
    columns: dict[str, Any] = {
        "table": [gate.text for gate in gates],
        "heptavintimal": [gate.heptavintimal for gate in gates],
        "names": ["; ".join(gate.names) for gate in gates],
        **properties,
    }
    for kind in EQUIVALENCES:
        columns[f"class_{kind}"], columns[f"size_{kind}"] = classes(space, kind)
    return pandas.DataFrame(columns, index=pandas.RangeIndex(space.operations, name="index"))
