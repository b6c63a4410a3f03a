"""A gate as text, JSON, CSV and Verilog."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.formats import csv_text
from ternary_vae.gates.equivalence import EQUIVALENCES, orbit
from ternary_vae.gates.names import Gate
from ternary_vae.gates.properties import LETTERS, properties_of


def described(gate: Gate) -> dict[str, Any]:
    """All that is known of a gate, as plain values: of each kind of class the least index in it and its size, None
    where its group has too many elements."""
    space = gate.space
    description: dict[str, Any] = {
        "values": list(range(space.lowest, space.highest + 1)),
        "inputs": list(LETTERS[: space.inputs]),
        "index": gate.index,
        "heptavintimal": gate.heptavintimal,
        "names": gate.names,
        "text": gate.text,
        "arguments": space.arguments().tolist(),
        "table": gate.table.tolist(),
        "properties": properties_of(space, gate.index),
        "classes": {},
    }
    for kind in EQUIVALENCES:
        try:
            members = orbit(space, gate.index, kind)
        except UserError:
            description["classes"][kind] = None
        else:
            description["classes"][kind] = {"least": int(members[0]), "size": len(members)}
    return description


def text_card(gate: Gate) -> str:
    """All that is known of a gate, for people."""
    known = described(gate)
    letters = " ".join(known["inputs"])
    first, last = (" ".join(map(str, known["arguments"][entry])) for entry in (0, -1))
    properties = known["properties"]
    lines = [
        "; ".join(gate.names) or "a gate without a name",
        "",
        f"index          {gate.index}",
        *([f"heptavintimal  {gate.heptavintimal}"] if gate.heptavintimal else []),
        f"table          {gate.text}",
        f"               entries from {letters} = {first} to {last}, {known['inputs'][-1]} changes fastest",
        "",
        *_grid(gate),
        "",
        _wrapped("is      ", (name for name, value in properties.items() if value is True)),
        _wrapped("is not  ", (name for name, value in properties.items() if value is False)),
        *(f"{name} = {value}" for name, value in properties.items() if not isinstance(value, bool)),
        "",
        "classes: the least index in it, and how many gates there are in it",
    ]
    for kind, meaning in EQUIVALENCES.items():
        members = known["classes"][kind]
        figures = f"{members['least']:>14} {members['size']:>7}" if members else f"{'too large':>22}"
        lines.append(f"{figures}  {kind} ({meaning})")
    return "\n".join(lines)


def _grid(gate: Gate) -> list[str]:
    """A truth table with a row for each combination of all inputs but the last."""
    space = gate.space
    letters, values = LETTERS[: space.inputs], range(space.lowest, space.highest + 1)
    before = [" ".join(f"{value:>2}" for value in row[:-1]) for row in space.arguments()[:: space.values]]
    head = " ".join(f"{letter:>2}" for letter in letters[:-1])
    width = max(len(head), *map(len, before))
    rows = gate.table.reshape(-1, space.values)
    lines = [f"  {head:>{width}} | {letters[-1]} = " + " ".join(f"{value:>2}" for value in values)]
    lines.append("  " + "-" * (len(lines[0]) - 2))
    answers = (" ".join(f"{value:>2}" for value in row) for row in rows)
    return [*lines, *(f"  {start:>{width}} |     {row}" for start, row in zip(before, answers))]


def _wrapped(start: str, names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(names), width=100, initial_indent=start, subsequent_indent=" " * len(start))


def csv_table(gate: Gate) -> str:
    """A truth table as CSV, a line an entry: the inputs and the answer."""
    rows = ([*row, value] for row, value in zip(gate.space.arguments().tolist(), gate.table.tolist()))
    return csv_text([*LETTERS[: gate.space.inputs], "answer"], rows).rstrip("\n")


def verilog_module(gate: Gate) -> str:
    """A combinational Verilog module. A value is its class in binary, with two bits of three values: 00 is -1, 01 is 0
    and 10 is 1. What is no value gives an undefined answer, which synthesis is free to choose."""
    space = gate.space
    bits = (space.values - 1).bit_length()
    letters = LETTERS[: space.inputs]
    name = f"gate_{gate.heptavintimal or f'{space.values}_{space.inputs}_{gate.index}'}"
    codes = [f"{value - space.lowest:0{bits}b}" for value in range(space.lowest, space.highest + 1)]
    meaning = ", ".join(f"{code} is {value + space.lowest}" for value, code in enumerate(codes))
    ports = ", ".join(f"input wire [{bits - 1}:0] {letter}" for letter in letters)
    lines = [
        f"// {'; '.join([name, *gate.names])}: index {gate.index}, truth table {gate.text}",
        f"// {meaning}",
        f"module {name} ({ports}, output reg [{bits - 1}:0] y);",
        "  always @* begin",
        f"    case ({{{', '.join(letters)}}})",
    ]
    for inputs, value in zip(space.arguments() - space.lowest, gate.table - space.lowest):
        pattern = "_".join(codes[number] for number in inputs)
        lines.append(f"      {bits * space.inputs}'b{pattern}: y = {bits}'b{codes[value]};")
    lines += [f"      default: y = {bits}'b{'x' * bits};", "    endcase", "  end", "endmodule"]
    return "\n".join(lines)
