"""What gates are called: our names, those common in hardware, heptavintimal names, indices and truth tables.

A heptavintimal name is the index in base 27, one character for three entries (Jones 2012, "Standard Ternary Logic"; Bos
2024, "Beyond 0 and 1", appendix G): one for one input, three for two inputs, nine for three. Some pages write the
characters of two inputs in the other order, or use another alphabet; neither is read here.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from jaxtyping import Int8

from ternary_vae.errors import UserError, nearest, shown
from ternary_vae.formats import counted
from ternary_vae.space import Space

HEPTAVINTIMAL = "0123456789ABCDEFGHKMNPRTVXZ"
DONT_CARE = "?"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


NAMED_GATES: dict[str, Callable[[int, int], int]] = {
    "false": lambda a, b: -1,
    "unknown": lambda a, b: 0,
    "true": lambda a, b: 1,
    "first": lambda a, b: a,
    "second": lambda a, b: b,
    "not first": lambda a, b: -a,
    "not second": lambda a, b: -b,
    "minimum (Kleene and)": min,
    "maximum (Kleene or)": max,
    "not minimum": lambda a, b: -min(a, b),
    "not maximum": lambda a, b: -max(a, b),
    "product (exclusive nor)": lambda a, b: a * b,
    "exclusive or": lambda a, b: -a * b,
    "sum modulo 3": lambda a, b: (a + b + 1) % 3 - 1,
    "consensus": lambda a, b: a if a == b else 0,
    "any": lambda a, b: max(-1, min(1, a + b)),
    "comparison": lambda a, b: (a > b) - (a < b),
    "equality": lambda a, b: 1 if a == b else -1,
    "Kleene implication": lambda a, b: max(-a, b),
    "Łukasiewicz implication": lambda a, b: min(1, 1 - a + b),
    "Gödel implication": lambda a, b: 1 if a <= b else b,
}
"""Gates of three-valued logic by name, as functions of (a, b)."""

HARDWARE_NAMES: dict[int, dict[str, str]] = {
    1: {
        "NTI": "2", "STI": "5", "PTI": "8", "MTI": "6", "INC": "7", "INCREMENT": "7", "DEC": "B", "DECREMENT": "B",
        "NOT_NTI": "V", "NOT_MTI": "N", "NOT_PTI": "K", "CLAMP_DOWN": "C", "CLAMP_UP": "R", "CONST_LOW": "0",
        "CONST_MIDDLE": "D", "CONST_HIGH": "Z", "negation": "5", "NOT": "5", "NEG": "5", "identity": "P",
    },
    2: {
        "MIN": "PC0", "MAX": "ZRP", "AND": "PC0", "OR": "ZRP", "TAND": "PC0", "TOR": "ZRP", "TNAND": "5EZ",
        "TNOR": "045", "XOR": "5DP", "MUL": "PD5", "MULTIPLY": "PD5", "SUM": "7PB", "CONS": "RDC", "CON": "RDC",
        "NCONS": "4DE", "NCON": "4DE", "ANY": "XP9", "NANY": "15H", "MLE": "H51", "COMPARE": "H51", "EN": "RD4",
        "ENABLE": "RD4", "DESEL": "VP0", "DESELECT": "VP0", "IMPLICATION": "PRZ",
    },
    3: {
        "SUM3": "B7P7PBPB7", "CAR3": "XRDRDCDC9", "MIN3": "PC0CC0000", "MAX3": "ZZZZRRZRP", "MEDIAN3": "ZRPRDCPC0",
        "MAJORITY3": "ZRPRDCPC0", "MUX3": "PPPDDDZD0",
    },
}  # fmt: skip
"""Names of ternary hardware by number of inputs, as heptavintimal names: those of Jones 2012 and Bos 2024, of the
cells of the Mixed Radix Circuit Synthesizer, of ternary.wiki (CON, NCON, ANY, NANY) and of the literature on carbon
nanotube gates (TNAND, TNOR); AND, OR and NOT are Kleene's. The second input of EN enables the first. MAJORITY3 is 0
where all inputs differ, and so the median; MUX3 answers its second input where the first is −1, its third where that is
1, and else 0. Left out is what sources state differently: NMIN and NMAX (exchanged in one), BUF (K in one)."""


def _boolean_gates(inputs: int) -> dict[str, Callable[..., int]]:
    number = "" if inputs == 2 else str(inputs)
    return {
        f"AND{number}": lambda *x: min(x),
        f"OR{number}": lambda *x: max(x),
        f"NAND{number}": lambda *x: 1 - min(x),
        f"NOR{number}": lambda *x: 1 - max(x),
        f"XOR{number}": lambda *x: sum(x) % 2,
        f"XNOR{number}": lambda *x: 1 - sum(x) % 2,
    }


OTHER_GATES: dict[Space, dict[str, Callable[..., int]]] = {
    Space(2, 1): {"NOT": lambda a: 1 - a},
    Space(2, 2): {**_boolean_gates(2), "IMPLICATION": lambda a, b: max(1 - a, b)},
    Space(2, 3): {
        **_boolean_gates(3),
        "MAJORITY3": lambda a, b, c: int(a + b + c >= 2),
        "MUX3": lambda a, b, c: c if a else b,
    },
    Space(2, 4): _boolean_gates(4),
    Space(4, 2): {
        "MIN": min,
        "MAX": max,
        "SUM": lambda a, b: (a + b) % 4,
        "MUL": lambda a, b: a * b % 4,
    },
}
"""Gates of two and of four values by name, as functions of the inputs. Of more than two inputs a name ends in their
number; XOR is the parity, MUX3 answers its second input where the first is 0 and else its third, and of four values
SUM and MUL are modulo 4."""


@dataclass(frozen=True)
class Gate:
    """One operation of a space, such as `Gate(space, space.index(table))`.

    Raises:
        UserError: the space has no operation of that index.
    """

    space: Space
    index: int

    def __post_init__(self) -> None:
        try:  # a number of numpy too, and an array of one, as `Space.index` gives
            index = operator.index(np.asarray(self.index).item())
        except (TypeError, ValueError):
            index = -1
        if not 0 <= index < self.space.operations:
            most = shown(self.space.operations - 1)
            raise UserError(f"index {shown(self.index)}: expected a whole number from 0 to {most}")
        object.__setattr__(self, "index", index)

    @cached_property
    def table(self) -> Int8[np.ndarray, " entries"]:
        """Its truth table."""
        return self.space.table(self.index)

    @property
    def text(self) -> str:
        """Its truth table as text, which `find_gate` reads. Of three values zeros alone could be classes, and are
        refused."""
        return table_text(self.space, self.table)

    @property
    def heptavintimal(self) -> str | None:
        """Its heptavintimal name, if it has three values."""
        if self.space.values != 3:
            return None
        places = range(self.space.entries // 3 - 1, -1, -1)
        return "".join(HEPTAVINTIMAL[self.index // 27**place % 27] for place in places)

    @property
    def names(self) -> list[str]:
        """Its other names, ours first."""
        return _names_by_index().get((self.space, self.index), [])


@cache
def named_gate_index(name: str) -> int:
    """Index of a gate in `NAMED_GATES`; `find_gate` knows every other name too.

    Raises:
        KeyError: if no gate has that name.
    """
    return _index_of(Space(), NAMED_GATES[name])


@cache
def gate_names() -> dict[int, str]:
    """Name of each gate of `NAMED_GATES`, by index."""
    return {named_gate_index(name): name for name in NAMED_GATES}


def from_heptavintimal(name: str) -> Gate:
    """The gate of a heptavintimal name, in capitals or not.

    Raises:
        UserError: another length than 1, 3, 9 …, or a character that is not in the alphabet.
    """
    digits = name.upper()
    inputs = next((inputs for inputs in range(1, 7) if 3 ** (inputs - 1) == len(digits)), None)
    if inputs is None or not set(digits) <= set(HEPTAVINTIMAL):
        raise UserError(
            f"{shown(name)} is no heptavintimal name: expected 1, 3, 9, 27, 81 or 243 characters of {HEPTAVINTIMAL}"
        )
    index = 0
    for digit in digits:
        index = 27 * index + HEPTAVINTIMAL.index(digit)
    return Gate(Space(3, inputs), index)


def table_text(space: Space, table: Int8[np.ndarray, " entries"]) -> str:
    """A truth table as text, entry 0 first: `-0+` for three values, a digit a value where they begin at 0 (at most 36
    values), else values with commas between them."""
    if space.values == 3:
        return "".join("-0+"[value + 1] for value in table)
    if space.lowest == 0:
        return "".join(_DIGITS[value] for value in table)
    return ",".join(str(value) for value in table)


def parse_table(text: str, values: int = 3, inputs: int | None = None) -> tuple[Space, list[int | None]]:
    """A truth table from text, entry 0 first, None for a don't-care (`?`). `-0+` or the classes `012` of three values,
    digits of others, or values with commas between them; spaces, `/` and `|` may divide rows.

    Raises:
        UserError: characters that are none of these, a length that no number of inputs has, or what could be read in
            two ways (of three values only zeros), or no space of so many inputs.
    """
    Space(values, 1 if inputs is None else inputs)  # says what is wrong with them
    plain = re.sub(r"[\s/|]", "", text.replace("−", "-").lower())
    commas = "," in plain
    if commas:
        known = {str(value + Space(values, 1).lowest): value for value in range(values)}
        known |= {f"+{value}": number for value, number in known.items() if number + Space(values, 1).lowest > 0}
        symbols = plain.split(",")
    else:
        known = {digit: value for value, digit in enumerate(_DIGITS[:values])}
        symbols = list(plain)
        balanced = values == 3 and (bool(set(plain) & set("-+")) or not set(plain) & set("12"))
        if balanced and set(plain) <= {"0", DONT_CARE} and "0" in plain:
            raise UserError(
                f"table {shown(text)}: 0 may be the value 0 or the class 0, the value −1; write values with commas "
                "between them, such as 0,0,0, or the class 1 or the sign - instead"
            )
        known = {"-": 0, "0": 1, "+": 2} if balanced else known
    classes = [None if symbol == DONT_CARE else known.get(symbol, -1) for symbol in symbols]
    if -1 in classes:
        wrong = symbols[classes.index(-1)]
        signs = "-1, 0 and 1 between commas" if commas else "-, 0 and + alone, or 0, 1 and 2 alone"
        kinds = signs if values == 3 else ", ".join(known)
        raise UserError(f"table {shown(text)}: {shown(wrong)} is no value; expected {kinds}, or ? for any")
    fitting = next((n for n in range(1, 11) if values**n == len(classes)), None)
    if fitting is None or inputs not in (None, fitting):
        lengths = f"{values}, {values**2}, {values**3} … in logic of {values} values"
        expected = f"{values**inputs}" if inputs else lengths
        raise UserError(f"table {shown(text)}: {counted(len(classes), 'value')}; expected {expected}")
    space = Space(values, fitting)
    return space, [None if value is None else value + space.lowest for value in classes]


def find_gate(text: str | int, values: int = 3, inputs: int | None = None) -> tuple[Gate, str]:
    """The gate that a text names, and how the text was understood. An index is that of a gate of two inputs unless
    `inputs` says otherwise. `index:`, `table:`, `heptavintimal:` or `name:` before it says what it is; a number is an
    index, of Boolean gates in hexadecimal too, as lookup tables are written. Capitals matter only where they decide:
    `MAX` is a name of the maximum and the heptavintimal name of another gate, `max` a name.

    Raises:
        UserError: it names nothing, or could be two things.
    """
    Space(values, 1 if inputs is None else inputs)  # says what is wrong with them
    text = text if isinstance(text, str) else f"index:{text}"
    kind, colon, rest = text.partition(":")
    kind = kind.strip().lower()
    if colon and kind not in _READINGS:
        raise UserError(f"{shown(text)}: {shown(kind)} is no kind of name; {nearest(kind, _READINGS)}")
    kinds = [kind] if colon else list(_READINGS)
    word = (rest if colon else text).strip()
    readings: list[tuple[str, Gate, str]] = []
    refused: dict[str, UserError] = {}
    for kind in kinds:
        try:
            readings += [(kind, gate, how) for gate, how in _READINGS[kind](word, values, inputs)]
        except UserError as error:
            refused[kind] = error
    if any(kind == "name" for kind, _, _ in readings) and word != word.upper():
        readings = [reading for reading in readings if reading[0] != "heptavintimal"]  # written in capitals
    if len({gate for _, gate, _ in readings}) > 1:
        exact = [word if kind != "table" else ",".join(map(str, gate.table)) for kind, gate, _ in readings]
        ways = " or ".join(f"{how}, {gate.text} ({kind}:{way})" for way, (kind, gate, how) in zip(exact, readings))
        raise UserError(f"{shown(text)} could be {ways}; write what is in brackets")
    if readings:
        return readings[0][1], " and ".join(how for _, _, how in readings)
    if colon:
        raise refused[kinds[0]]
    if re.fullmatch("[1-9][0-9]*", word) or (values == 2 and word[:2].lower() == "0x"):
        raise refused["index"]
    if re.fullmatch(r"[-−+?0-9,\s/|]+", word):
        raise refused["table"]
    if (values, inputs) != (3, None):
        with suppress(UserError):
            elsewhere = find_gate(text)[0].space
            asked = f"{values} values" + ("" if inputs is None else f" and {counted(inputs, 'input')}")
            refused["name"] = UserError(f"{shown(text)} is a gate of {elsewhere}, not of {asked}")
    raise refused["name"]


def space_asked(values: int, inputs: int | None) -> Space:
    """Of two inputs unless a number is given.

    Raises:
        UserError: there is no such space.
    """
    return Space(values, 2 if inputs is None else inputs)


def _by_index(word: str, values: int, inputs: int | None) -> Iterator[tuple[Gate, str]]:
    # What a lookup table of an FPGA holds, its first bit the answer to all zeros, is an index too.
    hexadecimal = values == 2 and re.fullmatch("0[xX][0-9a-fA-F]{1,300}", word)
    # Zeros before it are those of a truth table.
    if not hexadecimal and not re.fullmatch("0|[1-9][0-9]{0,2}([,_][0-9]{3}){1,600}|[1-9][0-9]{0,1999}", word):
        raise UserError(f"{shown(word)} is no index: expected a whole number, without zeros before it")
    space, index = space_asked(values, inputs), int(word, 16) if hexadecimal else int(re.sub("[,_]", "", word))
    if index >= space.operations:
        raise UserError(
            f"index {shown(word)}: of {counted(space.inputs, 'input')} there are 0 to {shown(space.operations - 1)}"
        )
    yield Gate(space, index), f"the index of a gate of {counted(space.inputs, 'input')}"


def _by_table(word: str, values: int, inputs: int | None) -> Iterator[tuple[Gate, str]]:
    zeros = values == 3 and re.fullmatch("0+", word)  # all of value 0, or all of class 0
    space, table = parse_table(",".join(word) if zeros else word, values, inputs)
    if zeros:
        yield Gate(space, 0), f"a truth table of {counted(space.inputs, 'input')}, in classes"
    if None in table:
        raise UserError(f"table {shown(word)} leaves entries open; `ternary-vae gates --table` lists what fits")
    yield Gate(space, int(space.index(table))), f"a truth table of {counted(space.inputs, 'input')}"


def _by_heptavintimal(word: str, values: int, inputs: int | None) -> Iterator[tuple[Gate, str]]:
    gate = from_heptavintimal(word)
    if values != 3 or inputs not in (None, gate.space.inputs):
        raise UserError(f"{shown(word)} is the heptavintimal name of a gate of {gate.space}")
    yield gate, f"the heptavintimal name of a gate of {counted(gate.space.inputs, 'input')}"


def _by_name(word: str, values: int, inputs: int | None) -> Iterator[tuple[Gate, str]]:
    known = _named_gates(values, inputs)
    folded = _folded(word)
    gates = {gate: name for gate, name in known if folded in _forms(name)}
    if not gates:
        names = {_forms(name)[0] for _, name in known}
        part = {name for name in names if folded and folded in name}
        hint = nearest(min(part, key=len) if part else folded, names, otherwise=_expected(values, inputs, known))
        spaces = [space for (space, _), own in _names_by_index().items() if any(folded in _forms(name) for name in own)]
        but = f" but one of {spaces[0]}" if spaces else ""
        raise UserError(f"{shown(word)} names no gate{but}; {hint}")
    yield from ((gate, f"the name {name}") for gate, name in gates.items())


@cache
def _named_gates(values: int, inputs: int | None) -> list[tuple[Gate, str]]:
    return [
        (Gate(space, index), name)
        for (space, index), names in _names_by_index().items()
        if space.values == values and inputs in (None, space.inputs)
        for name in names
    ]


def _expected(values: int, inputs: int | None, known: Iterable[tuple[Gate, str]]) -> str:
    if values == 3 and inputs in (None, 2):
        table = "----00-0+, a heptavintimal name such as PC0"
        return f"expected an index, a truth table such as {table}, or a name such as MIN"
    one_input = Space(values, 1)
    digits = table_text(one_input, one_input.table(0) + np.arange(values, dtype=np.int8))
    table = f"such as {digits} of one input" if inputs in (None, 1) else f"of {values**inputs:,} values"
    names = sorted(name for _, name in known)
    named = f", or a name such as {names[0]}" if names else "; these gates have no names here"
    return f"expected an index, a truth table {table}{named}"


_READINGS: dict[str, Callable[[str, int, int | None], Iterator[tuple[Gate, str]]]] = {
    "index": _by_index,
    "table": _by_table,
    "heptavintimal": _by_heptavintimal,
    "name": _by_name,
}


def _folded(name: str, short: bool = False) -> str:
    """A name without capitals, accents and dividers; a short one also without what is in brackets."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[\s_-]+", " ", re.sub(r"\(.*\)", "", plain) if short else plain).strip()


@cache
def _forms(name: str) -> list[str]:
    """What one of our names may be written as, folded."""
    return list(dict.fromkeys((_folded(name), _folded(name, short=True))))


def names_of_gates(space: Space) -> dict[int, list[str]]:
    """Names of all gates of a space that have any, by index."""
    known = {index: names for (other, index), names in _names_by_index().items() if other == space}
    return dict(sorted(known.items()))


def named_forms(space: Space) -> dict[str, dict[int, str]]:
    """Names of gates of a space as `find_gate` reads them: without capitals, accents and dividers, and without what is
    in brackets. For each the gates that it may mean, by index, with their names in full."""
    forms: dict[str, dict[int, str]] = {}
    for (other, index), names in _names_by_index().items():
        for name in names if other == space else ():
            for form in _forms(name):
                forms.setdefault(form, {})[index] = name
    return forms


@cache
def _names_by_index() -> dict[tuple[Space, int], list[str]]:
    names: dict[tuple[Space, int], list[str]] = {}
    for space, gates in {Space(): NAMED_GATES, **OTHER_GATES}.items():
        for name, gate_of in gates.items():
            names.setdefault((space, _index_of(space, gate_of)), []).append(name)
    for by_name in HARDWARE_NAMES.values():
        for name, code in by_name.items():
            gate = from_heptavintimal(code)
            names.setdefault((gate.space, gate.index), []).append(name)
    return names


def _index_of(space: Space, gate: Callable[..., int]) -> int:
    """Index of the gate that a function of its inputs is."""
    return int(space.index([gate(*inputs) for inputs in space.arguments().tolist()]))
