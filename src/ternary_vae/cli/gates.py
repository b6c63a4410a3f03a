"""`ternary-vae gate` and `ternary-vae gates`, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ternary_vae.cli.output import print_json, say
from ternary_vae.errors import UserError

if TYPE_CHECKING:
    from ternary_vae.gates.names import Gate
    from ternary_vae.pretrained.codes import GateCode
    from ternary_vae.pretrained.networks import Networks
    from ternary_vae.space import Space


class GateFormat(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"
    verilog = "verilog"


class ListFormat(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"


class Distance(StrEnum):
    entries = "entries"
    A = "A"
    B = "B"


Values = Annotated[int, typer.Option("--values", help="How many values the logic has.")]
Inputs = Annotated[
    int | None, typer.Option("--inputs", help="How many inputs gates have.", show_default="as named, otherwise 2")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Whose codes: a model's name, a directory, or owner/name on the Hugging Face hub.",
        show_default="the one that comes along for these gates",
    ),
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
    model: ModelOption = None,
    neighbours: Annotated[
        int | None, typer.Option(min=0, help="How many of the nearest gates to show.", show_default="5")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True, metavar="")] = None,
) -> None:
    """Show a gate: truth table, names, properties, classes, and its code in either VAE; or write it as Verilog."""
    from ternary_vae.gates.names import find_gate
    from ternary_vae.gates.writing import csv_table, described, text_card, verilog_module

    for word in (name, *(more or ())):
        if word.startswith("--") and word.strip("-")[:1].isalpha():
            raise UserError(f"no such option: {word}; see ternary-vae gate --help")
    if more:
        raise UserError(f"{name} {more[0]}: one gate at a time; put a name or a table with spaces in quotation marks")
    shows_codes = form in (GateFormat.json, GateFormat.text)
    for option, given in (("--model", model), ("--neighbours", neighbours)):
        if given is not None and not shows_codes:
            raise UserError(f"{option}: needs --format text or json, which show codes")
    gate, how = find_gate(name, values, inputs)
    understood = f"{name}: {how}"
    if shows_codes:
        codes = []
        if networks := _networks(model, gate.space):
            from ternary_vae.pretrained.codes import gate_codes

            codes = gate_codes(gate, networks, 5 if neighbours is None else neighbours)
        if form is GateFormat.json:
            print_json({"understood": understood, **described(gate), "codes": [_as_json(code) for code in codes]})
        else:
            say("\n".join([f"{understood}\n{text_card(gate)}", *map(_as_text, codes)]))
    else:
        say(f"ternary-vae: {understood}", error=True)
        say(csv_table(gate) if form is GateFormat.csv else verilog_module(gate))


def gates(
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Properties with and, or, not: 'commutative and sheffer'."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="A truth table with ? for entries that may be anything.")
    ] = None,
    near: Annotated[str | None, typer.Option(metavar="GATE", help="List the gates nearest to this one first.")] = None,
    distance: Annotated[
        Distance, typer.Option(help="How near: by entries that differ, or by the codes of VAE-A or VAE-B.")
    ] = Distance.entries,
    model: ModelOption = None,
    named: Annotated[bool, typer.Option("--named", help="Only gates that have a name.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many to list; all are counted.")] = 20,
    form: Annotated[ListFormat, typer.Option("--format", help="How to print them.")] = ListFormat.text,
    properties: Annotated[bool, typer.Option("--properties", help="List the properties there are, and stop.")] = False,
    values: Values = 3,
    inputs: Inputs = None,
) -> None:
    """Find gates by properties, by a table with open entries, or near another gate."""
    from ternary_vae.formats import counted, csv_text
    from ternary_vae.gates.names import find_gate, parse_table, space_asked, table_text
    from ternary_vae.gates.properties import known_properties
    from ternary_vae.gates.search import find_gates, hamming_distance

    if properties:
        known = known_properties(space_asked(values, inputs))
        _print_columns([(name, each.description) for name, each in known.items()], right=False)
        return
    if near is None and distance is not Distance.entries:
        raise UserError("--distance: needs --near, the gate that distances are measured from")
    if distance is Distance.entries and model is not None:
        raise UserError("--model: needs --distance A or B, which measure by its codes")
    partial = None
    if table is not None:
        space, partial = parse_table(table, values, inputs)
        inputs = space.inputs
    target, how = (None, "") if near is None else find_gate(near, values, inputs)
    space = target.space if target else space_asked(values, inputs)
    measured, meaning = hamming_distance, "the number of entries that differ"
    if distance is not Distance.entries:
        from ternary_vae.pretrained.codes import latent_distance, require_space

        networks = _networks(model, space)
        if networks is None:
            raise UserError(f"--distance {distance}: no model comes along that knows gates of {space}; give --model")
        require_space(space, networks)
        measured, meaning = latent_distance(networks, distance.value), f"Euclidean, between codes of VAE-{distance}"
    matches = find_gates(space, where=where, table=partial, near=target, distance=measured, named=named, limit=limit)
    columns: dict[str, list] = {}
    if matches.distances is not None:
        columns["distance"] = [each if isinstance(each, int) else round(each, 4) for each in matches.distances]
    columns["index"] = [gate.index for gate in matches.gates]
    if space.values == 3:
        columns["heptavintimal"] = [gate.heptavintimal for gate in matches.gates]
    tables = space.table(columns["index"])  # at once: one by one they take most of the time
    columns["table"] = [table_text(space, table) for table in tables]
    columns["names"] = ["; ".join(gate.names) for gate in matches.gates]
    rows = list(zip(*columns.values()))
    understood = target and f"{near}: {how}, index {target.index}; distance is {meaning}"
    if form is ListFormat.json:
        listed = [dict(zip(columns, row)) for row in rows]
        print_json({"count": matches.count, "near": understood, "gates": listed})
        return
    first = "" if len(rows) == matches.count else f", of which the first {len(rows):,}"
    order = f"tables from all inputs {space.lowest} to all inputs {space.highest}, the last input fastest"
    heading = "\n".join([*filter(None, [understood]), f"{counted(matches.count, 'gate')}{first}; {order}"])
    say(heading, error=form is ListFormat.csv)
    if form is ListFormat.csv:
        say(csv_text(columns, rows).removesuffix("\n"))
    else:
        _print_columns([tuple(columns), *rows])


def _networks(model: str | None, space: Space) -> Networks | None:
    """Of a model; unless given of the one that comes along for a space, if one does."""
    from ternary_vae.pretrained.files import find_model, shipped_model_of
    from ternary_vae.pretrained.networks import Networks

    chosen = model or shipped_model_of(space)
    return None if chosen is None else Networks(find_model(chosen))


def _as_json(code: GateCode) -> dict[str, Any]:
    from ternary_vae.pretrained.codes import NOISE_SIGMA

    return {
        "vae": code.vae,
        "mean": code.mean.tolist(),
        "standard_deviation": code.deviation.tolist(),
        "noise_sigma": NOISE_SIGMA,
        "exact_under_noise": code.exact_under_noise,
        "noise_borne": code.noise_borne,
        "nearest": [{"index": gate.index, "text": gate.text, "distance": each} for gate, each in code.neighbours],
    }


def _as_text(code: GateCode) -> str:
    from ternary_vae.formats import number, percent
    from ternary_vae.pretrained.codes import DRAWS, NOISE_SIGMA
    from ternary_vae.space import MOST_LISTED

    half = "" if code.noise_borne is None else f", half of them under noise of {code.noise_borne:.2f}"
    rows = [
        f"  {distance:6.3f}  {gate.index:>5}  {_short_name(gate)}{gate.text}  {'; '.join(gate.names)}".rstrip()
        for gate, distance in code.neighbours
    ]
    numbers = [f"{number(each):>5}" for each in code.mean.tolist()]
    gates = [gate for gate, _ in code.neighbours]
    where = "" if gates and gates[0].space.is_enumerable(MOST_LISTED) else " one or two entries away"
    short = "heptavintimal, " if gates and gates[0].space.values == 3 else ""
    return "\n".join(
        [
            "",
            f"in VAE-{code.vae}, a code of {len(numbers)} numbers",
            *("  " + " ".join(numbers[start : start + 8]) for start in range(0, len(numbers), 8)),
            f"  decoded exactly from {percent(code.exact_under_noise, 0)} of {DRAWS:,} draws under latent noise of "
            f"{NOISE_SIGMA}{half}",
            *([f"  nearest gates{where}: distance, index, {short}table, names"] if rows else []),
            *rows,
        ]
    )


def _short_name(gate: Gate) -> str:
    """The heptavintimal name, where gates have one."""
    return f"{gate.heptavintimal}  " if gate.space.values == 3 else ""


def _print_columns(rows: Sequence[Sequence[object]], right: bool = True) -> None:
    """Prints rows with columns of equal width, all but the last, as plain text of any length."""
    widths = [max(len(str(cell)) for cell in column) for column in list(zip(*rows))[:-1]]
    for *cells, last in rows:
        aligned = [f"{cell!s:{'>' if right else '<'}{width}}" for cell, width in zip(cells, widths)]
        say("  ".join([*aligned, str(last)]).rstrip())
