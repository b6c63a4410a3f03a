"""`ternary-vae gate …` and `ternary-vae gates …`: parse and call. Everything heavy is imported when a command runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ternary_vae.errors import UserError


class GateFormat(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"
    verilog = "verilog"


class ListFormat(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"


Values = Annotated[int, typer.Option("--values", help="How many values the logic has.")]
Inputs = Annotated[
    int | None, typer.Option("--inputs", help="How many inputs gates have.", show_default="as named, otherwise 2")
]


def gate(
    name: Annotated[
        str,
        typer.Argument(
            help="A name (SUM), a heptavintimal name (7PB), an index (5681) or a truth table (+-0-0+0+-). Where that "
            "could be two things: name:…, heptavintimal:…, index:… or table:…."
        ),
    ],
    form: Annotated[GateFormat, typer.Option("--format", help="How to print it.")] = GateFormat.text,
    values: Values = 3,
    inputs: Inputs = None,
) -> None:
    """Show a gate: truth table, names, properties and classes; or write it as Verilog."""
    from ternary_vae import gate_commands

    if name.startswith("--") and name.strip("-")[:1].isalpha():
        raise UserError(f"no such option: {name}; see ternary-vae gate --help")
    gate_commands.gate(name, values=values, inputs=inputs, form=form.value)


def gates(
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Properties with and, or, not: 'commutative and sheffer'."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="A truth table with ? for entries that may be anything.")
    ] = None,
    near: Annotated[
        str | None, typer.Option(metavar="GATE", help="List the gates nearest to this one first (differing entries).")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to list; all are counted.")] = 20,
    form: Annotated[ListFormat, typer.Option("--format", help="How to print them.")] = ListFormat.text,
    properties: Annotated[bool, typer.Option("--properties", help="List the properties there are, and stop.")] = False,
    values: Values = 3,
    inputs: Inputs = None,
) -> None:
    """Find gates by properties, by a table with open entries, or near another gate."""
    from ternary_vae import gate_commands

    if properties:
        gate_commands.properties(values=values, inputs=inputs)
        return
    gate_commands.gates(where, table, near, values=values, inputs=inputs, limit=limit, form=form.value)
