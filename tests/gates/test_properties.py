"""Properties against known counts, closures, and definitions spelled out for one gate at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.gates.names import find_gate
from ternary_vae.gates.properties import all_properties, known_properties, properties_of
from ternary_vae.space import Space

COUNTS = {
    "commutative": 729, "idempotent": 729, "associative": 113, "identity": 243, "quasigroup": 12, "monotone": 175,
    "regular": 197, "kleene": 82, "kleene_with_constants": 84, "lukasiewicz": 3_888, "self_dual": 81, "affine": 27,
    "essential": 19_632, "surjective": 18_150, "balanced": 1_680, "constant": 3, "sheffer": 3_774,
}  # fmt: skip
CLONES = {  # the 18 maximal ones
    "keeps_minus": 6_561, "keeps_zero": 6_561, "keeps_plus": 6_561,
    "keeps_minus_zero": 3_888, "keeps_minus_plus": 3_888, "keeps_zero_plus": 3_888,
    "keeps_equivalence_minus_zero": 1_275, "keeps_equivalence_minus_plus": 1_275, "keeps_equivalence_zero_plus": 1_275,
    "monotone": 175, "monotone_middle_minus": 175, "monotone_middle_plus": 175,
    "centre_minus": 1_361, "centre_zero": 1_361, "centre_plus": 1_361,
    "shift": 27, "affine": 27, "slupecki": 1_545,
}  # fmt: skip
TOGETHER = {
    ("commutative", "sheffer"): 90,
    ("commutative", "associative"): 63,
    ("commutative", "associative", "idempotent"): 9,
    ("associative", "identity"): 33,
}


@pytest.fixture(scope="module")
def ternary():
    return all_properties(Space())


@pytest.mark.parametrize("name", COUNTS)
def test_count(ternary, name):
    assert ternary[name].sum() == COUNTS[name]


@pytest.mark.parametrize("names", TOGETHER)
def test_count_together(ternary, names):
    assert np.all([ternary[name] for name in names], axis=0).sum() == TOGETHER[names]


@pytest.mark.parametrize("name", CLONES)
def test_count_of_a_maximal_clone(ternary, name):
    assert ternary[name].sum() == CLONES[name]


def test_sheffer_functions_lie_outside_all_maximal_clones(ternary):
    """Jablonskij's criterion, where Rousseau's is what is computed."""
    inside = np.stack([ternary[name] for name in CLONES], axis=1)
    assert np.array_equal(ternary["sheffer"], ~inside.any(axis=1))
    assert len(np.unique(inside, axis=0)) == 340


@pytest.mark.parametrize(("inputs", "monotone", "sheffer"), [(1, 3, 0), (2, 6, 2), (3, 20, 56), (4, 168, 16_256)])
def test_two_values(inputs, monotone, sheffer):
    """Dedekind's numbers, and Sheffer functions by Post's five classes."""
    actual = all_properties(Space(2, inputs))
    assert actual["monotone"].sum() == monotone
    assert actual["affine"].sum() == 2 ** (inputs + 1)
    assert actual["self_dual"].sum() == 2**2 ** (inputs - 1)
    assert actual["sheffer"].sum() == sheffer
    post = [actual[name] for name in ("keeps_0", "keeps_1", "monotone", "self_dual", "affine")]
    if inputs > 1:
        assert np.array_equal(actual["sheffer"], ~np.any(post, axis=0))


def test_nand_and_nor_are_the_sheffer_functions_of_two_values():
    assert np.flatnonzero(all_properties(Space(2, 2))["sheffer"]).tolist() == [0b0001, 0b0111]


def closure(start, operations):
    """All tables made of some by operations of one or two tables, as indices."""
    space = Space()
    members = new = np.unique(space.index(start))
    while len(new):
        tables = space.table(members)
        found = np.zeros(space.operations, dtype=bool)
        for operation in operations:
            if operation.__code__.co_argcount == 1:
                found[space.index(operation(space.table(new)))] = True
                continue
            for one in space.table(new):  # two that both are old have been met before
                found[space.index(operation(tables, one))] = found[space.index(operation(one, tables))] = True
        found[members] = False
        new = np.flatnonzero(found)
        members = np.union1d(members, new)
    return members


def test_what_gates_are_made_of(ternary):
    first, second = Space().arguments().T
    constants = [np.full(9, value, dtype=np.int8) for value in (-1, 1, 0)]
    kleene = [lambda a, b: np.minimum(a, b), lambda a, b: np.maximum(a, b), lambda a: -a]
    lukasiewicz = [lambda a, b: np.minimum(1, 1 - a + b), lambda a: -a]
    for name, start, operations in (
        ("kleene", [first, second], kleene),
        ("kleene_with_constants", [first, second, *constants[:2]], kleene),
        ("regular", [first, second, *constants], kleene),
        ("lukasiewicz", [first, second], lukasiewicz),
    ):
        assert closure(start, operations).tolist() == np.flatnonzero(ternary[name]).tolist(), name


class Defined:
    """Properties of one gate, by their definitions."""

    def __init__(self, space, index):
        self.space = space
        self.q, self.n = space.values, space.inputs
        classes = [int(value) - space.lowest for value in space.table(index)]
        self.gate = dict(zip(itertools.product(range(self.q), repeat=self.n), classes))

    def keeps(self, relation):
        relation = set(relation)
        return all(
            tuple(self.gate[inputs] for inputs in zip(*rows)) in relation
            for rows in itertools.product(relation, repeat=self.n)
        )

    def uses(self, place):
        return any(
            self.gate[inputs] != self.gate[(*inputs[:place], value, *inputs[place + 1 :])]
            for inputs in self.gate
            for value in range(self.q)
        )

    def properties(self):
        q, n, gate = self.q, self.n, self.gate
        answers, values = list(gate.values()), range(q)
        below = [(a, b) for a in values for b in values if a <= b]
        properties = {
            "idempotent": all(gate[(a,) * n] == a for a in values),
            "values_taken": len(set(answers)),
            "constant": len(set(answers)) == 1,
            "surjective": len(set(answers)) == q,
            "balanced": len({answers.count(a) for a in values}) == 1,
            "inputs_used": sum(self.uses(place) for place in range(n)),
            "essential": all(self.uses(place) for place in range(n)),
            "quasigroup": all(
                len({gate[(*inputs[:place], a, *inputs[place + 1 :])] for a in values}) == q
                for inputs in gate
                for place in range(n)
            ),
            "monotone": self.keeps(below),
            "self_dual": all(gate[tuple(q - 1 - a for a in inputs)] == q - 1 - gate[inputs] for inputs in gate),
            "affine": any(
                all((c + sum(w * a for w, a in zip(weights, inputs))) % q == gate[inputs] for inputs in gate)
                for c in values
                for weights in itertools.product(values, repeat=n)
            ),
            "shift": all(gate[tuple((a + 1) % q for a in inputs)] == (gate[inputs] + 1) % q for inputs in gate),
            **{f"uses_{'abc'[place]}": self.uses(place) for place in range(n)},
        }
        properties["slupecki"] = properties["inputs_used"] < 2 or not properties["surjective"]
        if n > 1:
            properties["commutative"] = all(
                gate[inputs] == gate[other] for inputs in gate for other in itertools.permutations(inputs)
            )
        if n == 2:
            properties["associative"] = all(
                gate[gate[a, b], c] == gate[a, gate[b, c]] for a, b, c in itertools.product(values, repeat=3)
            )
            properties["identity"] = any(all(gate[e, a] == gate[a, e] == a for a in values) for e in values)
        return properties


@given(st.sampled_from([(3, 1), (3, 2), (3, 3), (2, 2), (2, 3), (4, 1), (4, 2), (5, 1)]), st.data())
def test_definitions(size, data):
    space = Space(*size)
    kinds = {
        "any": st.integers(0, space.operations - 1),
        "a weighted sum": st.tuples(*[st.integers(0, space.values - 1)] * (space.inputs + 1)).map(
            lambda weights: int(
                space.index(
                    ((space.arguments() - space.lowest) @ weights[1:] + weights[0]) % space.values + space.lowest
                )
            )
        ),
    }
    index = data.draw(kinds[data.draw(st.sampled_from(list(kinds)))])
    actual, expected = properties_of(space, index), Defined(space, index).properties()
    assert {name: actual[name] for name in expected} == expected
    assert {name: type(value) for name, value in actual.items() if name in expected} == {
        name: type(value) for name, value in expected.items()
    }


@given(st.integers(0, 3**27 - 1))
def test_sets_and_equivalences_of_three_inputs(index):
    """Also far beyond what can be listed."""
    space = Space(3, 3)
    actual, defined = properties_of(space, index), Defined(space, index)
    pairs = list(itertools.product(range(3), repeat=2))
    assert actual["keeps_minus_plus"] == defined.keeps([(0,), (2,)])
    assert actual["keeps_zero"] == defined.keeps([(1,)])
    assert actual["keeps_equivalence_zero_plus"] == defined.keeps(p for p in pairs if (p[0] == 0) == (p[1] == 0))
    assert actual["monotone_middle_minus"] == defined.keeps(p for p in pairs if p[0] == 1 or p[1] == 2 or p == (0, 0))
    assert actual["centre_plus"] == defined.keeps(p for p in pairs if 2 in p or p[0] == p[1])
    assert actual["regular"] == defined.keeps([(0, 0), (1, 1), (2, 2), (1, 0), (1, 2)])


def test_the_balanced_full_adder():
    space = Space(3, 3)
    total, carry = (properties_of(space, find_gate(name)[0].index) for name in ("SUM3", "CAR3"))
    assert all(total[name] for name in ("affine", "quasigroup", "commutative", "self_dual"))
    assert all(carry[name] for name in ("monotone", "idempotent", "commutative", "self_dual"))
    assert not any((total["monotone"], carry["affine"]))


def test_four_and_five_values():
    assert {"keeps_0_2_3", "keeps_equivalence_0_1_or_2_3"} <= set(known_properties(Space(4, 2)))
    assert {"keeps_m2_0", "keeps_equivalence_m1_1_2"} <= set(known_properties(Space(5, 1)))
    assert "sheffer" not in known_properties(Space(6, 1))
    webb = [[(max(a, b) + 1) % 4 for b in range(4)] for a in range(4)]  # complete for any number of values (1935)
    assert properties_of(Space(4, 2), int(Space(4, 2).index(np.ravel(webb))))["sheffer"]


def test_every_property_is_told():
    for size in ((3, 2), (3, 3), (2, 2), (4, 1)):
        assert all(known.description for known in known_properties(Space(*size)).values())


def test_too_many_gates():
    with pytest.raises(UserError, match="cannot be listed"):
        all_properties(Space(3, 3))
