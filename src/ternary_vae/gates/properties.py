"""Properties of gates, for any number of gates of one space at once.

The 18 maximal clones of three values are those of Jablonskij (1958): 6 sets of values and 3 equivalences that are kept,
3 orders, 3 centres, the cyclic shift, affine and Słupecki's functions. A gate alone makes every other one (a Sheffer
function) if it keeps no proper set of values and no equivalence, and commutes with no permutation (Rousseau 1967).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Int, Int8, Shaped

from ternary_vae.errors import UserError
from ternary_vae.space import MOST_LISTED, Space

Relation = Iterable[tuple[int, ...]]
_MOST_VALUES_KEPT = 5
"""Sets, equivalences and permutations are looked at up to so many values."""
_MOST_TOGETHER = 2**22
"""Answers that are looked up at once; bounds memory."""
LETTERS = "abcdefghij"
"""What inputs are called, the first one `a`."""


class Properties(Mapping[str, Shaped[np.ndarray, " gates"]]):
    """Properties of gates by name, each computed when it is asked for: true or false, or a whole number."""

    def __init__(self, space: Space, tables: Int8[np.ndarray, "gates entries"]) -> None:
        self.space = space
        self.count = len(tables)
        # An entry of all gates lies together, since entries are what is gathered.
        self.classes = np.ascontiguousarray((tables - space.lowest).T.astype(np.uint8))
        self._computed: dict[str, Shaped[np.ndarray, " gates"]] = {}

    def __getitem__(self, name: str) -> Shaped[np.ndarray, " gates"]:
        if name not in self._computed:
            self._computed[name] = known_properties(self.space)[name].compute(self)
        return self._computed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(known_properties(self.space))

    def __len__(self) -> int:
        return len(known_properties(self.space))

    def at(self, inputs: Int[np.ndarray, "points inputs"]) -> Shaped[np.ndarray, "points gates"]:
        """Answers, as classes, at inputs given as classes."""
        return self.classes[inputs @ self._places()]

    def after(self, *inputs: Shaped[np.ndarray, "*points gates"] | int) -> Shaped[np.ndarray, "*points gates"]:
        """Answers of each gate at inputs that differ between gates."""
        entry = sum(place * np.asarray(value, dtype=np.intp) for place, value in zip(self._places(), inputs))
        return self.classes[entry, np.arange(self.count)]

    def axes(self) -> Shaped[np.ndarray, "*inputs gates"]:
        """Classes, with an axis for each input."""
        return self.classes.reshape(*(self.space.values,) * self.space.inputs, -1)

    def keep(self, relation: Relation) -> Bool[np.ndarray, " gates"]:
        """Whether whatever rows of a relation are put in, entry by entry, gives one of its rows."""
        rows = np.array(sorted(relation))
        chosen = rows[np.array(list(itertools.product(range(len(rows)), repeat=self.space.inputs)))]
        powers = self.space.values ** np.arange(rows.shape[1])
        allowed = np.zeros(self.space.values ** rows.shape[1], dtype=bool)
        allowed[rows @ powers] = True
        kept = np.ones(self.count, dtype=bool)
        together = max(1, _MOST_TOGETHER // max(1, self.count))
        for start in range(0, len(chosen), together):
            part = chosen[start : start + together]
            row = sum(self.at(part[..., place]) * np.uint16(power) for place, power in enumerate(powers))
            kept &= allowed[row].all(axis=0)
        return kept

    def _places(self) -> Int[np.ndarray, " inputs"]:
        return self.space.values ** np.arange(self.space.inputs)[::-1]


@dataclass(frozen=True)
class Property:
    """What a property means, and how it is computed."""

    description: str
    compute: Callable[[Properties], Shaped[np.ndarray, " gates"]]


@cache
def known_properties(space: Space) -> dict[str, Property]:
    """Properties that make sense for gates of a space, by name."""
    q, n = space.values, space.inputs
    known = {
        "idempotent": Property("f(a, … a) = a", _idempotent),
        "constant": Property("one answer for all inputs", lambda gates: gates["values_taken"] == 1),
        "surjective": Property("every value is an answer", lambda gates: gates["values_taken"] == q),
        "balanced": Property("every value is the answer equally often", _balanced),
        "values_taken": Property("how many values are answers", _values_taken),
        "inputs_used": Property("how many inputs the answer depends on", _inputs_used),
        "essential": Property("the answer depends on every input", lambda gates: gates["inputs_used"] == n),
        "quasigroup": Property("with all inputs but one fixed, every value is an answer (Latin square)", _quasigroup),
        "monotone": Property("a higher input never lowers the answer", lambda gates: gates.keep(_order(range(q)))),
        "self_dual": Property("negating all inputs negates the answer", _self_dual),
        "affine": Property(f"a weighted sum of the inputs and a constant, modulo {q}", _affine),
        "slupecki": Property("at most one input is used, or not every value is an answer", _slupecki),
    }
    known |= {
        f"uses_{LETTERS[place]}": Property(f"the answer depends on input {LETTERS[place]}", _uses(place))
        for place in range(n)
    }
    if n > 1:
        known["commutative"] = Property("inputs may be exchanged", _commutative)
    if n == 2:
        known["associative"] = Property("f(f(a, b), c) = f(a, f(b, c))", _associative)
        known["identity"] = Property("a value e with f(e, a) = f(a, e) = a", _identity)
    if q <= _MOST_VALUES_KEPT:
        known |= _kept(space)
        known["shift"] = Property(
            "raising every input by one, the highest to the lowest, raises the answer so",
            lambda gates: gates.keep((value, (value + 1) % q) for value in range(q)),
        )
        known["sheffer"] = Property("makes every other gate, alone (complete)", _sheffer)
    if q == 3:
        known |= _ternary(space)
    return known


def properties_of(space: Space, index: int) -> dict[str, bool | int]:
    """All properties of one gate, by name."""
    gates = Properties(space, space.table(index)[None])
    return {name: gates[name][0].item() for name in gates}


def all_properties(space: Space) -> Properties:
    """Properties of all gates of a space, by index.

    Raises:
        UserError: there are too many of them.
    """
    if not space.is_enumerable(MOST_LISTED):
        raise UserError(f"{space.operations:,} gates cannot be listed; at most {MOST_LISTED:,} can")
    return Properties(space, space.table(np.arange(space.operations)))


def _idempotent(gates: Properties) -> Bool[np.ndarray, " gates"]:
    values = np.arange(gates.space.values)
    return (gates.at(np.tile(values[:, None], gates.space.inputs)) == values[:, None]).all(axis=0)


def _values_taken(gates: Properties) -> Int[np.ndarray, " gates"]:
    return np.sum([(gates.classes == value).any(axis=0) for value in range(gates.space.values)], axis=0)


def _balanced(gates: Properties) -> Bool[np.ndarray, " gates"]:
    each = gates.space.entries // gates.space.values
    return np.all([(gates.classes == value).sum(axis=0) == each for value in range(gates.space.values)], axis=0)


def _uses(place: int) -> Callable[[Properties], Bool[np.ndarray, " gates"]]:
    def compute(gates: Properties) -> Bool[np.ndarray, " gates"]:
        axes = np.moveaxis(gates.axes(), place, 0)
        return (axes[1:] != axes[:1]).reshape(-1, gates.count).any(axis=0)

    return compute


def _inputs_used(gates: Properties) -> Int[np.ndarray, " gates"]:
    return np.sum([gates[f"uses_{LETTERS[place]}"] for place in range(gates.space.inputs)], axis=0)


def _quasigroup(gates: Properties) -> Bool[np.ndarray, " gates"]:
    holds = np.ones(gates.count, dtype=bool)
    axes = gates.axes()
    for place, (one, other) in itertools.product(
        range(gates.space.inputs), itertools.combinations(range(gates.space.values), 2)
    ):
        differ = axes.take(one, axis=place) != axes.take(other, axis=place)
        holds &= differ.reshape(-1, gates.count).all(axis=0)
    return holds


def _self_dual(gates: Properties) -> Bool[np.ndarray, " gates"]:
    return (gates.classes[::-1] == gates.space.values - 1 - gates.classes).all(axis=0)


def _affine(gates: Properties) -> Bool[np.ndarray, " gates"]:
    q, n = gates.space.values, gates.space.inputs
    inputs = gates.space.arguments().astype(np.intp) - gates.space.lowest
    constant = gates.classes[0].astype(np.intp)
    weights = gates.at(np.eye(n, dtype=np.intp)) - constant
    return ((inputs @ weights + constant) % q == gates.classes).all(axis=0)


def _slupecki(gates: Properties) -> Bool[np.ndarray, " gates"]:
    return (gates["inputs_used"] < 2) | ~gates["surjective"]


def _commutative(gates: Properties) -> Bool[np.ndarray, " gates"]:
    axes = gates.axes()
    exchanged = (axes.swapaxes(place, place + 1) for place in range(gates.space.inputs - 1))
    return np.all([(axes == other).reshape(-1, gates.count).all(axis=0) for other in exchanged], axis=0)


def _associative(gates: Properties) -> Bool[np.ndarray, " gates"]:
    holds = np.ones(gates.count, dtype=bool)
    axes = gates.axes()
    for a, b, c in itertools.product(range(gates.space.values), repeat=3):
        holds &= gates.after(axes[a, b], c) == gates.after(a, axes[b, c])
    return holds


def _identity(gates: Properties) -> Bool[np.ndarray, " gates"]:
    axes, values = gates.axes(), np.arange(gates.space.values)[:, None]
    return np.any([((axes[e] == values) & (axes[:, e] == values)).all(axis=0) for e in values[:, 0]], axis=0)


def _sheffer(gates: Properties) -> Bool[np.ndarray, " gates"]:
    holds = np.ones(gates.count, dtype=bool)
    for name in known_properties(gates.space):
        if name.startswith("keeps_"):
            holds &= ~gates[name]
    for image in itertools.permutations(range(gates.space.values)):
        if image != tuple(range(gates.space.values)):
            holds &= ~gates.keep(enumerate(image))
    return holds


def _order(chain: Iterable[int]) -> Relation:
    return list(itertools.combinations_with_replacement(chain, 2))


def _value_names(space: Space) -> list[str]:
    if space.values == 3:
        return ["minus", "zero", "plus"]
    values = range(space.lowest, space.highest + 1)
    return [str(value).replace("-", "m") for value in values]


def _kept(space: Space) -> dict[str, Property]:
    """Proper sets of values, and equivalences between them other than the least and the greatest."""
    q, names = space.values, _value_names(space)
    known = {}
    for size in range(1, q):
        for chosen in itertools.combinations(range(q), size):
            known["keeps_" + "_".join(names[value] for value in chosen)] = Property(
                f"inputs of {' and '.join(names[value] for value in chosen)} give nothing else",
                lambda gates, chosen=chosen: gates.keep((value,) for value in chosen),
            )
    for blocks in _partitions(list(range(q))):
        if 1 < len(blocks) < q:
            text = "_or_".join("_".join(names[value] for value in block) for block in blocks if len(block) > 1)
            pairs = [pair for block in blocks for pair in itertools.product(block, repeat=2)]
            known[f"keeps_equivalence_{text}"] = Property(
                f"where {text.replace('_', ' ')} are not told apart, answers need not be either",
                lambda gates, pairs=pairs: gates.keep(pairs),
            )
    return known


def _partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, *rest = items
    for blocks in _partitions(rest):
        yield [[first], *blocks]
        for place, block in enumerate(blocks):
            yield [*blocks[:place], [first, *block], *blocks[place + 1 :]]


def _ternary(space: Space) -> dict[str, Property]:
    names = _value_names(space)
    known = {}
    for low, middle, high in ((1, 0, 2), (1, 2, 0)):
        known[f"monotone_middle_{names[middle]}"] = Property(
            f"monotone where {names[low]} < {names[middle]} < {names[high]}",
            lambda gates, chain=(low, middle, high): gates.keep(_order(chain)),
        )
    for centre in range(3):
        one, other = (value for value in range(3) if value != centre)
        pairs = set(itertools.product(range(3), repeat=2)) - {(one, other), (other, one)}
        known[f"centre_{names[centre]}"] = Property(
            f"inputs that differ by no more than {names[centre]} and another give such answers",
            lambda gates, pairs=pairs: gates.keep(pairs),
        )
    known["regular"] = Property(
        "monotone in information, 0 below -1 and 1 (Kleene; made of min, max, negation and all constants)",
        lambda gates: gates.keep([(0, 0), (1, 1), (2, 2), (1, 0), (1, 2)]),
    )
    known["kleene_with_constants"] = Property(
        "made of min, max, negation and the constants -1 and 1",
        lambda gates: gates["regular"] & gates["keeps_minus_plus"],
    )
    known["kleene"] = Property(
        "made of min, max and negation", lambda gates: gates["kleene_with_constants"] & gates["keeps_zero"]
    )
    known["lukasiewicz"] = Property(
        "made of Łukasiewicz implication and negation", lambda gates: gates["keeps_minus_plus"]
    )
    return known
