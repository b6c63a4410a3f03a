"""Gates that have given properties, fit a partial table, and lie near another gate."""

from __future__ import annotations

import ast
import itertools
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped

from ternary_vae.errors import UserError, nearest, shortened, shown
from ternary_vae.gates.names import Gate, find_gate, names_of_gates
from ternary_vae.gates.properties import Properties
from ternary_vae.space import MOST_LISTED, Space

Distance = Callable[
    [Shaped[np.ndarray, "*batch entries"], Shaped[np.ndarray, " entries"]], Shaped[np.ndarray, "*batch"]
]
"""Distances of truth tables to one, such as `hamming_distance`."""
Condition = Callable[[Properties], Bool[np.ndarray, " gates"]]
_MOST_CHARACTERS = 1000
_COMPARISONS = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a search found: how many gates in all, and the first of them."""

    count: int
    gates: list[Gate]
    distances: list[int] | list[float] | None
    """Distance of each gate to the one that was asked for."""


def hamming_distance(
    first: Shaped[np.ndarray, "*batch entries"], second: Shaped[np.ndarray, " entries"]
) -> Int[np.ndarray, "*batch"]:
    """Number of entries in which truth tables differ from one."""
    return (first != second).sum(axis=-1)


def find_gates(
    space: Space,
    *,
    where: str | None = None,
    table: Sequence[int | None] | None = None,
    near: Gate | str | int | None = None,
    distance: Distance = hamming_distance,
    named: bool = False,
    limit: int = 20,
) -> Found:
    """The gates that fit a partial table (values, None where any will do) and a condition on their properties, ordered
    by distance to `near`, then by index. What fits a partial table is counted exactly and listed in any space; a
    condition, and another distance than Hamming's, can be asked of at most `MOST_LISTED` gates.

    Args:
        near: a gate, or its name or index in the space as `find_gate` reads it.
        distance: such as `hamming_distance`, or between codes `latent_distance` of `ternary_vae.pretrained.codes`.
        named: only those that have a name, of which there are few in any space.

    Raises:
        UserError: a condition that is none, a table or `near` of another space, a negative limit, or too many gates for
            a condition, for a distance or to be listed.
    """
    if limit < 0:
        raise UserError(f"limit {shown(limit)}: expected at least 0")
    condition = None if where is None else parse_condition(where, space)
    if not isinstance(near, Gate | None):
        near = find_gate(near, space.values, space.inputs)[0]
    if near is not None and near.space != space:
        raise UserError(f"gates of {space} cannot be near to one of {near.space}")
    table = [None] * space.entries if table is None else table
    if len(table) != space.entries:
        raise UserError(f"a truth table has {space.entries} entries, got {len(table)}")
    space.index([space.lowest if value is None else value for value in table])  # says what is wrong with it
    free = [entry for entry, value in enumerate(table) if value is None]
    count = space.values ** len(free)
    if count > MOST_LISTED and not named:
        if limit > MOST_LISTED:
            raise UserError(f"limit {shown(limit)}: at most {MOST_LISTED:,} gates can be listed; give a lower one")
        if condition is not None:
            raise UserError(
                f"condition {shown(where)}: can be asked of at most {MOST_LISTED:,} gates, not of "
                f"{shortened(f'{count:,}')}; give a table with fewer open entries"
            )
        if distance is not hamming_distance:
            raise UserError(
                f"this distance can be computed of at most {MOST_LISTED:,} gates, not of {shortened(f'{count:,}')}; "
                "give a table with fewer open entries, or take the number of entries that differ"
            )
        tables = np.array(list(itertools.islice(_in_order(space, table, near), limit)), dtype=np.int8)
    else:
        if named:
            tables = space.table(list(names_of_gates(space)))
            tables = tables[[all(value in (None, own) for own, value in zip(row, table)) for row in tables.tolist()]]
        else:
            tables = np.repeat(np.array([value or 0 for value in table], dtype=np.int8)[None], count, axis=0)
            # The last free entry is the most significant one of an index.
            grids = np.indices((space.values,) * len(free), dtype=np.int8).reshape(len(free), count)
            tables[:, free[::-1]] = grids.T + np.int8(space.lowest)
        if condition is not None and len(tables):
            tables = tables[condition(Properties(space, tables))]
        count = len(tables)
        if near is not None:
            tables = tables[np.argsort(distance(tables, near.table), kind="stable")]
        tables = tables[:limit]
    tables = tables.reshape(-1, space.entries)
    distances = None if near is None else distance(tables, near.table).tolist()
    return Found(count, [Gate(space, int(index)) for index in space.index(tables)], distances)


def _in_order(space: Space, table: Sequence[int | None], near: Gate | None) -> Iterator[list[int]]:
    """All tables that fit, ordered by distance and index, one after the other."""
    free = [entry for entry, value in enumerate(table) if value is None][::-1]  # the most significant first
    values = range(space.lowest, space.highest + 1)
    filled = [value or 0 for value in table]
    if near is None:
        for numbers in itertools.product(values, repeat=len(free)):
            for entry, value in zip(free, numbers):
                filled[entry] = value
            yield list(filled)
        return
    nearest_values = near.table.tolist()

    def changes(first: int, number: int) -> Iterator[tuple[tuple[int, int], ...]]:
        """Entries and their values where so many free entries, from the `first` on, differ from `near`."""
        if number == 0:
            yield ()
            return
        places = range(first, len(free) - number + 1)
        # The sooner an index turns lower, the lower it is; the sooner it turns higher, the higher.
        lower = ((place, value) for place in places for value in values if value < nearest_values[free[place]])
        higher = ((place, value) for place in places[::-1] for value in values if value > nearest_values[free[place]])
        for place, value in itertools.chain(lower, higher):
            for following in changes(place + 1, number - 1):
                yield (free[place], value), *following

    for number in range(len(free) + 1):
        for changed in changes(0, number):
            for entry in free:
                filled[entry] = nearest_values[entry]
            for entry, value in changed:
                filled[entry] = value
            yield list(filled)


def parse_condition(text: str, space: Space) -> Condition:
    """A condition on the properties of gates: names of properties with `and`, `or`, `not` and brackets, and comparisons
    of those that are numbers, such as `commutative and not (sheffer or inputs_used < 2)`. Case does not matter, and `-`
    in a name stands for `_`. Nothing else is evaluated.

    Raises:
        UserError: text that is none, or a property that these gates do not have; the nearest is named.
    """
    # Only in names, which begin with a letter: of 2-1 would become 21.
    plain = " ".join(re.sub(r"\b[a-z][\w-]*\w", lambda name: name[0].replace("-", "_"), text.lower()).split())
    if len(plain) > _MOST_CHARACTERS:
        raise UserError(f"condition {shown(text)}: longer than {_MOST_CHARACTERS:,} characters")
    try:
        if "#" in plain:
            raise ValueError("what follows would be taken for a comment")
        with warnings.catch_warnings(action="ignore"):  # of 2or, in lines of its own
            tree = ast.parse(plain, mode="eval").body
        _truth(tree, Properties(space, space.table([0])))  # says what is wrong before there is anything to do
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(
            f"condition {shown(text)}: expected properties with and, or, not and brackets, and comparisons of numbers, "
            "such as 'commutative and not (sheffer or inputs_used < 2)'"
        ) from None
    return lambda gates: _truth(tree, gates)


def _truth(node: ast.expr, gates: Properties) -> Bool[np.ndarray, " gates"]:
    """Which gates a condition is true of.

    Raises:
        ValueError: something that is no part of a condition.
        UserError: a property that is none, a number where a condition is expected, or a comparison of conditions.
    """
    match node:
        case ast.Name(id=name):
            return _property(name, gates, bool, "is a number; compare it, such as {} == 2")
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return ~_truth(part, gates)
        case ast.BoolOp(op=sign, values=parts):
            join = np.logical_and if isinstance(sign, ast.And) else np.logical_or
            return join.reduce([_truth(part, gates) for part in parts])
        case ast.Compare(left=left, ops=signs, comparators=rest) if all(type(sign) in _COMPARISONS for sign in signs):
            numbers = [_number(part, gates) for part in (left, *rest)]
            compared = [_COMPARISONS[type(sign)](*pair) for sign, pair in zip(signs, itertools.pairwise(numbers))]
            return np.logical_and.reduce([np.broadcast_to(answer, gates.count) for answer in compared])
    raise ValueError("no condition")


def _number(node: ast.expr, gates: Properties) -> Int[np.ndarray, " gates"] | int:
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return value
        case ast.Name(id=name):
            return _property(name, gates, int, "is true or false, no number; write it alone, or not {}")
    raise ValueError("no number")


def _property(name: str, gates: Properties, kind: type, otherwise: str) -> Shaped[np.ndarray, " gates"]:
    if name not in gates:
        raise UserError(f"condition: {name!r} is no property of these gates; {nearest(name, gates)}")
    if (gates[name].dtype == bool) != (kind is bool):
        raise UserError(f"condition: {name} {otherwise.format(name)}")
    return gates[name]
