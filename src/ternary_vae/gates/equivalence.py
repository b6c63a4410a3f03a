"""Classes of gates that are the same up to what inputs and values are called.

Each kind of equivalence is a group that acts on truth tables; few of its elements generate it. A class is named by the
least index in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from jaxtyping import Int

from ternary_vae.errors import UserError, nearest, shown
from ternary_vae.space import MOST_LISTED, Space

MOST_IN_AN_ORBIT = 2**20
"""A gate's own orbit is computed if tables for all elements of its group have at most so many entries together."""

_Generator = tuple[Int[np.ndarray, " entries"], Int[np.ndarray, " values"]]
"""Entries where the new answers are taken from, and what each class of answer becomes."""

EQUIVALENCES: dict[str, str] = {
    "exchange": "exchange of inputs",
    "isomorphism": "one permutation of the values, of all inputs and the answer",
    "isomorphism_or_anti": "isomorphism, and exchange of inputs",
    "negation": "negation of any inputs and of the answer, and exchange of inputs",
    "permutation_without_exchange": "permutations of the values, of each input and the answer its own",
    "permutation": "permutation without exchange, and exchange of inputs",
}
"""Kinds of equivalence and what may be done to a gate. Of two values, negation is the NPN equivalence of circuits."""


def group_order(space: Space, kind: str) -> int:
    """How many elements the group of an equivalence has, of which some may do the same to all gates.

    Raises:
        UserError: no such equivalence.
    """
    if kind not in EQUIVALENCES:
        raise UserError(f"{shown(kind)} is no kind of equivalence; {nearest(str(kind), EQUIVALENCES)}")
    values, exchanges = math.factorial(space.values), math.factorial(space.inputs)
    each = space.inputs + 1
    return {
        "exchange": exchanges,
        "isomorphism": values,
        "isomorphism_or_anti": values * exchanges,
        "negation": 2**each * exchanges,
        "permutation": values**each * exchanges,
        "permutation_without_exchange": values**each,
    }[kind]


@cache
def classes(space: Space, kind: str) -> tuple[Int[np.ndarray, " operations"], Int[np.ndarray, " operations"]]:
    """For each gate the least index in its class, and the size of its class. Shared: do not write into them.

    Raises:
        UserError: the space has too many gates to list, or no such equivalence.
    """
    group_order(space, kind)  # says what is wrong with it
    if not space.is_enumerable(MOST_LISTED):
        raise UserError(f"classes: {space.operations:,} gates cannot be listed; at most {MOST_LISTED:,} can")
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    gates = np.arange(space.operations)
    tables = space.table(gates)
    images = [space.index(_applied(generator, tables, space)) for generator in _generators(space, kind)]
    if not images:
        return gates, np.ones_like(gates)
    starts, ends = np.tile(gates, len(images)), np.concatenate(images)
    edges = coo_array((np.ones(len(ends), dtype=np.int8), (starts, ends)), shape=(len(gates), len(gates)))
    number, label = connected_components(edges, directed=False)
    least = np.full(number, len(gates))
    np.minimum.at(least, label, gates)
    return least[label], np.bincount(label)[label]


def orbit(space: Space, index: int, kind: str) -> Int[np.ndarray, " orbit"]:
    """Indices of all gates in the class of one gate, the least first; the space need not be listable.

    Raises:
        UserError: the group has too many elements, or no such equivalence.
    """
    most = MOST_IN_AN_ORBIT // space.entries
    if group_order(space, kind) > most:
        raise UserError(f"{kind}: a group of {group_order(space, kind):,} elements is too large; at most {most:,}")
    generators = list(_generators(space, kind))
    members = new = np.atleast_1d(space.index(space.table(index)))
    while new.size and generators:
        tables = space.table(new)
        images = [space.index(_applied(generator, tables, space)) for generator in generators]
        new = np.setdiff1d(np.concatenate(images), members)
        members = np.union1d(members, new)
    return members


def _applied(generator: _Generator, tables: np.ndarray, space: Space) -> np.ndarray:
    entries, answers = generator
    return (answers[tables[..., entries] - space.lowest] + space.lowest).astype(np.int8)


def _generators(space: Space, kind: str) -> Iterator[_Generator]:
    """Elements of a group from which all others are made. Each undoes itself, or is undone by repeating it."""
    q, n = space.values, space.inputs
    same = np.arange(q)
    inputs = space.arguments().astype(np.intp) - space.lowest
    places = q ** np.arange(n)[::-1]

    if kind not in ("isomorphism", "permutation_without_exchange"):
        for place in range(n - 1):
            order = [*range(place), place + 1, place, *range(place + 2, n)]
            yield inputs[:, order] @ places, same
    if kind == "exchange":
        return
    transposition = np.array([1, 0, *range(2, q)])
    for image in [same[::-1]] if kind == "negation" else [transposition, np.roll(same, 1)]:
        if kind.startswith("isomorphism"):
            yield image[inputs] @ places, np.argsort(image)
            continue
        yield np.arange(space.entries), image
        for place in range(n):
            changed = inputs.copy()
            changed[:, place] = image[changed[:, place]]
            yield changed @ places, same
