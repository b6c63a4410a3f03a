"""Classes against known counts, and against whole groups spelled out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.gates.equivalence import EQUIVALENCES, classes, group_order, orbit
from ternary_vae.space import Space

TERNARY = {
    "exchange": 10_206, "isomorphism": 3_330, "isomorphism_or_anti": 1_734, "negation": 1_444, "permutation": 84,
    "permutation_without_exchange": 139,
}  # fmt: skip


@pytest.mark.parametrize("kind", TERNARY)
def test_count(kind):
    least, size = classes(Space(), kind)
    assert len(np.unique(least)) == TERNARY[kind]
    members = np.bincount(least, minlength=19_683)
    assert np.array_equal(size, members[least])
    assert (least <= np.arange(19_683)).all()
    assert np.array_equal(least[least], least)
    assert size.max() <= group_order(Space(), kind)


def test_every_kind_is_counted_here():
    assert set(TERNARY) == set(EQUIVALENCES)


@pytest.mark.parametrize("asked", [classes, group_order, lambda space, kind: orbit(space, 5, kind)])
def test_another_kind_is_refused(asked):
    with pytest.raises(UserError, match="'negations' is no kind of equivalence; did you mean 'negation'"):
        asked(Space(), "negations")


@pytest.mark.parametrize(("inputs", "count"), [(1, 2), (2, 4), (3, 14), (4, 222)])
def test_npn_classes(inputs, count):
    for kind in ("negation", "permutation"):  # of two values there is no other permutation
        assert len(np.unique(classes(Space(2, inputs), kind)[0])) == count


def group(space, kind):
    """All elements: order of the inputs, a permutation of the classes of each, and one of the answers."""
    q, n = space.values, space.inputs
    same, negation = tuple(range(q)), tuple(range(q))[::-1]
    orders = list(itertools.permutations(range(n)))
    alone = orders[:1]
    everything = list(itertools.permutations(range(q)))
    if kind == "exchange":
        return [(order, (same,) * n, same) for order in orders]
    if kind.startswith("isomorphism"):
        return [
            (order, (image,) * n, tuple(np.argsort(image)))
            for order in (alone if kind == "isomorphism" else orders)
            for image in everything
        ]
    images = [same, negation] if kind == "negation" else everything
    orders = alone if kind == "permutation_without_exchange" else orders
    return list(itertools.product(orders, itertools.product(images, repeat=n), images))


def image_of(space, index, element):
    order, inputs, answer = element
    entries = list(itertools.product(range(space.values), repeat=space.inputs))
    gate = dict(zip(entries, (int(value) - space.lowest for value in space.table(index))))
    changed = [
        answer[gate[tuple(inputs[place][entry[order[place]]] for place in range(space.inputs))]] for entry in entries
    ]
    return sum(digit * space.values**place for place, digit in enumerate(changed))


@settings(max_examples=40)
@given(st.sampled_from([(3, 2), (2, 3), (3, 1), (4, 1), (2, 2)]), st.sampled_from(list(EQUIVALENCES)), st.data())
def test_orbits(size, kind, data):
    space = Space(*size)
    index = data.draw(st.integers(0, space.operations - 1))
    expected = sorted({image_of(space, index, element) for element in group(space, kind)})
    assert len(group(space, kind)) == group_order(space, kind)
    assert orbit(space, index, kind).tolist() == expected
    least, members = classes(space, kind)
    assert (least[index], members[index]) == (expected[0], len(expected))


@settings(max_examples=5)
@given(st.sampled_from(["exchange", "isomorphism_or_anti", "negation"]), st.integers(0, 3**27 - 1))
def test_orbits_of_a_space_that_cannot_be_listed(kind, index):
    space = Space(3, 3)
    assert orbit(space, index, kind).tolist() == sorted({image_of(space, index, g) for g in group(space, kind)})


def test_too_large():
    with pytest.raises(UserError, match="cannot be listed"):
        classes(Space(3, 3), "exchange")
    with pytest.raises(UserError, match="too large"):
        orbit(Space(5, 2), 5, "permutation")
