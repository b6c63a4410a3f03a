"""What `ternary-vae gate` and `ternary-vae gates` do. Imported when they run; without torch."""

from __future__ import annotations

import csv
import json
import sys

from ternary_vae.formats import counted
from ternary_vae.gates.names import find_gate, parse_table
from ternary_vae.gates.properties import known_properties
from ternary_vae.gates.search import find_gates
from ternary_vae.gates.writing import csv_table, described, text_card, verilog_module
from ternary_vae.space import Space


def gate(name: str, *, values: int, inputs: int | None, form: str) -> None:
    """Prints all that is known of a gate, and how its name was understood.

    Raises:
        UserError: the name names no gate, or could be two things.
    """
    found, understood = find_gate(name, values, inputs)
    told = f"{name}: {understood}"
    if form == "json":
        print(json.dumps({"understood": told, **described(found)}, indent=2, ensure_ascii=False))
    elif form == "text":
        print(f"{told}\n{text_card(found)}")
    else:
        print(f"ternary-vae: {told}", file=sys.stderr)
        print(csv_table(found) if form == "csv" else verilog_module(found))


def gates(
    where: str | None, table: str | None, near: str | None, *, values: int, inputs: int | None, limit: int, form: str
) -> None:
    """Prints the gates that a search finds.

    Raises:
        UserError: see `parse_table`, `find_gate` and `find_gates`.
    """
    partial = None
    if table is not None:
        space, partial = parse_table(table, values, inputs)
        inputs = space.inputs
    to = None if near is None else find_gate(near, values, inputs)
    space = to[0].space if to else Space(values, inputs or 2)
    found = find_gates(space, where=where, table=partial, near=to and to[0], limit=limit)
    columns: dict[str, list] = {} if found.distances is None else {"distance": found.distances}
    columns["index"] = [gate.index for gate in found.gates]
    if space.values == 3:
        columns["heptavintimal"] = [gate.heptavintimal for gate in found.gates]
    columns["table"] = [gate.text for gate in found.gates]
    columns["names"] = ["; ".join(gate.names) for gate in found.gates]
    rows = list(zip(*columns.values()))
    told = f"{near}: {to[1]}, index {to[0].index}; distance is the number of entries that differ" if to else None
    if form == "json":
        listed = [dict(zip(columns, row)) for row in rows]
        print(json.dumps({"count": found.count, "near": told, "gates": listed}, indent=2, ensure_ascii=False))
        return
    first = "" if len(rows) == found.count else f", of which the first {len(rows):,}"
    lowest, highest = space.lowest, space.lowest + space.values - 1
    order = f"tables from all inputs {lowest} to all inputs {highest}, the last input fastest"
    heading = "\n".join([*filter(None, [told]), f"{counted(found.count, 'gate')}{first}; {order}"])
    if form == "csv":
        print(heading, file=sys.stderr)
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *rows])
        return
    print(heading)
    widths = [max(map(len, map(str, [name, *cells]))) for name, cells in columns.items()]
    for row in [tuple(columns), *rows]:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(row[:-1], widths)) + f"  {row[-1]}".rstrip())


def properties(*, values: int, inputs: int | None) -> None:
    """Prints the properties that gates of a space have."""
    known = known_properties(Space(values, inputs or 2))
    width = max(map(len, known))
    for name, known_property in known.items():
        print(f"{name:<{width}}  {known_property.description}")
