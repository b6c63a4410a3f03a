"""Searches against looking at every gate."""

from __future__ import annotations

import contextlib
import itertools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.gates import search
from ternary_vae.gates.names import HARDWARE_NAMES, Gate, find_gate, parse_table
from ternary_vae.gates.properties import all_properties
from ternary_vae.gates.search import find_gates, parse_condition
from ternary_vae.space import Space

SUM = find_gate("sum")[0]


def indices(matches):
    return [gate.index for gate in matches.gates]


def fitting(space, table, near=None):
    """Every gate that fits: index and distance, in order."""
    tables = space.table(np.arange(space.operations))
    fits = [
        (int((one != near.table).sum()) if near else 0, index)
        for index, one in enumerate(tables)
        if all(value in (None, entry) for value, entry in zip(table, one))
    ]
    return sorted(fits)


@pytest.fixture(scope="module")
def properties_of_each():
    """Properties of each ternary gate of two inputs, by name."""
    properties = all_properties(Space())
    return [dict(zip(properties, row)) for row in zip(*(values.tolist() for values in properties.values()))]


class TestConditions:
    @pytest.mark.parametrize(
        "text",
        [
            "commutative and sheffer",
            "commutative or sheffer and not surjective",
            "(commutative or sheffer) and not surjective",
            "not not affine",
            "values_taken == 2",
            "1 <= inputs_used < 2 or values_taken != 3",
            "values_taken > inputs_used",
            "not (monotone or 2 >= values_taken)",
            "quasigroup and inputs_used == 99999999999999999999999999",
        ],
    )
    def test_are_what_python_makes_of_them(self, text, properties_of_each):
        condition = compile(text, "condition", "eval")
        expected = [index for index, properties in enumerate(properties_of_each) if eval(condition, {}, properties)]
        matches = find_gates(Space(), where=text, limit=19_683)
        assert (matches.count, indices(matches)) == (len(expected), expected)
        assert find_gates(Space(), where=text, limit=2).gates == matches.gates[:2]
        assert matches.distances is None

    def test_case_spaces_and_minus_signs_do_not_matter(self):
        assert find_gates(Space(), where="  Self-Dual\n AND  affine ").count == 9
        assert find_gates(Space(4, 1), where="keeps-2-3").count == 2 * 2 * 4 * 4
        assert find_gates(Space(5, 1), where="Keeps-M2-0").count == 2 * 2 * 5**3

    def test_python_does_not_warn_of_what_is_read_anyway(self):
        with warnings.catch_warnings(action="error"):
            assert find_gates(Space(2, 1), where="values_taken<=2and affine").count == 4

    def test_what_is_compared_alone_is_true_of_all_or_none(self):
        assert find_gates(Space(), where="1 < 2").count == 19_683
        assert find_gates(Space(), where="2 < 1").count == 0

    @given(st.recursive(
        st.sampled_from(["commutative", "sheffer", "affine", "values_taken < 3"]),
        lambda parts: st.one_of(
            parts.map(lambda part: f"not ({part})"),
            st.tuples(parts, st.sampled_from(["and", "or"]), parts).map(lambda three: "({}) {} ({})".format(*three)),
        ),
        max_leaves=6,
    ))  # fmt: skip
    def test_any_of_them(self, text):
        properties = all_properties(Space(3, 1) if "commutative" not in text else Space(2, 2))
        rows = zip(*(properties[name].tolist() for name in properties))
        expected = [index for index, row in enumerate(rows) if eval(text, {}, dict(zip(properties, row)))]
        assert indices(find_gates(properties.space, where=text, limit=27)) == expected

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("commutativ", "did you mean 'commutative'"),
            ("sheffer and comutative", "did you mean 'commutative'"),
            ("sheffer or qqqqq", "is no property of these gates; known: affine"),
            ("identity and keeps_0", "is no property of these gates"),
            ("values_taken", "is a number; compare it, such as values_taken == 2"),
            ("sheffer == 1", "no number; write it alone, or not sheffer"),
            ("sheffer == affine", "no number"),
            ("sheffer # and commutative", "expected properties"),
            ("inputs_used == -1", "expected properties"),
            ("inputs_used == 2-1", "expected properties"),
            ("", "expected properties"),
            ("1", "expected properties"),
            ("true", "is no property"),
            ("sheffer affine", "expected properties"),
            ("sheffer + affine", "expected properties"),
            ("values_taken + 1 == 2", "expected properties"),
            ("values_taken == 2.0", "expected properties"),
            ("values_taken == '2'", "expected properties"),
            ("values_taken in (1, 2)", "expected properties"),
            ("values_taken is 2", "expected properties"),
            ("affine if sheffer else monotone", "expected properties"),
            ("(x := sheffer)", "expected properties"),
            ("lambda: 1", "expected properties"),
            ("__import__('os').system('true')", "expected properties"),
            ("().__class__", "expected properties"),
            ("[sheffer for sheffer in (1,)]", "expected properties"),
            ("sheffer\x00", "expected properties"),
            ("(" * 500 + "sheffer" + ")" * 490, "expected properties"),
            ("sheffer or " * 100 + "sheffer", "longer than 1,000"),
        ],
    )
    def test_nothing_else_is_evaluated(self, text, message):
        with pytest.raises(UserError, match=message):
            parse_condition(text, Space())

    @given(st.text(max_size=60))
    def test_any_text_is_a_condition_or_a_line(self, text):
        with contextlib.suppress(UserError):
            parse_condition(text, Space(3, 1))

    def test_every_property_can_be_asked_for(self):
        space = Space(3, 2)
        for name, values in all_properties(space).items():
            condition = name if values.dtype == bool else f"{name} != 0"
            assert find_gates(space, where=condition, limit=0).count == np.count_nonzero(values)


class TestTables:
    @settings(max_examples=25)
    @given(st.sampled_from([(3, 1), (2, 3), (4, 1)]), st.booleans(), st.data())
    def test_all_that_fit_the_nearest_first(self, size, nearest_first, data):
        space = Space(*size)
        values = st.sampled_from([None, *range(space.lowest, space.lowest + space.values)])
        table = data.draw(st.lists(values, min_size=space.entries, max_size=space.entries))
        near = Gate(space, data.draw(st.integers(0, space.operations - 1))) if nearest_first else None
        expected = fitting(space, table, near)
        matches = find_gates(space, table=table, near=near, limit=10**6)
        assert (matches.count, indices(matches)) == (len(expected), [index for _, index in expected])
        assert matches.distances == ([distance for distance, _ in expected] if near else None)
        lazily = [int(space.index(one)) for one in search._in_order(space, table, near)]
        assert lazily == indices(matches)

    def test_with_a_condition(self):
        table = parse_table("?--0?0-0+")[1]
        matches = find_gates(Space(), table=table, where="commutative", near=SUM)
        commutative = all_properties(Space())["commutative"]
        assert indices(matches) == [index for _, index in fitting(Space(), table, SUM) if commutative[index]]

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({"limit": -1}, "limit -1: expected at least 0"),
            ({"table": [200] + [None] * 8}, "a truth table's entries are -1 to 1"),
            ({"table": [2] + [None] * 8, "where": "sheffer"}, "a truth table's entries are -1 to 1"),
        ],
    )
    def test_what_is_no_limit_and_no_value(self, asked, says):
        with pytest.raises(UserError, match=re.escape(says)):
            find_gates(Space(), **asked)

    def test_gates_near_another(self):
        matches = find_gates(Space(), near=SUM, limit=19)
        for name in ("SUM", SUM.index):
            assert find_gates(Space(), near=name, limit=19) == matches
        assert matches.count == 19_683
        assert matches.distances == [0] + [1] * 18
        assert matches.gates[0] == SUM


class TestGatesThatHaveAName:
    @pytest.mark.parametrize("size", [(3, 1), (3, 2), (2, 1), (2, 3)])
    @pytest.mark.parametrize("near", [False, True])
    def test_are_those_of_all_that_have_one(self, size, near):
        space = Space(*size)
        asked = {"near": Gate(space, 2) if near else None, "where": "surjective", "limit": 20_000}
        named = find_gates(space, named=True, **asked)
        assert named.gates == [gate for gate in find_gates(space, **asked).gates if gate.names]
        assert 0 < named.count == len(named.gates)

    def test_where_gates_cannot_be_listed(self):
        named = find_gates(Space(3, 3), named=True)
        assert {name for gate in named.gates for name in gate.names} == set(HARDWARE_NAMES[3])
        assert indices(named) == sorted(indices(named))
        carry, multiplexer = find_gate("CAR3")[0], find_gate("MUX3")[0]
        kept = find_gates(Space(3, 3), named=True, where="not commutative")
        assert (kept.count, kept.gates) == (1, [multiplexer])
        fits = find_gates(Space(3, 3), named=True, table=carry.table.tolist()[:20] + [None] * 7)
        assert fits.gates == [carry]

    def test_may_be_none(self):
        for asked in ({}, {"where": "commutative"}, {"near": Gate(Space(7, 2), 5)}, {"table": [None] * 48 + [3]}):
            named = find_gates(Space(7, 2), named=True, **asked)
            assert (named.count, named.gates) == (0, [])


class TestSpacesThatCannotBeListed:
    def test_are_counted_exactly(self):
        assert find_gates(Space(3, 3), limit=0).count == 3**27
        assert find_gates(Space(5, 3), limit=0).count == 5**125
        assert find_gates(Space(3, 3), table=[0] * 2 + [None] * 25, limit=0).count == 3**25

    def test_come_in_order(self):
        assert indices(find_gates(Space(3, 3), limit=3)) == [0, 1, 2]
        table = [None, 1] + [None] * 25
        assert indices(find_gates(Space(3, 3), table=table, limit=4)) == [6, 7, 8, 15]

    def test_come_nearest_first(self):
        total = find_gate("SUM3")[0]
        matches = find_gates(Space(3, 3), near=total, limit=1 + 54 + 100)
        assert matches.distances == [0] + [1] * 54 + [2] * 100
        near = []
        for changes in (1, 2):
            for entries in itertools.combinations(range(27), changes):
                for values in itertools.product((-1, 0, 1), repeat=changes):
                    table = total.table.copy()
                    table[list(entries)] = values
                    if (table != total.table).sum() == changes:
                        near.append((changes, int(Space(3, 3).index(table))))
        assert indices(matches)[1:] == [index for _, index in sorted(near)[:154]]

    def test_the_largest_there_are(self):
        near = Gate(Space(2, 10), 2**1024 - 1)
        matches = find_gates(near.space, near=near, limit=1026)
        assert matches.distances == [0] + [1] * 1024 + [2]
        assert indices(matches)[1:4] == [near.index - 2**place for place in (1023, 1022, 1021)]

    def test_a_condition_needs_few_enough(self):
        with pytest.raises(UserError, match="at most 1,048,576 gates, not of 7,625"):
            find_gates(Space(3, 3), where="sheffer")
        carry = find_gate("CAR3")[0].table.tolist()
        matches = find_gates(Space(3, 3), table=[None] * 6 + carry[6:], where="commutative and monotone", limit=729)
        assert find_gate("CAR3")[0] in matches.gates
        assert 0 < matches.count < 729

    def test_a_list_has_an_end(self):
        for limit in (2**20 + 1, 10**20):
            with pytest.raises(UserError, match="at most 1,048,576 gates can be listed; give a lower one"):
                find_gates(Space(3, 3), limit=limit)

    def test_a_table_without_open_entries_is_one_gate(self):
        assert find_gates(Space(), table=SUM.table.tolist()).gates == [SUM]


def test_near_to_a_gate_of_another_space():
    with pytest.raises(
        UserError, match="gates of 3 values and 3 inputs cannot be near to one of 3 values and 2 inputs"
    ):
        find_gates(Space(3, 3), near=SUM)


def test_a_table_of_another_space():
    with pytest.raises(UserError, match="9 entries, got 3"):
        find_gates(Space(), table=[None, 0, 1])
